//! Files that have their names, and directories that may not know it on the disk yet.

use super::system;
use super::target::parent;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// A file that has its name, which a crash could still undo.
pub(crate) struct Settling {
    pub(super) target: PathBuf,
    pub(super) sync: bool,
}

impl Settling {
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the directory, so that the name survives a crash.
    pub(crate) fn settle(&self) -> Result<()> {
        self.settle_with(&mut HashMap::new())
    }

    /// The same; each directory is synced once, and what that gave is in `synced`. A failure is for
    /// all files of the directory: a system tells it to the first who asks, and nobody after that.
    pub(crate) fn settle_with(&self, synced: &mut HashMap<PathBuf, io::Result<()>>) -> Result<()> {
        if !self.sync {
            return Ok(());
        }
        let directory = parent(&self.target);
        if !synced.contains_key(directory) {
            synced.insert(directory.to_owned(), system::sync_directory(directory));
        }
        match synced.get(directory) {
            // Then the directory may not be on the disk.
            Some(Err(error)) if lost(error) => Err(Error::io(
                format_args!(
                    "{} is in place and whole, but a power cut could undo that, as its directory \
                     cannot be synced",
                    self.target.display()
                ),
                same(error),
            )),
            // It cannot be opened or does not know the request: the file system does what it does.
            _ => Ok(()),
        }
    }
}

fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn lost(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        // Without an open file nobody asks the file system at all.
        let told = [Errno::IO, Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        if told.contains(&error.raw_os_error()) {
            return true;
        }
    }
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
