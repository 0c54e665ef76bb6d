//! A `std::io::Write` that encrypts.

use super::buffer::PageBuffer;
use super::run::SEALED_RUN_LEN;
use super::shared_sealing::SharedSealing;
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
        let encryptor = self.encryptor(options).await?;
        match self.thread_count() {
            1 => Ok(EncryptWriter::new(encryptor, inner)),
            threads => EncryptWriter::shared(encryptor, inner, threads),
        }
    }
}

/// Encrypts what is written to it into another writer.
///
/// The message is complete only after [`finish`](Self::finish): a message whose writer was dropped
/// does not open. Up to 16,383 bytes are buffered until their chunk is full;
/// [`flush`](Write::flush) does not write them. After an error every later call fails, as it is
/// unknown what reached the inner writer.
///
/// With [`threads`](Envelope::threads), 128 KiB for each thread and 256 KiB more are on their way
/// until the writer is flushed or finished. The inner writer stays on the caller's thread.
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
    /// What stands in front of the chunks, until it is written.
    front: Option<Vec<u8>>,
    /// None after a failure.
    sealing: Option<By>,
}

/// Who seals.
enum By {
    Caller(Box<Encryptor>, PageBuffer),
    Threads(Box<SharedSealing>),
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
        let front = Some(encryptor.front().to_vec());
        let sealing = By::Caller(Box::new(encryptor), PageBuffer::new(SEALED_RUN_LEN));
        Self { inner, front, sealing: Some(sealing) }
    }

    fn shared(encryptor: Encryptor, inner: W, threads: usize) -> Result<Self> {
        let (front, sealing) = SharedSealing::new(encryptor, threads)?;
        let sealing = Some(By::Threads(Box::new(sealing)));
        Ok(Self { inner, front: Some(front), sealing })
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
        let io = |error| Error::io("cannot write the message", error);
        match self.begin()? {
            By::Caller(encryptor, mut run) => {
                self.write_front().map_err(io)?;
                let len = encryptor.finish(&mut run)?;
                self.inner.write_all(&run[..len]).map_err(io)?;
            }
            By::Threads(sealing) => {
                self.write_front().map_err(io)?;
                let finished = sealing.finish(&mut |bytes| self.inner.write_all(bytes));
                finished.map_err(|error| error.downcast().unwrap_or_else(io))?;
            }
        }
        flush(&mut self.inner).map_err(io)?;
        Ok(self.inner)
    }

    /// Taken out, and put back only on success: a writer that failed half way stays failed.
    fn begin(&mut self) -> Result<By> {
        self.sealing.take().ok_or_else(broken)
    }

    fn write_front(&mut self) -> io::Result<()> {
        match self.front.take() {
            Some(front) => self.inner.write_all(&front),
            None => Ok(()),
        }
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    /// Takes all of `buf`. Without threads, every full chunk has reached the inner writer when this
    /// returns.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut sealing = self.begin()?;
        self.write_front()?;
        match &mut sealing {
            By::Caller(encryptor, run) => {
                let mut rest = buf;
                while !rest.is_empty() {
                    let progress = encryptor.update(rest, run)?;
                    self.inner.write_all(&run[..progress.written])?;
                    rest = &rest[progress.consumed..];
                }
            }
            By::Threads(sealing) => {
                sealing.push(buf, &mut |bytes| self.inner.write_all(bytes))?;
            }
        }
        self.sealing = Some(sealing);
        Ok(buf.len())
    }

    /// Writes every full chunk, and flushes the inner writer. Bytes of a chunk that is not full
    /// stay buffered.
    fn flush(&mut self) -> io::Result<()> {
        let mut sealing = self.begin()?;
        if let By::Threads(sealing) = &mut sealing {
            sealing.settle(&mut |bytes| self.inner.write_all(bytes))?;
        }
        flush(&mut self.inner)?;
        self.sealing = Some(sealing);
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
        f.debug_struct("EncryptWriter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pub(super) fn broken() -> Error {
    Error::new(ErrorKind::Io, "message cannot be continued: an earlier write of it failed")
}
