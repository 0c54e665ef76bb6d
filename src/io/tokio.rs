//! The reader and writer for tokio.

use super::buffer::PageBuffer;
use super::read::{Body, Front, Spare};
use super::run::{RUN_CHUNKS, SEALED_RUN_LEN};
use super::write::broken;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{CHUNK_LEN, Decryptor, Encryptor};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use ::tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use ::tokio::task::coop::{RestoreOnPending, poll_proceed};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const PLAIN_RUN_LEN: usize = RUN_CHUNKS * CHUNK_LEN;

impl Envelope {
    /// As [`writer`](Self::writer), for a tokio writer.
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

    /// As [`reader`](Self::reader), for a tokio reader.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt), and [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub async fn async_reader<R: AsyncBufRead + Unpin>(
        &self,
        mut inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<AsyncDecryptReader<R>> {
        let policy = &*policy.to_policy()?;
        let mut front = Front::new();
        loop {
            let read = (&mut inner).take(front.missing()).read_to_end(&mut front.bytes).await;
            read.map_err(|error| Error::io("cannot read the message", error))?;
            if front.advance(|header| self.admit(header, policy))? {
                break;
            }
        }
        let (header, preamble) = front.finish()?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        Ok(AsyncDecryptReader::new(decryptor, inner))
    }
}

/// Encrypts what is written to it into another tokio writer.
///
/// The message is complete only after [`finish`](Self::finish) or a successful
/// [`shutdown`](AsyncWriteExt::shutdown); what was dropped before does not open. Up to 16,383 bytes
/// are held back until the chunk they belong to is full. After an error every further call fails,
/// and after a shutdown every further write.
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
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the inner writer fails, now or in an earlier
    /// call; [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) past 64 TiB.
    pub async fn finish(mut self) -> Result<W> {
        let io = |error| Error::io("cannot write the message", error);
        poll_fn(|cx| self.poll_end(cx)).await.map_err(io)?;
        self.inner.flush().await.map_err(io)?;
        Ok(self.inner)
    }

    /// Gives the inner writer all that waits for it.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_write_out(cx);
        self.noting_failure(result)
    }

    /// What reached an inner writer that failed is not known, so nothing may follow it.
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

/// Asks whether the task may work on `len` bytes, at most a run, before it lets others have the
/// thread. With a peer that is always ready it would otherwise keep the thread for as long as the
/// data lasts. A run is worked on right here, which takes some 30 us: a poll cannot lend the
/// caller's bytes to another thread, so that one would have to be given a copy.
fn poll_turn(cx: &mut Context<'_>, len: usize) -> Poll<RestoreOnPending> {
    let first = ready!(poll_proceed(cx));
    // The runtime lets a task make 128 calls in a turn, and takes them for short ones: a chunk
    // counts as one.
    for _ in 1..len.min(PLAIN_RUN_LEN).div_ceil(CHUNK_LEN) {
        ready!(poll_proceed(cx)).made_progress();
    }
    Poll::Ready(first)
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

    /// Ends the message, then shuts the inner writer down. Not for giving up: to give up, drop the
    /// writer.
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

/// Decrypts what it reads from another tokio reader. Hands out verified bytes only; see
/// [`DecryptReader`](super::DecryptReader).
pub struct AsyncDecryptReader<R> {
    inner: R,
    body: Body,
    spare: Spare,
}

impl<R: AsyncBufRead + Unpin> AsyncDecryptReader<R> {
    /// Decrypts the chunks in `inner`, which stands right behind the preamble, with `decryptor`.
    pub fn new(decryptor: Decryptor, inner: R) -> Self {
        Self { inner, body: Body::new(decryptor), spare: Spare::new() }
    }

    /// The inner reader. It stands at its end if this reader has returned 0, and anywhere before.
    pub fn into_inner(self) -> R {
        self.inner
    }

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
