//! Resolves an output's target, and checks that it may be written.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// As many as systems follow.
const MAX_LINKS: usize = 40;

pub(super) struct Target {
    pub(super) path: PathBuf,
    /// What is there now.
    pub(super) replaced: Option<Metadata>,
}

impl Target {
    /// Follows a link, as every other program does, also to a file that does not exist yet.
    pub(super) fn settle(
        target: &Path,
        overwrite: bool,
        source: Option<(&File, &Path)>,
    ) -> Result<Self> {
        check_name(target)?;
        let io = |error| Error::io(format_args!("cannot look at {}", target.display()), error);
        let found = match std::fs::symlink_metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.map_err(io)?),
        };
        let linked = found.as_ref().is_some_and(Metadata::is_symlink);
        let (path, replaced) = if linked {
            let path = behind(target).map_err(io)?;
            match std::fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => (path, None),
                there => (path, Some(there.map_err(io)?)),
            }
        } else {
            (target.to_owned(), found.clone())
        };
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidInput, text));
        if let Some(there) = &replaced {
            if there.is_dir() {
                return refuse(format!("{} is a directory: name a file in it", target.display()));
            }
            if !there.is_file() {
                return refuse(format!(
                    "{} is not a regular file: use a writer to send a message to a device or pipe",
                    target.display()
                ));
            }
            if let Some((source, source_path)) = source
                && same(source, &path).map_err(io)?
            {
                return refuse(format!(
                    "{} and {} are the same file: choose another output",
                    source_path.display(),
                    target.display()
                ));
            }
        }
        if found.is_some() && !overwrite {
            return refuse(format!(
                "{} exists: choose another output or allow overwriting",
                target.display()
            ));
        }
        Ok(Self { path, replaced })
    }
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
