//! A `std::io::Write` that encrypts.

use super::buffer::PageBuffer;
use super::run::SEALED_RUN_LEN;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Encryptor;
use crate::policy::ToEncryptOptions;
use std::fmt;
use std::io::{self, Write};

impl Envelope {
    /// A writer that encrypts into `inner`. Calls the key service once, now; nothing is written to
    /// `inner` yet.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use std::io::Write;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let mut writer = envelope.writer(Vec::new(), EncryptionContext::new()).await?;
    /// writer.write_all(b"any number of bytes")?;
    /// let message = writer.finish()?;
    /// let plaintext = envelope.decrypt(&message, &DecryptPolicy::new()).await?;
    /// assert_eq!(plaintext, b"any number of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn writer<W: Write>(
        &self,
        inner: W,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptWriter<W>> {
        Ok(EncryptWriter::new(self.encryptor(options).await?, inner))
    }
}

/// Encrypts what is written to it into another writer.
///
/// The message is complete only after [`finish`](Self::finish): a message whose writer was dropped
/// does not open. Up to 16,383 bytes are buffered until their chunk is full;
/// [`flush`](Write::flush) does not write them. After an error every later call fails, as it is
/// unknown what reached the inner writer.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # use std::io::Write;
/// let mut message = Vec::new();
/// let mut writer = envelope.writer(&mut message, EncryptionContext::new())?;
/// writer.write_all(b"hello")?;
/// drop(writer); // Instead of `finish`.
/// let error = envelope.decrypt(&message, DecryptPolicy::new()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Truncated);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EncryptWriter<W> {
    inner: W,
    encryptor: Option<Encryptor>,
    header_written: bool,
    run: PageBuffer,
}

impl<W: Write> EncryptWriter<W> {
    /// Writes the message of `encryptor` into `inner`.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Write;
    /// use ncp_envelope::io::EncryptWriter;
    /// let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let mut writer = EncryptWriter::new(encryptor, Vec::new());
    /// writer.write_all(b"hello")?;
    /// assert_eq!(envelope.decrypt(&writer.finish()?, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(encryptor: Encryptor, inner: W) -> Self {
        Self {
            inner,
            encryptor: Some(encryptor),
            header_written: false,
            run: PageBuffer::new(SEALED_RUN_LEN),
        }
    }

    /// Writes the last chunk, flushes, and returns the inner writer.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let writer = envelope.writer(Vec::new(), EncryptionContext::new())?;
    /// let message = writer.finish()?;
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new())?.is_empty());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the inner writer fails, now or in an earlier call;
    /// [`ErrorKind::LimitExceeded`] past 64 TiB.
    pub fn finish(mut self) -> Result<W> {
        let mut encryptor = self.encryptor.take().ok_or_else(broken)?;
        let io = |error| Error::io("cannot write the message", error);
        Self::header(&mut self.inner, &mut encryptor, &mut self.header_written).map_err(io)?;
        let len = encryptor.finish(&mut self.run)?;
        self.inner.write_all(&self.run[..len]).map_err(io)?;
        flush(&mut self.inner).map_err(io)?;
        Ok(self.inner)
    }

    fn header(inner: &mut W, encryptor: &mut Encryptor, written: &mut bool) -> io::Result<()> {
        if !*written {
            inner.write_all(encryptor.front())?;
            *written = true;
        }
        Ok(())
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    /// Takes all of `buf`; every full chunk has reached the inner writer when this returns.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // Taken out, and put back only on success: a writer that failed half way stays failed.
        let mut encryptor = self.encryptor.take().ok_or_else(broken)?;
        Self::header(&mut self.inner, &mut encryptor, &mut self.header_written)?;
        let mut rest = buf;
        while !rest.is_empty() {
            let progress = encryptor.update(rest, &mut self.run)?;
            self.inner.write_all(&self.run[..progress.written])?;
            rest = &rest[progress.consumed..];
        }
        self.encryptor = Some(encryptor);
        Ok(buf.len())
    }

    /// Flushes the inner writer. Bytes of a chunk that is not full stay buffered.
    fn flush(&mut self) -> io::Result<()> {
        let encryptor = self.encryptor.take().ok_or_else(broken)?;
        flush(&mut self.inner)?;
        self.encryptor = Some(encryptor);
        Ok(())
    }
}

/// One flush, retried when interrupted by a signal.
fn flush(inner: &mut impl Write) -> io::Result<()> {
    loop {
        match inner.flush() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl<W: fmt::Debug> fmt::Debug for EncryptWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptWriter")
            .field("inner", &self.inner)
            .field("encryptor", &self.encryptor)
            .finish_non_exhaustive()
    }
}

pub(super) fn broken() -> Error {
    Error::new(ErrorKind::Io, "message cannot be continued: an earlier write of it failed")
}
