//! The file before it has its name.
//!
//! Nameless where the system can do that. Otherwise under a temporary name, which is removed when
//! the file is dropped, and by [`discard_unfinished`] in a program that is about to be ended.

use super::system;
use crate::process::{PerProcess, generation};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Removes what has only a temporary name, of all outputs in this process.
pub(crate) fn discard_unfinished() {
    let names = std::mem::take(&mut *names());
    for name in names {
        // Nobody is left who could be told.
        let _ = system::remove(&name);
    }
}

/// Whether `name` is the temporary name of an output: of one whose process was killed, unless it is
/// still being written.
#[cfg(feature = "emulator")]
pub(crate) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(system::PREFIX.as_bytes()) && name.ends_with(system::SUFFIX.as_bytes())
}

/// All temporary names of this process. A process that is forked off begins with none: its parent's
/// are still in use.
fn names() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static NAMES: OnceLock<PerProcess<Mutex<BTreeSet<PathBuf>>>> = OnceLock::new();
    let names = NAMES.get_or_init(|| PerProcess::new(Mutex::default(), |_| Mutex::default()));
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary name. What has it is removed when this is dropped.
pub(super) struct Name {
    path: PathBuf,
    generation: u64,
}

impl Name {
    /// What has the name `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        names().insert(path.clone());
        Self { path, generation: generation() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For what was renamed: nothing has this name any more.
    pub(super) fn gone(mut self) {
        self.forget();
    }

    fn forget(&mut self) -> bool {
        names().remove(&self.path)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // In a process that was forked off, the file is its parent's.
        if self.generation == generation() && self.forget() {
            let _ = system::remove(&self.path);
        }
    }
}

/// A file that is not yet what it is to be.
pub(super) struct Temporary {
    // Closed before its name is removed.
    pub(super) file: File,
    name: Option<Name>,
    directory: PathBuf,
    /// Whether it can be written at any place. Some file systems upload while they are written to.
    pub(super) seeks: bool,
}

impl Temporary {
    /// In `directory`, with `mode` less the umask from its first moment on.
    pub(super) fn create_in(directory: &Path, mode: u32) -> io::Result<Self> {
        let directory = directory.to_owned();
        // Why there is none does not matter: the other way says what is wrong, if something is.
        if let Ok(file) = system::create_nameless(&directory, mode) {
            return Ok(Self { file, name: None, directory, seeks: true });
        }
        let (file, name) = system::create_named(&directory, mode)?;
        let name = Some(Name::new(name));
        let seeks = system::write_at(&file, &[0], 1).and_then(|()| system::set_len(&file, 0));
        Ok(Self { file, name, directory, seeks: seeks.is_ok() })
    }

    /// Gives the file the name `target`. Without leave to `overwrite` it has to be free.
    ///
    /// On an error the target is what it was before.
    pub(super) fn publish(&mut self, target: &Path, overwrite: bool) -> io::Result<()> {
        if self.name.is_none() {
            match system::link_nameless(&self.file, target) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !overwrite => {
                    return Err(error);
                }
                // Only what has a name can replace something.
                Err(_) => self.name = Some(self.take_name()?),
            }
        }
        let Some(name) = self.name.take() else { return Ok(()) };
        let named = if overwrite {
            system::rename(name.path(), target).map(|()| name.gone())
        } else {
            rename_exclusive(name, target)
        };
        // On an error the name, and what has it, is gone with `name`.
        named
    }

    fn take_name(&mut self) -> io::Result<Name> {
        let file = &self.file;
        let linked =
            system::under_a_name(&self.directory, |name| system::link_nameless(file, name));
        if let Ok(name) = linked {
            return Ok(Name::new(name));
        }
        // Where a nameless file cannot be given a name, as without /proc, its content can.
        let (copy, name) = system::create_named(&self.directory, 0o600)?;
        let name = Name::new(name);
        system::copy(&self.file, &copy)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let was = self.file.metadata()?;
            if (was.uid(), was.gid()) != copy.metadata().map(|new| (new.uid(), new.gid()))? {
                system::set_owner(&copy, Some(was.uid()), Some(was.gid()))?;
            }
            system::set_mode(&copy, was.mode() & 0o777)?;
        }
        system::sync(&copy)?;
        self.file = copy;
        Ok(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What uploads a file as it is written does so with an empty one some time after it was
        // closed, and with any other one before that: only then it is there to be removed.
        if self.name.is_some() && !self.seeks {
            let _ = system::write(&self.file, &[0]);
        }
    }
}

/// Where the file system cannot rename to a free name only, a second link can be made to free names
/// only; where it has no links, a name can be claimed, and what claims it replaced.
fn rename_exclusive(name: Name, target: &Path) -> io::Result<()> {
    match system::rename_exclusive(name.path(), target) {
        Ok(()) => {
            name.gone();
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
    }
    match system::link(name.path(), target) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
    }
    system::claim(target)?;
    match system::rename(name.path(), target) {
        Ok(()) => {
            name.gone();
            Ok(())
        }
        Err(error) => {
            let _ = system::remove(target);
            Err(error)
        }
    }
}
