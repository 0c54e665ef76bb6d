//! The reader that decrypts, for tokio.

use super::turn::{PLAIN_RUN_LEN, poll_turn};
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::format::{CHUNK_LEN, Decryptor};
use crate::io::body::{Body, Spare};
use crate::io::front::read_front_async;
use crate::io::run::SEALED_RUN_LEN;
use crate::policy::ToDecryptPolicy;
use ::tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Envelope {
    /// As [`reader`](Self::reader), for a tokio reader.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use tokio::fs::File;
    /// use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("note.ncpe");
    /// # std::fs::write(&path, envelope.encrypt(b"hello", EncryptionContext::new()).await?)?;
    /// let file = File::open(&path).await?;
    /// let mut reader = envelope.async_reader(file, &DecryptPolicy::new()).await?;
    /// let mut plaintext = String::new();
    /// reader.read_to_string(&mut plaintext).await?;
    /// assert_eq!(plaintext, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt), and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub async fn async_reader<R: AsyncRead + Unpin>(
        &self,
        mut inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<AsyncDecryptReader<BufReader<R>>> {
        let policy = &*policy.to_policy()?;
        let admit = |header: &_| self.admit(header, policy);
        let (header, preamble) = read_front_async(&mut inner, admit).await?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        let inner = BufReader::with_capacity(SEALED_RUN_LEN, inner);
        Ok(AsyncDecryptReader::new(decryptor, inner))
    }

    /// As [`async_reader`](Self::async_reader), for a source that has a buffer: a byte slice is
    /// decrypted without a copy.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let mut reader = envelope.async_buf_reader(&message[..], &DecryptPolicy::new()).await?;
    /// let mut plaintext = Vec::new();
    /// reader.read_to_end(&mut plaintext).await?;
    /// assert_eq!(plaintext, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`async_reader`](Self::async_reader).
    pub async fn async_buf_reader<R: AsyncBufRead + Unpin>(
        &self,
        mut inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<AsyncDecryptReader<R>> {
        let policy = &*policy.to_policy()?;
        let admit = |header: &_| self.admit(header, policy);
        let (header, preamble) = read_front_async(&mut inner, admit).await?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        Ok(AsyncDecryptReader::new(decryptor, inner))
    }
}

/// Decrypts what it reads from another tokio reader. Hands out verified bytes only; see
/// [`DecryptReader`](crate::io::DecryptReader).
///
/// ```
/// # use ncp_envelope::*;
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// let mut message = envelope.encrypt(vec![7; 20_000], EncryptionContext::new()).await?;
/// message.pop();
/// let mut reader = envelope.async_reader(&message[..], DecryptPolicy::new()).await?;
/// let mut plaintext = Vec::new();
/// assert!(reader.read_to_end(&mut plaintext).await.is_err(), "its end was cut off");
/// assert_eq!(plaintext.len(), 16_384);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct AsyncDecryptReader<R> {
    inner: R,
    body: Body,
    spare: Spare,
}

impl<R: AsyncBufRead + Unpin> AsyncDecryptReader<R> {
    /// Decrypts the chunks in `inner`, which is positioned right after the preamble, with
    /// `decryptor`.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use ncp_envelope::format::{Header, PREAMBLE_LEN};
    /// use ncp_envelope::io::AsyncDecryptReader;
    /// # let message = envelope.encrypt("hello", EncryptionContext::new()).await?;
    /// let mut inner = &message[..];
    /// let header = Header::read_from_async(&mut inner).await?;
    /// let mut preamble = [0; PREAMBLE_LEN];
    /// inner.read_exact(&mut preamble).await?;
    /// let decryptor = envelope.decryptor(&header, &preamble, DecryptPolicy::new()).await?;
    /// let mut plaintext = String::new();
    /// AsyncDecryptReader::new(decryptor, inner).read_to_string(&mut plaintext).await?;
    /// assert_eq!(plaintext, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn new(decryptor: Decryptor, inner: R) -> Self {
        Self { inner, body: Body::new(decryptor), spare: Spare::new() }
    }
}

impl<R> AsyncDecryptReader<R> {
    /// As [`DecryptReader::context`](crate::io::DecryptReader::context).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let context = EncryptionContext::new().with("kind", "note")?;
    /// let message = envelope.encrypt(b"hello", &context).await?;
    /// let reader = envelope.async_reader(&message[..], &DecryptPolicy::new()).await?;
    /// assert_eq!(reader.context().get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        self.body.context()
    }

    /// As [`DecryptReader::plaintext_len`](crate::io::DecryptReader::plaintext_len).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let mut reader = envelope.async_reader(&message[..], &DecryptPolicy::new()).await?;
    /// assert_eq!(reader.plaintext_len(), None);
    /// reader.read_to_end(&mut Vec::new()).await?;
    /// assert_eq!(reader.plaintext_len(), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn plaintext_len(&self) -> Option<u64> {
        self.body.plaintext_len()
    }

    /// The inner reader. It is at its end if this reader has returned 0, and at an unspecified
    /// position otherwise.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use tokio::io::AsyncReadExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let mut reader = envelope.async_buf_reader(&message[..], &DecryptPolicy::new()).await?;
    /// reader.read_to_end(&mut Vec::new()).await?;
    /// assert!(reader.into_inner().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: AsyncBufRead + Unpin> AsyncDecryptReader<R> {
    fn poll_open_some(
        inner: &mut R,
        body: &mut Body,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        while !body.ended()? {
            let input =
                ready!(Pin::new(&mut *inner).poll_fill_buf(cx)).map_err(Error::from_below)?;
            let progress = body.step(input, out)?;
            Pin::new(&mut *inner).consume(progress.consumed);
            if progress.written > 0 {
                return Poll::Ready(Ok(progress.written));
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for AsyncDecryptReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.spare.is_empty() {
            let turn = ready!(poll_turn(cx, buf.remaining()));
            if buf.remaining() >= CHUNK_LEN {
                let room = buf.initialize_unfilled();
                // A run at a time: a poll must not keep its thread for as long as a huge buffer
                // takes.
                let len = room.len().min(PLAIN_RUN_LEN);
                let written = ready!(Self::poll_open_some(
                    &mut this.inner,
                    &mut this.body,
                    cx,
                    &mut room[..len]
                ))?;
                turn.made_progress();
                buf.advance(written);
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Self::poll_open_some(
                &mut this.inner,
                &mut this.body,
                cx,
                this.spare.room()
            ))?;
            turn.made_progress();
            this.spare.filled(written);
        }
        let part = this.spare.take(buf.remaining());
        buf.put_slice(part);
        Poll::Ready(Ok(()))
    }
}

impl<R: fmt::Debug> fmt::Debug for AsyncDecryptReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncDecryptReader").field("inner", &self.inner).finish_non_exhaustive()
    }
}
