//! What stands in front of the first chunk, read in bounded pieces.

use super::source::SourceFile;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{FIXED_LEN, Header, PREAMBLE_LEN};
use std::io::{self, BufReader, Read};

impl Header {
    /// Reads the header at the start of a message, and no byte after it.
    ///
    /// At most 196,608 bytes are read, the most that a header may have; each length is checked
    /// before it is used. Reads are small: wrap a source whose reads are slow in a
    /// [`BufReader`](std::io::BufReader).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::format::Header;
    /// use std::fs::File;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("note.ncpe");
    /// # let context = EncryptionContext::new().with("kind", "note")?;
    /// # std::fs::write(&path, envelope.encrypt(b"hello", &context)?)?;
    /// let header = Header::read_from(File::open(&path)?)?;
    /// assert_eq!(header.bound().context().get("kind"), Some("note"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`ErrorKind::Io`].
    pub fn read_from(mut inner: impl Read) -> Result<Self> {
        let mut front = Front::new();
        loop {
            front.fill(&mut inner)?;
            front.advance(|_| Ok(()))?;
            if let Some(header) = front.header.take() {
                return Ok(header);
            }
        }
    }
}

/// Header and preamble as they arrive; shared by all sequential readers.
///
/// Add up to [`missing`](Self::missing) bytes to `bytes`, fewer only at the end of the input, then
/// [`advance`](Self::advance), until that returns true.
pub(super) struct Front {
    pub(super) bytes: Vec<u8>,
    want: usize,
    header: Option<Header>,
}

impl Front {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(FIXED_LEN), want: FIXED_LEN, header: None }
    }

    pub(super) fn missing(&self) -> usize {
        self.want.saturating_sub(self.bytes.len())
    }

    /// Reads what is missing, less at the end of the input.
    fn fill(&mut self, inner: &mut impl Read) -> Result<()> {
        let read = inner.take(self.missing() as u64).read_to_end(&mut self.bytes);
        read.map(drop).map_err(|error| Error::io("cannot read the message", error))
    }

    /// The same from a tokio reader.
    #[cfg(feature = "tokio")]
    async fn fill_async(&mut self, inner: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<()> {
        use tokio::io::AsyncReadExt;
        let read = inner.take(self.missing() as u64).read_to_end(&mut self.bytes).await;
        read.map(drop).map_err(|error| Error::io("cannot read the message", error))
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
        front.fill(inner)?;
        if front.advance(&admit)? {
            return front.finish();
        }
    }
}

/// How much of a file is read at first: a compact front, and one block of a disk.
const AT_ONCE: usize = 4_096;

/// The front of a file, whose position is then anywhere. Where the file has a length, one read is
/// enough for most.
pub(super) fn read_file_front(
    source: &SourceFile,
    admit: impl Fn(&Header) -> Result<()>,
) -> Result<(Header, [u8; PREAMBLE_LEN])> {
    match source.len() {
        // Such a file may have a length and not know it, and may be readable in order only.
        None | Some(0) => read_front(&mut &*source, admit),
        Some(_) => {
            let start = Placed { source, at: 0 };
            read_front(&mut BufReader::with_capacity(AT_ONCE, start), admit)
        }
    }
}

/// Reads without moving the position of the file.
struct Placed<'a> {
    source: &'a SourceFile,
    at: u64,
}

impl Read for Placed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read_at(buf, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

#[cfg(feature = "tokio")]
pub(super) async fn read_front_async(
    inner: &mut (impl tokio::io::AsyncRead + Unpin),
    admit: impl Fn(&Header) -> Result<()>,
) -> Result<(Header, [u8; PREAMBLE_LEN])> {
    let mut front = Front::new();
    loop {
        front.fill_async(inner).await?;
        if front.advance(&admit)? {
            return front.finish();
        }
    }
}

#[cfg(feature = "tokio")]
impl Header {
    /// As [`read_from`](Self::read_from), from a tokio reader.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::format::Header;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let mut upload = &message[..];
    /// let header = Header::read_from_async(&mut upload).await?;
    /// assert_eq!(header.slots().slots()[0].key_id().id(), "k");
    /// assert_eq!(upload.len(), message.len() - header.bound().body_offset());
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`ErrorKind::Io`].
    pub async fn read_from_async(mut inner: impl tokio::io::AsyncRead + Unpin) -> Result<Self> {
        let mut front = Front::new();
        loop {
            front.fill_async(&mut inner).await?;
            front.advance(|_| Ok(()))?;
            if let Some(header) = front.header.take() {
                return Ok(header);
            }
        }
    }
}
