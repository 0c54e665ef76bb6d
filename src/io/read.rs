//! A `std::io::Read` that decrypts.

use super::body::{Body, Spare};
use super::front::read_front;
use super::run::SEALED_RUN_LEN;
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::format::{CHUNK_LEN, Decryptor};
use crate::policy::ToDecryptPolicy;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

impl Envelope {
    /// A reader that decrypts from `inner`, from its current position to its end. Reads the header
    /// from `inner` now, and asks for the key if `policy` admits it.
    ///
    /// For files, sockets and any other reader: reads 16 chunks at a time. For a source that is
    /// buffered already, use [`buf_reader`](Self::buf_reader).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use std::fs::File;
    /// use std::io::Read;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("note.ncpe");
    /// # std::fs::write(&path, envelope.encrypt(b"hello", EncryptionContext::new()).await?)?;
    /// let mut reader = envelope.reader(File::open(&path)?, &DecryptPolicy::new()).await?;
    /// let mut plaintext = String::new();
    /// reader.read_to_string(&mut plaintext)?;
    /// assert_eq!(plaintext, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt), and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub async fn reader<R: Read>(
        &self,
        mut inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptReader<BufReader<R>>> {
        let policy = &*policy.to_policy()?;
        // Before the buffer is added, so that its fills start and end at chunk boundaries: no chunk
        // spans two fills.
        let (header, preamble) = read_front(&mut inner, |header| self.admit(header, policy))?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        let inner = BufReader::with_capacity(SEALED_RUN_LEN, inner);
        Ok(DecryptReader::new(decryptor, inner))
    }

    /// As [`reader`](Self::reader), for a source that has a buffer: a byte slice is decrypted
    /// without a copy. A [`BufReader`] around a file should have 256 KiB.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use std::io::Read;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"any number of bytes", EncryptionContext::new()).await?;
    /// let mut reader = envelope.buf_reader(&message[..], &DecryptPolicy::new()).await?;
    /// let mut plaintext = Vec::new();
    /// reader.read_to_end(&mut plaintext)?;
    /// assert_eq!(plaintext, b"any number of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`reader`](Self::reader).
    pub async fn buf_reader<R: BufRead>(
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

/// Decrypts what it reads from another reader.
///
/// Hands out verified bytes only. The end of the message is authentic only when
/// [`read`](Read::read) has returned 0: a truncated message ends in an error, so data used before
/// that may be only a part. After an error of the message every later read fails.
///
/// A truncated message, or an inner reader that fails with an unexpected end, gives
/// [`InvalidData`](io::ErrorKind::InvalidData): code that reads records takes
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for their end.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # use std::io::Read;
/// let mut message = envelope.encrypt(vec![7; 20_000], EncryptionContext::new())?;
/// message.pop();
/// let mut reader = envelope.reader(&message[..], DecryptPolicy::new())?;
/// let mut plaintext = Vec::new();
/// assert!(reader.read_to_end(&mut plaintext).is_err(), "its end was cut off");
/// assert_eq!(plaintext.len(), 16_384);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct DecryptReader<R> {
    inner: R,
    body: Body,
    spare: Spare,
}

impl<R: BufRead> DecryptReader<R> {
    /// Decrypts the chunks in `inner`, which is positioned right after the preamble, with
    /// `decryptor`.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::format::{Header, PREAMBLE_LEN};
    /// use ncp_envelope::io::DecryptReader;
    /// # use std::io::Read;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// # let message = envelope.encrypt(b"hello", EncryptionContext::new())?;
    /// let mut inner = &message[..];
    /// let header = Header::read_from(&mut inner)?;
    /// let mut preamble = [0; PREAMBLE_LEN];
    /// inner.read_exact(&mut preamble)?;
    /// let decryptor = envelope.decryptor(&header, &preamble, &DecryptPolicy::new())?;
    /// let mut plaintext = String::new();
    /// DecryptReader::new(decryptor, inner).read_to_string(&mut plaintext)?;
    /// assert_eq!(plaintext, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(decryptor: Decryptor, inner: R) -> Self {
        Self { inner, body: Body::new(decryptor), spare: Spare::new() }
    }
}

impl<R> DecryptReader<R> {
    /// The encryption context of the message. It is authentic: the commitment was verified before
    /// the reader was made.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// let context = EncryptionContext::new().with("kind", "note")?;
    /// let message = envelope.encrypt(b"hello", &context)?;
    /// let reader = envelope.reader(&message[..], &DecryptPolicy::new())?;
    /// assert_eq!(reader.context().get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        self.body.context()
    }

    /// The length of the whole plaintext: `Some` once the authentic end is reached, that is, once
    /// everything is read and verified.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use std::io::Read;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new())?;
    /// let mut reader = envelope.reader(&message[..], &DecryptPolicy::new())?;
    /// assert_eq!(reader.plaintext_len(), None);
    /// reader.read_to_end(&mut Vec::new())?;
    /// assert_eq!(reader.plaintext_len(), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plaintext_len(&self) -> Option<u64> {
        self.body.plaintext_len()
    }

    /// The inner reader. It is at its end if this reader has returned 0, and at an unspecified
    /// position otherwise.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use std::io::Read;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new())?;
    /// let mut reader = envelope.buf_reader(&message[..], &DecryptPolicy::new())?;
    /// reader.read_to_end(&mut Vec::new())?;
    /// assert!(reader.into_inner().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: BufRead> DecryptReader<R> {
    /// Opens what comes next into `out`, which has room for a chunk. 0 is the authentic end.
    fn open_some(inner: &mut R, body: &mut Body, out: &mut [u8]) -> io::Result<usize> {
        while !body.ended()? {
            let input = match inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Nothing is lost: the caller may retry after a would-block or a timeout.
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
