//! A `std::io::Read` that encrypts.

use super::sealing::{Buffers, Sealing, broken_off};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::format::Encryptor;
use crate::policy::ToEncryptOptions;
use std::fmt;
use std::io::{self, Read};

impl Envelope {
    /// A reader that encrypts what it reads from `inner`: for code that takes a reader and not a
    /// writer, such as the body of a blocking HTTP request. Calls the key service once, now;
    /// nothing is read from `inner` yet.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use std::io::Read;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let file = &b"as long as you like"[..];
    /// let mut upload = envelope.encrypt_reader(file, EncryptionContext::new()).await?;
    /// let mut message = Vec::new();
    /// upload.read_to_end(&mut message)?;
    /// let opened = envelope.decrypt(&message, &DecryptPolicy::new()).await?;
    /// assert_eq!(&opened[..], b"as long as you like");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn encrypt_reader<R: Read>(
        &self,
        inner: R,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptReader<R>> {
        Ok(EncryptReader::new(self.encryptor(options).await?, inner))
    }
}

/// Encrypts what it reads from another reader: reading it gives the message.
///
/// The message is complete once [`read`](Read::read) has returned 0. If the inner reader fails
/// before its end, this read and every later one fails, so that no part of the plaintext becomes a
/// message. Only a read that would block or timed out can be retried.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
/// # let envelope = envelope.build()?.blocking();
/// let mut upload = envelope.encrypt_reader(&b"hello"[..], EncryptionContext::new())?;
/// let mut message = Vec::new();
/// std::io::copy(&mut upload, &mut message)?;
/// assert_eq!(message[..4], *b"\x8eNCP");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EncryptReader<R> {
    inner: R,
    sealing: Sealing,
    buffers: Buffers,
}

impl<R: Read> EncryptReader<R> {
    /// A reader of the message of `encryptor`, whose plaintext comes from `inner`.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::EncryptReader;
    /// # use std::io::Read;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let front = encryptor.front().len();
    /// let mut message = Vec::new();
    /// EncryptReader::new(encryptor, &b"hello"[..]).read_to_end(&mut message)?;
    /// assert_eq!(message.len(), front + b"hello".len() + 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(encryptor: Encryptor, inner: R) -> Self {
        Self { inner, sealing: Sealing::new(encryptor), buffers: Buffers::new() }
    }
}

impl<R> EncryptReader<R> {
    /// The inner reader. It is at its end if this reader has returned 0.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use std::io::Read;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// let mut upload = envelope.encrypt_reader(&b"hello"[..], EncryptionContext::new())?;
    /// upload.read_to_end(&mut Vec::new())?;
    /// assert!(upload.into_inner().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for EncryptReader<R> {
    /// Reads the message; with room for a sealed chunk (16,400 bytes), chunks are sealed straight
    /// into `buf`.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let copied = match self.sealing.front(buf) {
                0 => self.buffers.take(buf),
                copied => copied,
            };
            if copied > 0 || self.sealing.ended()? {
                return Ok(copied);
            }
            let fitting = Buffers::fitting(buf);
            let len = match self.inner.read(&mut self.buffers.plain[..fitting]) {
                Ok(len) => len,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    // Nothing is lost: the caller may retry.
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Err(error),
                    _ => {
                        self.sealing.fail(broken_off());
                        return Err(Error::from_below(error));
                    }
                },
            };
            let written = self.buffers.seal(&mut self.sealing, len, buf)?;
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for EncryptReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptReader").field("inner", &self.inner).finish_non_exhaustive()
    }
}
