//! Resolves an output's target, and checks that it may be written.

use super::settings::{Settings, Source};
use super::system;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// As many as systems follow.
const MAX_LINKS: usize = 40;

/// The place of an output, and what was there when it was looked at.
pub(crate) struct Target {
    /// Its name, as it was given.
    pub(super) name: PathBuf,
    /// The same behind links.
    pub(super) path: PathBuf,
    /// What is there.
    pub(super) replaced: Option<Metadata>,
    /// Whether something has the name, such as a link to nothing.
    is_taken: bool,
}

impl Target {
    /// Looks, and refuses what no settings allow. Follows a link, as every other program does, also
    /// to a file that does not exist yet.
    pub(crate) fn look(target: &Path, settings: Settings) -> Result<Self> {
        check_name(target)?;
        let io = |error| Error::io(format_args!("cannot look at {}", target.display()), error);
        let found = match system::look(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.map_err(io)?),
        };
        let linked = found.as_ref().is_some_and(Metadata::is_symlink);
        let is_taken = found.is_some();
        if linked && settings.refuse_links {
            let text = format!(
                "{} is a symbolic link, and outputs are not written through one: remove it",
                target.display()
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let (path, replaced) = if linked {
            let path = behind(target).map_err(io)?;
            match std::fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => (path, None),
                there => (path, Some(there.map_err(io)?)),
            }
        } else {
            (target.to_owned(), found)
        };
        Ok(Self { name: target.to_owned(), path, replaced, is_taken })
    }

    /// What is there.
    pub(crate) fn replaced(&self) -> Option<&Metadata> {
        self.replaced.as_ref()
    }

    /// Whether an output here replaces nothing, whatever happens meanwhile: the name was free, and
    /// is given only if it still is.
    pub(crate) fn stays_free(&self, settings: Settings) -> bool {
        !self.is_taken && !settings.overwrite
    }

    /// Refuses what `settings` do not allow, and what would replace its own source.
    pub(crate) fn admit(&self, settings: Settings, source: Option<Source<'_>>) -> Result<()> {
        let target = &self.name;
        let io = |error| Error::io(format_args!("cannot look at {}", target.display()), error);
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidInput, text));
        if let Some(there) = &self.replaced {
            if there.is_dir() {
                return refuse(format!("{} is a directory: name a file in it", target.display()));
            }
            if !there.is_file() {
                return refuse(format!(
                    "{} is not a regular file: use a writer to send a message to a device or pipe",
                    target.display()
                ));
            }
            if let Some(source) = source
                && same(source.file, &self.path).map_err(io)?
            {
                return refuse(format!(
                    "{} and {} are the same file: choose another output",
                    source.path.display(),
                    target.display()
                ));
            }
        }
        if self.is_taken && !settings.overwrite {
            return Err(taken(target));
        }
        Ok(())
    }
}

/// What to say of a name that is not free and must be.
pub(super) fn taken(target: &Path) -> Error {
    let text = format!("{} exists: choose another output or allow overwriting", target.display());
    Error::new(ErrorKind::InvalidInput, text)
}

/// The directory that the file `path` is in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `Path` overlooks a separator at the end, and with it that a directory is meant.
fn check_name(target: &Path) -> Result<()> {
    let text = target.as_os_str().as_encoded_bytes();
    let text = text.strip_suffix(b".").unwrap_or(text);
    let ends = text.last().is_some_and(|last| std::path::is_separator(char::from(*last)));
    if target.file_name().is_some() && !ends {
        return Ok(());
    }
    let text = format!("{} does not name a file", target.display());
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// The path at the end of links.
fn behind(link: &Path) -> io::Result<PathBuf> {
    let mut path = link.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {}
            Ok(_) => return std::fs::canonicalize(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
        path = parent(&path).join(std::fs::read_link(&path)?);
    }
    Err(io::Error::other("there are too many links"))
}

fn same(source: &File, path: &Path) -> io::Result<bool> {
    let source = same_file::Handle::from_file(source.try_clone()?)?;
    Ok(source == same_file::Handle::from_path(path)?)
}
