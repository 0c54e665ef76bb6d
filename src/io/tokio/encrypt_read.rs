//! The reader that encrypts, for tokio.

use super::turn::poll_turn;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::format::Encryptor;
use crate::io::sealing::{Buffers, PLAIN_LEN, Sealing, broken_off};
use crate::policy::ToEncryptOptions;
use ::tokio::io::{AsyncRead, ReadBuf};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Envelope {
    /// As [`encrypt_reader`](Self::encrypt_reader), for a tokio reader.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let file = &b"as long as you like"[..];
    /// let mut upload = envelope.async_encrypt_reader(file, EncryptionContext::new()).await?;
    /// let mut message = Vec::new();
    /// upload.read_to_end(&mut message).await?;
    /// let opened = envelope.decrypt(&message, &DecryptPolicy::new()).await?;
    /// assert_eq!(&opened[..], b"as long as you like");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn async_encrypt_reader<R: AsyncRead + Unpin>(
        &self,
        inner: R,
        options: impl ToEncryptOptions,
    ) -> Result<AsyncEncryptReader<R>> {
        Ok(AsyncEncryptReader::new(self.encryptor(options).await?, inner))
    }
}

/// Encrypts what it reads from another tokio reader: reading it gives the message.
///
/// The message is complete once a read has returned no bytes. If the inner reader fails, this read
/// and every later one fails, so that no part of the plaintext becomes a message.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let mut upload =
///     envelope.async_encrypt_reader(&b"hello"[..], EncryptionContext::new()).await?;
/// let mut message = Vec::new();
/// tokio::io::copy(&mut upload, &mut message).await?;
/// assert_eq!(message[..4], *b"\x8eNCP");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct AsyncEncryptReader<R> {
    inner: R,
    sealing: Sealing,
    buffers: Buffers,
}

impl<R: AsyncRead + Unpin> AsyncEncryptReader<R> {
    /// A reader of the message of `encryptor`, whose plaintext comes from `inner`.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::AsyncEncryptReader;
    /// # use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let encryptor = envelope.encryptor(EncryptionContext::new()).await?;
    /// let front = encryptor.front().len();
    /// let mut message = Vec::new();
    /// AsyncEncryptReader::new(encryptor, &b"hello"[..]).read_to_end(&mut message).await?;
    /// assert_eq!(message.len(), front + b"hello".len() + 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn new(encryptor: Encryptor, inner: R) -> Self {
        Self { inner, sealing: Sealing::new(encryptor), buffers: Buffers::new() }
    }
}

impl<R> AsyncEncryptReader<R> {
    /// The inner reader. It is at its end if this reader has returned everything.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let mut upload =
    ///     envelope.async_encrypt_reader(&b"hello"[..], EncryptionContext::new()).await?;
    /// upload.read_to_end(&mut Vec::new()).await?;
    /// assert!(upload.into_inner().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for AsyncEncryptReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let room = buf.initialize_unfilled();
        loop {
            let copied = match this.sealing.front(room) {
                0 => this.buffers.take(room),
                copied => copied,
            };
            if copied > 0 || this.sealing.ended()? {
                buf.advance(copied);
                return Poll::Ready(Ok(()));
            }
            let turn = ready!(poll_turn(cx, PLAIN_LEN));
            let fitting = Buffers::fitting(room);
            let mut read = ReadBuf::new(&mut this.buffers.plain[..fitting]);
            if let Err(error) = ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read)) {
                this.sealing.fail(broken_off());
                return Poll::Ready(Err(Error::from_below(error)));
            }
            turn.made_progress();
            let len = read.filled().len();
            let written = this.buffers.seal(&mut this.sealing, len, room)?;
            if written > 0 {
                buf.advance(written);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for AsyncEncryptReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncEncryptReader").field("inner", &self.inner).finish_non_exhaustive()
    }
}
