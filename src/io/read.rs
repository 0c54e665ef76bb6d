//! A `std::io::Read` that decrypts.

use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{CHUNK_LEN, Decryptor, FIXED_LEN, Header, PREAMBLE_LEN, Progress};
use crate::policy::ToDecryptPolicy;
use std::fmt;
use std::io::{self, BufRead, Read};
use zeroize::Zeroizing;

impl Envelope {
    /// A reader that decrypts from `inner`, from its current position to its end. Reads the header
    /// from `inner` now, and asks for the key if `policy` admits it.
    ///
    /// `inner` is a [`BufRead`] so that a byte slice is decrypted without a copy; wrap files in
    /// [`BufReader::with_capacity`](std::io::BufReader::with_capacity) with 256 KiB.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use std::io::Read;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"any number of bytes", EncryptionContext::new()).await?;
    /// let mut reader = envelope.reader(&message[..], &DecryptPolicy::new()).await?;
    /// let mut plaintext = Vec::new();
    /// reader.read_to_end(&mut plaintext)?;
    /// assert_eq!(plaintext, b"any number of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt), and [`ErrorKind::Io`].
    pub async fn reader<R: BufRead>(
        &self,
        mut inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptReader<R>> {
        let policy = &*policy.to_policy()?;
        let (header, preamble) = read_front(&mut inner, |header| self.admit(header, policy))?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        Ok(DecryptReader::new(decryptor, inner))
    }
}

/// What stands in front of the first chunk, read in three bounded pieces; what the sync and the
/// async reader have in common.
///
/// Read up to [`missing`](Self::missing) bytes into `bytes`, fewer only at the end of the input,
/// then [`advance`](Self::advance), until that returns true.
pub(super) struct Front {
    pub(super) bytes: Vec<u8>,
    want: usize,
    header: Option<Header>,
}

impl Front {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(FIXED_LEN), want: FIXED_LEN, header: None }
    }

    pub(super) fn missing(&self) -> u64 {
        self.want.saturating_sub(self.bytes.len()) as u64
    }

    /// `admit` is asked before the preamble is read, so that a refusal by policy comes first.
    pub(super) fn advance(&mut self, admit: impl FnOnce(&Header) -> Result<()>) -> Result<bool> {
        if self.header.is_some() {
            return Ok(true);
        }
        if self.want == FIXED_LEN {
            // Fails on fewer bytes, as precisely as they allow.
            self.want = Header::len_from(&self.bytes)?;
        } else {
            let header = Header::decode(&self.bytes)?;
            admit(&header)?;
            self.header = Some(header);
            self.bytes.clear();
            self.want = PREAMBLE_LEN;
        }
        Ok(false)
    }

    pub(super) fn finish(self) -> Result<(Header, [u8; PREAMBLE_LEN])> {
        match (self.header, <[u8; PREAMBLE_LEN]>::try_from(&self.bytes[..])) {
            (Some(header), Ok(preamble)) => Ok((header, preamble)),
            _ => Err(Error::new(
                ErrorKind::Truncated,
                "message is truncated: it ends before its first chunk",
            )),
        }
    }
}

pub(super) fn read_front(
    inner: &mut impl Read,
    admit: impl Fn(&Header) -> Result<()>,
) -> Result<(Header, [u8; PREAMBLE_LEN])> {
    let mut front = Front::new();
    loop {
        inner
            .take(front.missing())
            .read_to_end(&mut front.bytes)
            .map_err(|error| Error::io("cannot read the message", error))?;
        if front.advance(&admit)? {
            return front.finish();
        }
    }
}

/// The body of a message, opened step by step; what the sync and the async reader have in common.
pub(super) struct Body(BodyState);

enum BodyState {
    Chunks(Decryptor),
    End,
    Failed(Error),
}

impl Body {
    pub(super) fn new(decryptor: Decryptor) -> Self {
        Self(BodyState::Chunks(decryptor))
    }

    /// Whether the authentic end was reached.
    pub(super) fn ended(&self) -> Result<bool> {
        match &self.0 {
            BodyState::Chunks(_) => Ok(false),
            BodyState::End => Ok(true),
            BodyState::Failed(error) => Err(error.clone()),
        }
    }

    /// Takes some of `input` and writes what it opens into `out`, which has room for a chunk. No
    /// input means that the message ends here.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress> {
        let result = match &mut self.0 {
            BodyState::Chunks(decryptor) if !input.is_empty() => decryptor.update(input, out),
            BodyState::Chunks(_) => match std::mem::replace(&mut self.0, BodyState::End) {
                BodyState::Chunks(decryptor) => {
                    decryptor.finish(out).map(|written| Progress { consumed: 0, written })
                }
                _ => Ok(Progress { consumed: 0, written: 0 }),
            },
            BodyState::End => Ok(Progress { consumed: 0, written: 0 }),
            BodyState::Failed(error) => Err(error.clone()),
        };
        if let Err(error) = &result {
            self.0 = BodyState::Failed(error.clone());
        }
        result
    }
}

/// Plaintext that did not fit the caller's buffer.
pub(super) struct Spare {
    bytes: Zeroizing<Box<[u8]>>,
    at: usize,
    end: usize,
}

impl Spare {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(vec![0; CHUNK_LEN].into_boxed_slice()), at: 0, end: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// The whole room, to open a chunk into; call [`filled`](Self::filled) after that.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) fn filled(&mut self, len: usize) {
        (self.at, self.end) = (0, len);
    }

    /// At most `len` bytes of what is there.
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        let start = self.at;
        self.at += len.min(self.end - start);
        &self.bytes[start..self.at]
    }
}

/// Decrypts what it reads from another reader.
///
/// Hands out verified bytes only. The end of the message is authentic only when
/// [`read`](Read::read) has returned 0: a message cut short ends in an error, so whoever acts on
/// the data before that acts on a part of it. After an error of the message every further read
/// fails.
///
/// A message or an inner reader that breaks off gives [`InvalidData`](io::ErrorKind::InvalidData):
/// code that reads records takes [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for their end.
pub struct DecryptReader<R> {
    inner: R,
    body: Body,
    spare: Spare,
}

impl<R: BufRead> DecryptReader<R> {
    /// Decrypts the chunks in `inner`, which stands right behind the preamble, with `decryptor`.
    pub fn new(decryptor: Decryptor, inner: R) -> Self {
        Self { inner, body: Body::new(decryptor), spare: Spare::new() }
    }

    /// The inner reader. It stands at its end if this reader has returned 0, and anywhere before.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Opens what comes next into `out`, which has room for a chunk. 0 is the authentic end.
    fn open_some(inner: &mut R, body: &mut Body, out: &mut [u8]) -> io::Result<usize> {
        while !body.ended()? {
            let input = match inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Nothing is lost: the caller may read on after a would-block or a time-out.
                Err(error) => return Err(Error::from_below(error)),
                Ok(input) => input,
            };
            let progress = body.step(input, out)?;
            inner.consume(progress.consumed);
            if progress.written > 0 {
                return Ok(progress.written);
            }
        }
        Ok(0)
    }
}

impl<R: BufRead> Read for DecryptReader<R> {
    /// Reads verified plaintext; with room for 16 KiB or more, straight into `buf`.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.spare.is_empty() {
            if buf.len() >= CHUNK_LEN {
                return Self::open_some(&mut self.inner, &mut self.body, buf);
            }
            let len = Self::open_some(&mut self.inner, &mut self.body, self.spare.room())?;
            self.spare.filled(len);
        }
        let part = self.spare.take(buf.len());
        buf[..part.len()].copy_from_slice(part);
        Ok(part.len())
    }
}

impl<R: fmt::Debug> fmt::Debug for DecryptReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptReader").field("inner", &self.inner).finish_non_exhaustive()
    }
}
