//! The writer that encrypts, for tokio.

use super::turn::poll_turn;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Encryptor;
use crate::io::buffer::PageBuffer;
use crate::io::run::SEALED_RUN_LEN;
use crate::io::write::broken;
use crate::policy::ToEncryptOptions;
use ::tokio::io::{AsyncWrite, AsyncWriteExt};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Envelope {
    /// As [`writer`](Self::writer), for a tokio writer.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use tokio::io::AsyncWriteExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let mut writer = envelope.async_writer(Vec::new(), EncryptionContext::new()).await?;
    /// writer.write_all(b"any number of bytes").await?;
    /// let message = writer.finish().await?;
    /// let opened = envelope.decrypt(&message, &DecryptPolicy::new()).await?;
    /// assert_eq!(&opened[..], b"any number of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn async_writer<W: AsyncWrite + Unpin>(
        &self,
        inner: W,
        options: impl ToEncryptOptions,
    ) -> Result<AsyncEncryptWriter<W>> {
        Ok(AsyncEncryptWriter::new(self.encryptor(options).await?, inner))
    }
}

/// Encrypts what is written to it into another tokio writer.
///
/// The message is complete only after [`finish`](Self::finish) or a successful
/// [`shutdown`](AsyncWriteExt::shutdown); a message whose writer was dropped does not open. Up to
/// 16,383 bytes are buffered until their chunk is full. After an error every later call fails, and
/// after a shutdown every later write.
///
/// ```
/// # use ncp_envelope::*;
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// let mut message = Vec::new();
/// let mut writer = envelope.async_writer(&mut message, EncryptionContext::new()).await?;
/// writer.write_all(b"hello").await?;
/// writer.shutdown().await?;
/// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new()).await?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct AsyncEncryptWriter<W> {
    inner: W,
    stage: Stage,
    // run[at..end] waits for the inner writer.
    run: PageBuffer,
    at: usize,
    end: usize,
}

enum Stage {
    Header(Encryptor, usize),
    Chunks(Encryptor),
    /// The last chunk is sealed, and `run` holds it until it is written.
    Last,
    Failed,
}

impl<W: AsyncWrite + Unpin> AsyncEncryptWriter<W> {
    /// Writes the message of `encryptor` into `inner`.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use ncp_envelope::io::AsyncEncryptWriter;
    /// let encryptor = envelope.encryptor(EncryptionContext::new()).await?;
    /// let mut writer = AsyncEncryptWriter::new(encryptor, Vec::new());
    /// writer.write_all(b"hello").await?;
    /// let message = writer.finish().await?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new()).await?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn new(encryptor: Encryptor, inner: W) -> Self {
        Self {
            inner,
            stage: Stage::Header(encryptor, 0),
            run: PageBuffer::new(SEALED_RUN_LEN),
            at: 0,
            end: 0,
        }
    }

    /// Writes the last chunk, flushes, and returns the inner writer without shutting it down.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// let writer = envelope.async_writer(Vec::new(), EncryptionContext::new()).await?;
    /// let message = writer.finish().await?;
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new()).await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the inner writer fails, now or in an earlier
    /// call; [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) past 64 TiB.
    pub async fn finish(mut self) -> Result<W> {
        let io = |error| Error::io("cannot write the message", error);
        poll_fn(|cx| self.poll_end(cx)).await.map_err(io)?;
        self.inner.flush().await.map_err(io)?;
        Ok(self.inner)
    }

    /// Writes everything pending to the inner writer.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_write_out(cx);
        self.noting_failure(result)
    }

    /// It is unknown what reached an inner writer that failed, so nothing may follow.
    fn noting_failure(&mut self, result: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(_)) = result {
            self.stage = Stage::Failed;
        }
        result
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stage::Failed = self.stage {
            return Poll::Ready(Err(broken().into()));
        }
        if let Stage::Header(encryptor, at) = &mut self.stage {
            while *at < encryptor.front().len() {
                let written =
                    ready!(Pin::new(&mut self.inner).poll_write(cx, &encryptor.front()[*at..]))?;
                *at += some(written)?;
            }
            if let Stage::Header(encryptor, _) = std::mem::replace(&mut self.stage, Stage::Failed) {
                self.stage = Stage::Chunks(encryptor);
            }
        }
        while self.at < self.end {
            let written =
                ready!(Pin::new(&mut self.inner).poll_write(cx, &self.run[self.at..self.end]))?;
            self.at += some(written)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if let Stage::Chunks(_) = self.stage
            && let Stage::Chunks(encryptor) = std::mem::replace(&mut self.stage, Stage::Failed)
        {
            let len = encryptor.finish(&mut self.run)?;
            (self.stage, self.at, self.end) = (Stage::Last, 0, len);
        }
        self.poll_drain(cx)
    }
}

fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

fn ended() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "message was ended by a shutdown: nothing can be written behind its end",
    )
}

impl<W: AsyncWrite + Unpin> AsyncWrite for AsyncEncryptWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_drain(cx))?;
        let turn = ready!(poll_turn(cx, buf.len()));
        let Stage::Chunks(encryptor) = &mut this.stage else {
            return Poll::Ready(Err(ended().into()));
        };
        match encryptor.update(buf, &mut this.run) {
            Ok(progress) => {
                (this.at, this.end) = (0, progress.written);
                turn.made_progress();
                Poll::Ready(Ok(progress.consumed))
            }
            Err(error) => {
                this.stage = Stage::Failed;
                Poll::Ready(Err(error.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.noting_failure(flushed)
    }

    /// Ends the message, then shuts the inner writer down. To abandon the message, drop the writer
    /// instead.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_end(cx))?;
        let shut_down = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.noting_failure(shut_down)
    }
}

impl<W: fmt::Debug> fmt::Debug for AsyncEncryptWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncEncryptWriter").field("inner", &self.inner).finish_non_exhaustive()
    }
}
