//! A file that appears under its name complete, or not at all, for tokio.

use crate::error::{Error, Result};
use crate::io::atomic::AtomicFile;
use crate::io::buffer::PageBuffer;
use crate::io::offload::offload;
use crate::io::options::FileOptions;
use crate::io::write::broken;
use ::tokio::io::AsyncWrite;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How much goes to a blocking thread at a time.
const BUFFER_LEN: usize = 256 << 10;

/// An [`AtomicFile`] for asynchronous code: the file gets the target's name in one step, with
/// [`commit`](Self::commit).
///
/// Its promises are those of [`AtomicFile`]. Dropping it, even with a write in flight, leaves
/// nothing behind and the target unchanged. File work is done on tokio's blocking threads, up to
/// 256 KiB at a time; the buffer is wiped when dropped. Flushing writes everything buffered;
/// shutting down does the same. Only a commit gives the file its name.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::{AsyncAtomicFile, FileOptions};
/// use tokio::io::AsyncWriteExt;
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let file = AsyncAtomicFile::create(&path, &FileOptions::new()).await?;
/// let mut writer = envelope.async_writer(file, EncryptionContext::new()).await?;
/// writer.write_all(b"all of it").await?;
/// assert!(!path.exists());
/// writer.finish().await?.commit().await?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct AsyncAtomicFile {
    target: PathBuf,
    state: State,
}

enum State {
    Idle(Pending),
    /// A blocking thread writes the buffer.
    Writing(Pin<Box<dyn Future<Output = Result<Pending>> + Send>>),
    Failed,
}

/// The file, and the bytes buffered for it.
struct Pending {
    file: AtomicFile,
    buffer: PageBuffer,
    held: usize,
}

impl AsyncAtomicFile {
    /// As [`AtomicFile::create`].
    ///
    /// ```
    /// use ncp_envelope::io::{AsyncAtomicFile, FileOptions};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("there already");
    /// # std::fs::write(&path, "x")?;
    /// let error = AsyncAtomicFile::create(&path, &FileOptions::new()).await.unwrap_err();
    /// assert_eq!(error.kind(), ncp_envelope::ErrorKind::InvalidInput);
    /// AsyncAtomicFile::create(&path, &FileOptions::new().overwrite(true)).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn create(target: impl AsRef<Path>, options: &FileOptions) -> Result<Self> {
        let (target, options) = (target.as_ref().to_owned(), options.clone());
        offload(move |_| AtomicFile::create(target, &options)).await.map(Self::from)
    }

    /// Writes what is buffered, and gives the file its name; as [`AtomicFile::commit`].
    ///
    /// If the future is dropped, the target is either unchanged or the whole file.
    ///
    /// ```
    /// use ncp_envelope::io::{AsyncAtomicFile, FileOptions};
    /// use tokio::io::AsyncWriteExt;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.txt");
    /// let mut file = AsyncAtomicFile::create(&path, &FileOptions::new()).await?;
    /// file.write_all(b"all of it").await?;
    /// file.commit().await?;
    /// assert_eq!(std::fs::read(&path)?, b"all of it");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As there, also if a write failed before.
    pub async fn commit(mut self) -> Result<()> {
        poll_fn(|cx| self.poll_written(cx)).await?;
        let State::Idle(Pending { mut file, .. }) = self.state else { return Err(broken()) };
        offload(move |cancelled| {
            file.finish()?;
            cancelled.check()?;
            file.commit()
        })
        .await
    }

    /// Waits for the write in flight, without starting one for what is buffered.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Pending>> {
        if let State::Writing(writing) = &mut self.state {
            self.state = match ready!(writing.as_mut().poll(cx)) {
                Ok(pending) => State::Idle(pending),
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(error));
                }
            };
        }
        match &mut self.state {
            State::Idle(pending) => Poll::Ready(Ok(pending)),
            _ => Poll::Ready(Err(broken())),
        }
    }

    /// Waits until the file has everything.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while ready!(self.poll_idle(cx))?.held > 0 {
            self.begin();
        }
        Poll::Ready(Ok(()))
    }

    /// Has a blocking thread write what is buffered, from the next poll on.
    fn begin(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(pending) => State::Writing(Box::pin(offload(move |_| pending.write()))),
            other => other,
        };
    }
}

impl Pending {
    fn write(mut self) -> Result<Self> {
        let written = self.file.write_all(&self.buffer[..self.held]);
        written.map_err(|error| {
            let name = self.file.output().target().display();
            Error::io(format_args!("cannot write {name}"), error)
        })?;
        self.held = 0;
        Ok(self)
    }
}

/// For a file that was made by [`AtomicFile::create_from`].
impl From<AtomicFile> for AsyncAtomicFile {
    fn from(file: AtomicFile) -> Self {
        let target = file.output().target().to_owned();
        let pending = Pending { file, buffer: PageBuffer::new(BUFFER_LEN), held: 0 };
        Self { target, state: State::Idle(pending) }
    }
}

/// After a write that failed, the file cannot be committed.
impl AsyncWrite for AsyncAtomicFile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let pending = ready!(self.poll_idle(cx))?;
            let len = buf.len().min(BUFFER_LEN - pending.held);
            if len > 0 {
                let to = pending.held..pending.held + len;
                pending.buffer[to].copy_from_slice(&buf[..len]);
                pending.held += len;
                return Poll::Ready(Ok(len));
            }
            self.begin();
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl fmt::Debug for AsyncAtomicFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncAtomicFile").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::output::Step;
    use crate::output::tests::watch::{Fault, watched};
    use ::tokio::io::AsyncWriteExt;
    use rustix::io::Errno;
    use std::fs;
    use std::pin::pin;
    use std::task::Waker;

    /// Writes three buffers and commits, and keeps writing after an error. Without a runtime, so
    /// that everything happens on this thread.
    fn write(path: &Path, bytes: &[u8]) -> Result<()> {
        let work = async {
            let options = FileOptions::new().overwrite(true);
            let mut file = AsyncAtomicFile::create(path, &options).await?;
            let mut failed = None;
            for part in bytes.chunks(100_000) {
                if let Err(error) = file.write_all(part).await {
                    failed = Some(error);
                }
            }
            let committed = file.commit().await;
            if let Some(error) = failed {
                let after = committed.unwrap_err().to_string();
                assert!(after.contains("earlier write"), "{error}, and then {after}");
                return Err(Error::io("write", error));
            }
            committed
        };
        match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("nothing to wait for"),
        }
    }

    #[test]
    fn whichever_request_fails_the_target_is_what_it_was_or_whole() {
        let named: &[(Step, Errno)] = &[(Step::CreateNameless, Errno::OPNOTSUPP)];
        let bytes = vec![7; 3 * BUFFER_LEN + 1];
        for system in [&[][..], named] {
            for nth in 0.. {
                let place = tempfile::tempdir().unwrap();
                let path = place.path().join("out");
                fs::write(&path, "old").unwrap();
                let fault = Fault::EachAndNth(system, nth, Errno::IO);
                let (done, steps) = watched(fault, || write(&path, &bytes));
                let now = fs::read(&path).unwrap();
                let what = format!("{nth} of {steps:?}: {done:?}");
                let whole = match &done {
                    Ok(()) => true,
                    Err(error) => error.to_string().contains("in place and whole"),
                };
                assert!(now == if whole { &bytes[..] } else { b"old" }, "{what}");
                assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "{what}");
                if nth > steps.len() {
                    break;
                }
            }
        }
    }
}
