//! Whole streams, from a `Read` to a `Write`: the one loop for everything that is read in order.
//!
//! Promises: memory is four buffers of eight chunks, and two more for each thread that seals or
//! opens beside, however long the stream is. What one read brings is sealed or opened at once, and
//! full chunks go on, so that nothing waits for input that may not come. A sink is given verified
//! plaintext only (`F-27`), and everything that was verified before a fault. It gets nothing from a
//! source that cannot be read at all. The first fault is the one reported: the source's or the
//! message's before the sink's. Knows readers and writers, and nothing of names, files or keys.

use super::body::Body;
use super::buffer::PageBuffer;
use super::front::read_front;
use super::offload::{Cancelled, offload};
use super::workers::Piece;
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{CHUNK_LEN, Decryptor, Encryptor, SEALED_CHUNK_LEN};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

/// What is read or written at once. All buffers, and the pipes on both sides, have to fit a core's
/// own cache, or the bytes take the way through memory several times.
const STREAM_CHUNKS: usize = Piece::CHUNKS;
const PLAIN_LEN: usize = STREAM_CHUNKS * CHUNK_LEN;
const SEALED_LEN: usize = STREAM_CHUNKS * SEALED_CHUNK_LEN;
/// One is filled, one is written, one lies between.
const BUFFERS: usize = 3;

/// What a stream call did, and the sink that it wrote to.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let report = envelope.encrypt_stream(&b"hello"[..], Vec::new(), [("kind", "note")])?;
/// assert_eq!(report.bytes_read, 5);
/// assert_eq!(report.bytes_written as usize, report.sink.len());
/// assert_eq!(report.context.get("kind"), Some("note"));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamReport<W> {
    /// The sink, flushed.
    pub sink: W,
    /// Bytes read from the source.
    pub bytes_read: u64,
    /// Bytes written to the sink.
    pub bytes_written: u64,
    /// The encryption context of the message; of one that was decrypted, authentic.
    pub context: EncryptionContext,
}

impl<W> fmt::Debug for StreamReport<W> {
    // The sink of a decryption may hold plaintext.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReport")
            .field("bytes_read", &self.bytes_read)
            .field("bytes_written", &self.bytes_written)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl Envelope {
    /// Encrypts `source`, to its end, into `sink`: pipes, sockets, anything that is read in order.
    ///
    /// A second thread writes while the first one reads and encrypts. The work runs on blocking
    /// threads within a tokio runtime, and on the calling thread elsewhere. To write a file, pass
    /// an [`AtomicFile`](crate::io::AtomicFile) and commit it afterwards, so that no partial
    /// message gets its name.
    ///
    /// Dropping the future stops the work after the current buffer; a source that blocks keeps its
    /// thread until it returns.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let source = std::io::repeat(7).take(1_000_000);
    /// # use std::io::Read;
    /// let sealed = envelope.encrypt_stream(source, Vec::new(), EncryptionContext::new()).await?;
    /// let message = std::io::Cursor::new(sealed.sink);
    /// let opened = envelope.decrypt_stream(message, Vec::new(), &DecryptPolicy::new()).await?;
    /// assert_eq!(opened.bytes_written, 1_000_000);
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if source or sink fail; those of [`encryptor`](Self::encryptor). The sink
    /// is dropped, and what was written to it does not open.
    pub async fn encrypt_stream<R, W>(
        &self,
        source: R,
        sink: W,
        options: impl ToEncryptOptions,
    ) -> Result<StreamReport<W>>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        let (encryptor, threads) = (self.encryptor(options).await?, self.thread_count());
        offload(move |cancelled| {
            let mut source = source;
            Stream::unnamed(&cancelled, threads).encrypt(&mut source, sink, encryptor)
        })
        .await
    }

    /// Decrypts the message in `source`, to its end, into `sink`; as
    /// [`encrypt_stream`](Self::encrypt_stream) otherwise.
    ///
    /// Bytes are written to the sink as they are verified. The message is complete only if this
    /// succeeds: after an error, discard what the sink got.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt("hello", [("kind", "note")]).await?;
    /// let source = std::io::Cursor::new(message);
    /// let opened = envelope.decrypt_stream(source, Vec::new(), [("kind", "note")]).await?;
    /// assert_eq!(opened.sink, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if source or sink fail; those of [`decrypt`](Self::decrypt). The sink is
    /// dropped.
    pub async fn decrypt_stream<R, W>(
        &self,
        source: R,
        sink: W,
        policy: impl ToDecryptPolicy,
    ) -> Result<StreamReport<W>>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        let policy = &*policy.to_policy()?;
        let (this, admitted, mut source) = (self.clone(), policy.clone(), source);
        let (mut source, header, preamble) = offload(move |_| {
            let (header, preamble) =
                read_front(&mut source, |header| this.admit(header, &admitted))?;
            Ok((source, header, preamble))
        })
        .await?;
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        let front = header.bound().body_offset() + preamble.len();
        let threads = self.thread_count();
        offload(move |cancelled| {
            let mut report =
                Stream::unnamed(&cancelled, threads).decrypt(&mut source, sink, decryptor)?;
            report.bytes_read += front as u64;
            Ok(report)
        })
        .await
    }
}

/// What errors call the two ends.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) source: &'a str,
    pub(super) sink: &'a str,
}

/// How one stream is worked on.
pub(super) struct Stream<'a> {
    pub(super) names: Names<'a>,
    pub(super) cancelled: &'a Cancelled,
    /// Whether a thread of its own writes. Not worth it for what is short.
    pub(super) beside: bool,
    /// How many threads seal or open, if a second one writes.
    pub(super) threads: usize,
}

impl<'a> Stream<'a> {
    /// Between two ends that have no names.
    fn unnamed(cancelled: &'a Cancelled, threads: usize) -> Self {
        let names = Names { source: "the input", sink: "the output" };
        Self { names, cancelled, beside: true, threads }
    }

    pub(super) fn encrypt<W: Write + Send>(
        &self,
        source: &mut impl Read,
        mut sink: W,
        encryptor: Encryptor,
    ) -> Result<StreamReport<W>> {
        if self.beside && self.threads > 1 {
            return self.encrypt_shared(source, sink, encryptor);
        }
        let (mut input, mut bytes_read) = (PageBuffer::new(PLAIN_LEN), 0);
        // Before anything is written: a directory can be opened, and not be read.
        let mut first = Some(self.read(source, &mut input)?);
        sink.write_all(encryptor.front()).map_err(|error| self.cannot_write(error))?;
        let (context, header_len) = (encryptor.context().clone(), encryptor.front().len() as u64);
        let mut encryptor = Some(encryptor);
        let (sink, written) = self.write_out(sink, |out| {
            let Some(mut running) = encryptor.take() else { return Ok(None) };
            let len = first.take().map_or_else(|| self.read(source, &mut input), Ok)?;
            if len == 0 {
                return running.finish(out).map(Some);
            }
            bytes_read += len as u64;
            // With what is held back from before, this fills no more chunks than one output buffer.
            let progress = running.update(&input[..len], out)?;
            debug_assert_eq!(progress.consumed, len);
            encryptor = Some(running);
            Ok(Some(progress.written))
        })?;
        Ok(StreamReport { sink, bytes_read, bytes_written: header_len + written, context })
    }

    /// `source` stands behind the preamble.
    pub(super) fn decrypt<W: Write + Send>(
        &self,
        source: &mut impl Read,
        sink: W,
        decryptor: Decryptor,
    ) -> Result<StreamReport<W>> {
        if self.beside && self.threads > 1 {
            return self.decrypt_shared(source, sink, decryptor);
        }
        let (mut input, mut at, mut end) = (PageBuffer::new(SEALED_LEN), 0, 0);
        let context = decryptor.context().clone();
        let (mut body, mut bytes_read) = (Body::new(decryptor), 0);
        let (sink, bytes_written) = self.write_out(sink, |out| {
            while !body.ended()? {
                if at == end {
                    (at, end) = (0, self.read(source, &mut input)?);
                    bytes_read += end as u64;
                }
                let progress = body.step(&input[at..end], out)?;
                at += progress.consumed;
                if progress.written > 0 {
                    return Ok(Some(progress.written));
                }
            }
            Ok(None)
        })?;
        Ok(StreamReport { sink, bytes_read, bytes_written, context })
    }

    /// Writes to `sink` what `produce` puts into buffer after buffer, until it has no more.
    fn write_out<W: Write + Send>(
        &self,
        sink: W,
        mut produce: impl FnMut(&mut [u8]) -> Result<Option<usize>>,
    ) -> Result<(W, u64)> {
        let produce = |out: &mut [u8]| {
            self.cancelled.check()?;
            produce(out)
        };
        if self.beside { self.write_beside(sink, produce) } else { self.write_here(sink, produce) }
    }

    fn write_here<W: Write>(
        &self,
        mut sink: W,
        mut produce: impl FnMut(&mut [u8]) -> Result<Option<usize>>,
    ) -> Result<(W, u64)> {
        let (mut out, mut written) = (PageBuffer::new(SEALED_LEN), 0);
        while let Some(len) = produce(&mut out)? {
            sink.write_all(&out[..len]).map_err(|error| self.cannot_write(error))?;
            written += len as u64;
        }
        sink.flush().map_err(|error| self.cannot_write(error))?;
        Ok((sink, written))
    }

    fn write_beside<W: Write + Send>(
        &self,
        sink: W,
        mut produce: impl FnMut(&mut [u8]) -> Result<Option<usize>>,
    ) -> Result<(W, u64)> {
        let (full, to_write) = mpsc::sync_channel(BUFFERS);
        let (done, empty) = mpsc::sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // There is room for all of them.
            let _ = done.send(PageBuffer::new(SEALED_LEN));
        }
        thread::scope(|scope| {
            let writer = thread::Builder::new()
                .name("ncp-stream".to_owned())
                .spawn_scoped(scope, move || write_all(sink, &to_write, &done))
                .map_err(|error| {
                    let what = format!("cannot start the thread that writes the output: {error}");
                    Error::with_source(ErrorKind::Internal, what, error)
                })?;
            let mut written = 0;
            let produced = (|| -> Result<()> {
                // The writer hangs up only when it failed, which is said below.
                while let Ok(mut buffer) = empty.recv() {
                    let Some(len) = produce(&mut buffer)? else { break };
                    written += len as u64;
                    if len > 0 && full.send((buffer, len)).is_err() {
                        break;
                    }
                }
                Ok(())
            })();
            drop(full);
            let sink = writer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread that writes panicked")));
            // The sink gets what was verified, even if something after it was not.
            produced?;
            Ok((sink.map_err(|error| self.cannot_write(error))?, written))
        })
    }

    /// One read, retried when interrupted by a signal.
    pub(super) fn read(&self, source: &mut impl Read, buf: &mut [u8]) -> Result<usize> {
        loop {
            match source.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.cancelled.check()?;
                }
                result => {
                    let what = format_args!("cannot read {}", self.names.source);
                    return result.map_err(|error| Error::io(what, error));
                }
            }
        }
    }

    pub(super) fn cannot_write(&self, error: io::Error) -> Error {
        Error::io(format_args!("cannot write {}", self.names.sink), error)
    }
}

fn write_all<W: Write>(
    mut sink: W,
    to_write: &Receiver<(PageBuffer, usize)>,
    done: &SyncSender<PageBuffer>,
) -> io::Result<W> {
    while let Ok((buffer, len)) = to_write.recv() {
        sink.write_all(&buffer[..len])?;
        // Nobody waits for it at the end.
        let _ = done.send(buffer);
    }
    sink.flush()?;
    Ok(sink)
}
