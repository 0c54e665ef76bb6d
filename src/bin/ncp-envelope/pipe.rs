//! Standard input and output, with writing done beside reading and sealing.

use crate::status::Failure;
use ncp_envelope::{Error, ErrorKind};
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use zeroize::Zeroizing;

/// What is read or written at once: eight sealed chunks. All buffers and both pipes together have
/// to fit a core's own cache, or the bytes take the way through memory several times.
pub(crate) const BUFFER_LEN: usize = 8 * ncp_envelope::format::SEALED_CHUNK_LEN;
/// One is filled, one is written, one lies between.
const BUFFERS: usize = 3;
const PAGE: usize = 4_096;
/// With the usual 64 KiB, reader and writer wait for each other more often; 1 MiB falls out of the
/// cache.
#[cfg(target_os = "linux")]
const PIPE_LEN: usize = 256 << 10;

/// Bytes that start on a page, which the kernel copies to and from faster, and that are wiped when
/// dropped.
pub(crate) struct Buffer {
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self::with_len(BUFFER_LEN)
    }

    pub(crate) fn with_len(len: usize) -> Self {
        let bytes = Zeroizing::new(vec![0; len + PAGE]);
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, start, len }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// A buffered reader whose buffer starts on a page.
pub(crate) struct Buffered<R> {
    inner: R,
    buffer: Buffer,
    at: usize,
    end: usize,
}

impl<R: Read> Buffered<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, buffer: Buffer::new(), at: 0, end: 0 }
    }
}

impl<R: Read> BufRead for Buffered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            self.at = 0;
            self.end = 0;
            self.end = self.inner.read(self.buffer.bytes())?;
        }
        Ok(&self.buffer.bytes()[self.at..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.end.min(self.at + amount);
    }
}

impl<R: Read> Read for Buffered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buf)?;
        self.consume(len);
        Ok(len)
    }
}

/// Turns true when the caller of the work has gone away.
#[derive(Clone, Default)]
pub(crate) struct Abandoned(Arc<AtomicBool>);

impl Abandoned {
    /// Turns it true when what this returns is dropped.
    pub(crate) fn on_drop(&self) -> impl Drop + use<> {
        struct Guard(Abandoned);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.0.store(true, Ordering::Relaxed);
            }
        }
        Guard(self.clone())
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) {
            Err(Error::new(ErrorKind::Io, "interrupted"))
        } else {
            Ok(())
        }
    }
}

/// Runs `work` where blocking is allowed. It is told when the program is interrupted, so that it
/// can clean up.
pub(crate) async fn blocking(
    work: impl FnOnce(&Abandoned) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let abandoned = Abandoned::default();
    let _guard = abandoned.on_drop();
    let work = tokio::task::spawn_blocking(move || work(&abandoned));
    work.await.unwrap_or_else(|error| Err(Failure::other(format!("stopped: {error}"))))
}

/// Writes to `sink` what `produce` puts into buffer after buffer, while it fills the next, until it
/// has no more. Gives back the sink.
pub(crate) fn write_beside<W: Write + Send>(
    sink: W,
    abandoned: &Abandoned,
    mut produce: impl FnMut(&mut [u8]) -> Result<Option<usize>, Error>,
) -> Result<W, Error> {
    let (full, to_write) = mpsc::sync_channel(BUFFERS);
    let (written, empty) = mpsc::sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        // There is room for all of them.
        let _ = written.send(Buffer::new());
    }
    thread::scope(|scope| {
        let writer = scope.spawn(move || write_all(sink, &to_write, &written));
        let produced = (|| -> Result<(), Error> {
            // The writer hangs up only when it failed, which is said below.
            while let Ok(mut buffer) = empty.recv() {
                abandoned.check()?;
                let Some(len) = produce(buffer.bytes())? else { break };
                if len > 0 && full.send((buffer, len)).is_err() {
                    break;
                }
            }
            Ok(())
        })();
        drop(full);
        let written = writer
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that writes did not finish")));
        // Who reads gets what was verified, also when something behind it was not; the first fault
        // is the one to report.
        produced?;
        written.map_err(|error| failed("write the output", error))
    })
}

fn write_all<W: Write>(
    mut sink: W,
    to_write: &Receiver<(Buffer, usize)>,
    written: &SyncSender<Buffer>,
) -> io::Result<W> {
    while let Ok((mut buffer, len)) = to_write.recv() {
        sink.write_all(&buffer.bytes()[..len])?;
        // Nobody waits for it at the end.
        let _ = written.send(buffer);
    }
    sink.flush()?;
    Ok(sink)
}

/// One read, again when a signal came in between.
pub(crate) fn read(source: &mut impl Read, buf: &mut [u8]) -> Result<usize, Error> {
    loop {
        match source.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| failed("read the input", error)),
        }
    }
}

/// An error of the library that came through an I/O error is given back as it was.
fn failed(what: &str, error: io::Error) -> Error {
    Error::inside(&error)
        .unwrap_or_else(|| Error::new(ErrorKind::Io, format!("cannot {what}: {error}")))
}

/// Standard input without the buffer that the standard library puts in front of it.
pub(crate) fn stdin() -> io::Result<Box<dyn Read + Send>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
        widen(&file);
        Ok(Box::new(file))
    }
    #[cfg(not(unix))]
    Ok(Box::new(io::stdin()))
}

/// Standard output without the standard library's buffer, which looks for line ends in everything.
pub(crate) fn stdout() -> io::Result<Box<dyn Write + Send>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        widen(&file);
        Ok(Box::new(file))
    }
    #[cfg(not(unix))]
    Ok(Box::new(io::stdout()))
}

/// Makes room in a pipe. What is none, or may not be larger, stays as it is.
#[cfg(unix)]
fn widen(file: &std::fs::File) {
    #[cfg(target_os = "linux")]
    if rustix::pipe::fcntl_getpipe_size(file).is_ok_and(|len| len < PIPE_LEN) {
        let _ = rustix::pipe::fcntl_setpipe_size(file, PIPE_LEN);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
