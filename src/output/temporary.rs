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
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long to wait for names that are given at this moment; on a file system that does not answer
/// that may take for ever.
const PATIENCE: Duration = Duration::from_millis(200);

/// Removes all temporary files of this process, and creates none from now on: a thread that is
/// still running must not leave one after this.
pub(crate) fn discard_unfinished() {
    let (names, start) = (names(), Instant::now());
    loop {
        match names.ended.try_write() {
            Ok(mut ended) => break *ended = true,
            Err(_) if start.elapsed() > PATIENCE => break,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    let taken = std::mem::take(&mut *names.taken());
    for name in taken {
        // There is no caller left to report an error to.
        let _ = system::remove(&name);
    }
}

/// Whether `name` is the temporary name of an output: of one whose process was killed, unless it is
/// still being written.
pub(crate) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(system::PREFIX.as_bytes()) && name.ends_with(system::SUFFIX.as_bytes())
}

/// All temporary names of this process. A process that is forked off begins with none: its parent's
/// are still in use.
#[derive(Default)]
struct Names {
    taken: Mutex<BTreeSet<PathBuf>>,
    /// Read while a name is given, so that a slow file system delays nobody else.
    ended: RwLock<bool>,
}

impl Names {
    fn taken(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names() -> &'static Names {
    static NAMES: OnceLock<PerProcess<Names>> = OnceLock::new();
    NAMES.get_or_init(|| PerProcess::new(Names::default(), |_| Names::default()))
}

/// For a test, after which the process goes on.
#[cfg(test)]
pub(super) fn go_on() {
    *names().ended.write().unwrap_or_else(PoisonError::into_inner) = false;
}

/// A temporary name. What has it is removed when this is dropped.
struct Name {
    path: PathBuf,
    generation: u64,
}

impl Name {
    /// Has `make` give something a temporary name. Nobody discards names between the making and the
    /// noting.
    fn take<T>(make: impl FnOnce() -> io::Result<(T, PathBuf)>) -> io::Result<(T, Self)> {
        let names = names();
        let ended = names.ended.read().unwrap_or_else(PoisonError::into_inner);
        if *ended {
            return Err(io::Error::other("the program is about to end"));
        }
        let (made, path) = make()?;
        names.taken().insert(path.clone());
        Ok((made, Self { path, generation: generation() }))
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// For what was renamed: nothing has this name any more.
    fn gone(mut self) {
        self.forget();
    }

    fn forget(&mut self) -> bool {
        names().taken().remove(&self.path)
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
    /// Whether its time of last change was set.
    pub(super) dated: bool,
}

impl Temporary {
    /// In `directory`, with `mode` less the umask from its first moment on.
    pub(super) fn create_in(directory: &Path, mode: u32) -> io::Result<Self> {
        let directory = directory.to_owned();
        let refused = match system::create_nameless(&directory, mode) {
            Ok(file) => return Ok(Self { file, name: None, directory, seeks: true, dated: false }),
            Err(error) => error,
        };
        let named = Name::take(|| system::create_named(&directory, mode));
        // Where both ways fail alike, the first speaks of nothing that the user did not name.
        let (file, name) = named.map_err(|error| match error.kind() == refused.kind() {
            true => refused,
            false => error,
        })?;
        let name = Some(name);
        let seeks = system::write_at(&file, &[0], 1).and_then(|()| system::set_len(&file, 0));
        Ok(Self { file, name, directory, seeks: seeks.is_ok(), dated: false })
    }

    /// Gives the file the name `target`. Without `overwrite` it must be free.
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
        let (file, directory) = (&self.file, &self.directory);
        let link = |name: &Path| system::link_nameless(file, name);
        let linked = Name::take(|| Ok(((), system::under_a_name(directory, link)?)));
        if let Ok(((), name)) = linked {
            return Ok(name);
        }
        // Where a nameless file cannot be given a name, as without /proc, its content can.
        let (copy, name) = Name::take(|| system::create_named(directory, 0o600))?;
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
        if self.dated {
            system::set_modified(&copy, self.file.metadata()?.modified()?)?;
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::output::tests::watch::ALONE;
    use std::sync::mpsc;

    #[test]
    fn a_name_that_is_being_given_is_waited_for_and_not_for_ever() {
        let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let (begin, begun) = mpsc::channel();
        std::thread::scope(|scope| {
            let giver = scope.spawn(|| {
                Name::take(|| {
                    begin.send(()).unwrap();
                    std::thread::sleep(PATIENCE / 10);
                    system::create_named(dir.path(), 0o600)
                })
            });
            begun.recv().unwrap();
            discard_unfinished();
            let given = giver.join().unwrap();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
            drop(given);
        });
        go_on();
        // As on a file system that does not answer.
        let (answer, answered) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let begin = begin.clone();
            scope.spawn(move || {
                let _ = Name::take(|| {
                    begin.send(()).unwrap();
                    let _ = answered.recv();
                    Err::<((), _), _>(io::ErrorKind::Other.into())
                });
            });
            begun.recv().unwrap();
            discard_unfinished();
            drop(answer);
        });
        go_on();
    }
}
