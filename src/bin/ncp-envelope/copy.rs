//! What a copy of a tree has beside files: directories and links.
//!
//! Promises: nothing is written through a symbolic link, because whoever made the tree may have
//! put it there. Directories get their rights and times last, the deepest first, so that one
//! without the right to write can be filled. They have those of the original, less the umask.

use crate::failures::Failures;
use ncp_envelope::{Error, ErrorKind};
use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Directories and links to finish.
pub(crate) struct Copy {
    force: bool,
    umask: u32,
    directories: Mutex<Vec<Directory>>,
    /// Each with its original.
    links: Mutex<Vec<(PathBuf, PathBuf)>>,
}

struct Directory {
    path: PathBuf,
    mode: u32,
    modified: Option<SystemTime>,
}

impl Copy {
    /// `force` replaces links that exist.
    pub(crate) fn new(force: bool) -> Self {
        let (directories, links) = (Mutex::default(), Mutex::default());
        Self { force, umask: umask(), directories, links }
    }

    /// Makes the directory `path` as a copy of another one, or takes the one that exists.
    pub(crate) fn directory(&self, path: &Path, original: &Metadata) -> Result<(), Error> {
        let failed = |error| {
            let text = format!("cannot make the directory {}: {error}", path.display());
            Error::with_source(ErrorKind::Io, text, error)
        };
        match create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                refuse_link(path)?;
                open_up(path).map_err(failed)?;
            }
            done => done.map_err(failed)?,
        }
        let mode = mode(original) & !self.umask;
        let directory =
            Directory { path: path.to_owned(), mode, modified: original.modified().ok() };
        self.directories.lock().unwrap_or_else(PoisonError::into_inner).push(directory);
        Ok(())
    }

    /// Notes a link, which is made at the end: no file can be written through it.
    pub(crate) fn link(&self, original: PathBuf, path: PathBuf) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push((original, path));
    }

    /// Makes links and finishes directories.
    pub(crate) fn finish(&self, failures: &Failures) {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        for (original, path) in links {
            if let Err(error) = self.make_link(&original, &path) {
                let text = format!("cannot make the link {}: {error}", path.display());
                failures.add(&original, Error::with_source(ErrorKind::Io, text, error));
            }
        }
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(directory) = directories.pop() {
            if let Err(error) = directory.finish() {
                let path = directory.path.display();
                let text = format!("cannot set rights and time of the directory {path}: {error}");
                failures.add(&directory.path, Error::with_source(ErrorKind::Io, text, error));
            }
        }
    }

    fn make_link(&self, original: &Path, path: &Path) -> io::Result<()> {
        let text = fs::read_link(original)?;
        match symlink(&text, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read_link(path).is_ok_and(|there| there == text) {
                    return Ok(());
                }
                if !self.force {
                    return Err(io::Error::other("it exists: replace it with --force"));
                }
                fs::remove_file(path)?;
                symlink(&text, path)
            }
            done => done,
        }
    }
}

/// Refuses an output under the name of a symbolic link.
fn refuse_link(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => {
            let text = format!(
                "{} is a symbolic link, and many files are never written through one: remove it",
                path.display()
            );
            Err(Error::new(ErrorKind::InvalidInput, text))
        }
        _ => Ok(()),
    }
}

impl Directory {
    #[cfg(unix)]
    fn finish(&self) -> io::Result<()> {
        use rustix::fs::OFlags;
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
        let open = File::options().read(true).custom_flags(flags).open(&self.path)?;
        if let Some(modified) = self.modified {
            open.set_times(FileTimes::new().set_modified(modified))?;
        }
        open.set_permissions(fs::Permissions::from_mode(self.mode))
    }

    #[cfg(not(unix))]
    fn finish(&self) -> io::Result<()> {
        let _ = (self.mode, self.modified);
        Ok(())
    }
}

/// Nobody else can look into it before it is finished.
#[cfg(unix)]
fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes the directory of an earlier run writable again.
#[cfg(unix)]
fn open_up(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let there = fs::symlink_metadata(path)?;
    if !there.is_dir() {
        return Err(io::Error::other("it exists and is no directory"));
    }
    let mode = there.permissions().mode();
    match mode & 0o700 == 0o700 {
        true => Ok(()),
        false => fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777 | 0o700)),
    }
}

#[cfg(not(unix))]
fn open_up(path: &Path) -> io::Result<()> {
    match path.is_dir() {
        true => Ok(()),
        false => Err(io::Error::other("it exists and is no directory")),
    }
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o777
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0
}

/// The system only tells it in exchange for another one. A file that another thread makes
/// meanwhile has fewer rights, and not more.
#[cfg(unix)]
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.bits()
}

#[cfg(not(unix))]
fn umask() -> u32 {
    0
}

#[cfg(unix)]
fn symlink(text: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(text, path)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other("links are not copied on this system"))
}
