//! A message in two objects: header and body apart (`F-13`).
//!
//! Header and body are always written and read in this order; this module splits them. Knows
//! lengths of headers, and nothing of keys.

use crate::format::{FIXED_LEN, Header};
use std::fmt;
use std::io::{self, Write};

/// A sink for a message with a [detached body](crate::format::Layout::detached): the header goes to
/// one place, the body to another.
///
/// The header is written whole, and flushed, before the first byte of the body: a header without a
/// body can be found and removed, a body without its header is lost.
///
/// ```
/// # use ncp_envelope::{
/// #     DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, LocalKeyWrapper,
/// # };
/// use ncp_envelope::format::{Layout, Profile};
/// use ncp_envelope::io::DetachedWriter;
/// use std::io::Read;
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
/// let sink = DetachedWriter::new(Vec::new(), Vec::new());
/// let report = envelope.encrypt_stream(&b"hello"[..], sink, options).await?;
/// let (header, body) = report.sink.into_parts();
///
/// let policy = DecryptPolicy::new().detached(true);
/// let mut reader = envelope.reader(header.chain(&body[..]), &policy).await?;
/// let mut plaintext = String::new();
/// reader.read_to_string(&mut plaintext)?;
/// assert_eq!(plaintext, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct DetachedWriter<H, B> {
    header: H,
    body: B,
    /// The fixed fields, as far as they were seen.
    fixed: Vec<u8>,
    /// Bytes of the header that were written.
    written: usize,
    /// How many it has, once that is known.
    len: Option<usize>,
    flushed: bool,
}

impl<H: Write, B: Write> DetachedWriter<H, B> {
    /// The header will go to `header`, everything behind it to `body`.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::{Layout, Profile};
    /// # use ncp_envelope::io::DetachedWriter;
    /// # let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
    /// let sink = DetachedWriter::new(Vec::new(), Vec::new());
    /// let report = envelope.encrypt_stream(&b"hello"[..], sink, options)?;
    /// assert_eq!(report.bytes_read, 5);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(header: H, body: B) -> Self {
        let fixed = Vec::with_capacity(FIXED_LEN);
        Self { header, body, fixed, written: 0, len: None, flushed: false }
    }

    /// Both sinks.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::{Layout, Profile};
    /// # use ncp_envelope::io::DetachedWriter;
    /// # let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
    /// # let sink = DetachedWriter::new(Vec::new(), Vec::new());
    /// let report = envelope.encrypt_stream(&b"hello"[..], sink, options)?;
    /// let (header, body) = report.sink.into_parts();
    /// assert_eq!(body.len(), 56 + 5 + 16);
    /// assert_eq!(header.len() + body.len(), report.bytes_written as usize);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn into_parts(self) -> (H, B) {
        (self.header, self.body)
    }

    fn write_header(&mut self, buf: &[u8]) -> io::Result<usize> {
        let most = self.len.unwrap_or(FIXED_LEN) - self.written;
        let written = self.header.write(&buf[..buf.len().min(most)])?;
        self.written += written;
        if self.len.is_none() {
            self.fixed.extend_from_slice(&buf[..written]);
        }
        Ok(written)
    }
}

impl<H: Write, B: Write> Write for DetachedWriter<H, B> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.len.is_none() && self.fixed.len() == FIXED_LEN {
            self.len = Some(Header::len_from(&self.fixed)?);
        }
        if self.len != Some(self.written) {
            return self.write_header(buf);
        }
        if !self.flushed {
            self.header.flush()?;
            self.flushed = true;
        }
        self.body.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.header.flush()?;
        self.body.flush()
    }
}

impl<H, B> fmt::Debug for DetachedWriter<H, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachedWriter")
            .field("header_written", &self.written)
            .finish_non_exhaustive()
    }
}
