//! One writer at a time.

use super::front::{cannot, options, refuse_others};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A file whose slots nobody else replaces until this is dropped. The lock is advisory.
pub(super) struct Locked(pub(super) File);

impl Locked {
    /// Opens the file `path`, following symbolic links, to read and write it, and waits for its
    /// lock for at most `patience`. The previous holder may have replaced the file: the new one is
    /// then opened.
    pub(super) fn take(path: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let io = |error| cannot("open", path, error);
            refuse_others(path, &std::fs::metadata(path).map_err(io)?)?;
            let file = options().read(true).write(true).open(path).map_err(io)?;
            refuse_others(path, &file.metadata().map_err(io)?)?;
            match file.try_lock() {
                Ok(()) => {
                    let locked = Self(file);
                    if locked.is_at(path).map_err(io)? {
                        return Ok(locked);
                    }
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(cannot("lock", path, error)),
            }
            if Instant::now() >= deadline {
                let text = format!(
                    "{} is locked: another program replaces its key slots, or holds it for \
                     something else; try again when that one is done",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Io, text));
            }
            std::thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether `path` still leads to this file.
    #[cfg(unix)]
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let (own, there) = (self.0.metadata()?, std::fs::metadata(path));
        match there {
            Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = same_file::Handle::from_file(self.0.try_clone()?)?;
        Ok(own == same_file::Handle::from_path(path)?)
    }
}
