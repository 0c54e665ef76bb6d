//! A file that appears under its name complete, or not at all.

use super::options::FileOptions;
use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Writes to a temporary file beside the target; [`commit`](Self::commit) syncs it and gives it the
/// target's name in one step.
///
/// Until then the target is what it was before, and dropping the writer removes the temporary file.
/// A process that is killed can leave `.NAME.XXXXXX.tmp` behind, never a part of the output under
/// the target's name.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
    overwrite: bool,
    sync: bool,
}

impl AtomicFile {
    /// Starts a file that will be named `target`. A target that is a link stands for the file
    /// behind it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the target is there and `options` do not allow to replace it,
    /// or if it is something else than a file; [`ErrorKind::Io`] if no file can be created beside
    /// it.
    pub fn create(target: impl AsRef<Path>, options: &FileOptions) -> Result<Self> {
        Self::create_for(target.as_ref(), options, None)
    }

    /// As [`create`](Self::create), and refuses a target that is the same file as `source`, under
    /// whatever names.
    pub(super) fn create_for(
        target: &Path,
        options: &FileOptions,
        source: Option<(&File, &Path)>,
    ) -> Result<Self> {
        let target = settle_target(source, target, options)?;
        Ok(Self {
            temporary: create_beside(&target)?,
            target,
            overwrite: options.overwrite,
            sync: !options.no_sync,
        })
    }

    /// Forces what was written so far to the disk, unless the options say not to.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn sync(&mut self) -> Result<()> {
        if self.sync {
            self.temporary
                .as_file()
                .sync_all()
                .map_err(|error| self.failed("sync the output for", error))?;
        }
        Ok(())
    }

    /// Syncs, and gives the file its name.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; the target is then what it was before.
    pub fn commit(mut self) -> Result<()> {
        self.sync()?;
        let Self { temporary, target, overwrite, sync } = self;
        let failed =
            |what, error| Error::io(format_args!("cannot {what} {}", target.display()), error);
        // Without leave to overwrite, a target that came into being meanwhile is not replaced
        // either.
        let named = if overwrite {
            temporary.persist(&target)
        } else {
            temporary.persist_noclobber(&target)
        };
        named.map_err(|error| failed("create", error.error))?;
        if sync {
            // The name itself is durable only once its directory is.
            File::open(parent(&target))
                .and_then(|directory| directory.sync_all())
                .map_err(|error| failed("sync the directory of", error))?;
        }
        Ok(())
    }

    /// Takes the disk space for `len` bytes now, and makes the file so long. Writes that fill it
    /// afterwards, in whatever order, cost less than writes that take their blocks one by one, and
    /// a disk that is too full is found out at the start.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if there is no room. A file system that cannot reserve space is none: the
    /// writes will show.
    #[cfg(unix)]
    pub(super) fn reserve(&self, len: u64) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            use rustix::io::{Errno, retry_on_intr};
            let reserved =
                retry_on_intr(|| fallocate(self.file(), FallocateFlags::empty(), 0, len));
            if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) = reserved {
                return Err(self.failed(&format!("reserve {len} bytes for"), error.into()));
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = len;
        Ok(())
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// For writing at given places.
    #[cfg(unix)]
    pub(super) fn file(&self) -> &File {
        self.temporary.as_file()
    }

    #[cfg(unix)]
    pub(super) fn syncs(&self) -> bool {
        self.sync
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        Error::io(format_args!("cannot {what} {}", self.target.display()), error)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.temporary.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Where the output really goes, if it may go there.
fn settle_target(
    source: Option<(&File, &Path)>,
    target: &Path,
    options: &FileOptions,
) -> Result<PathBuf> {
    let io = |error| Error::io(format_args!("cannot look at {}", target.display()), error);
    let target_meta = match std::fs::symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(target.to_owned()),
        Err(error) => return Err(io(error)),
    };
    // Through a link the file behind it is replaced, as every other program does.
    let target = if target_meta.is_symlink() {
        std::fs::canonicalize(target).map_err(io)?
    } else {
        target.to_owned()
    };
    let metadata = std::fs::metadata(&target).map_err(io)?;
    if !metadata.is_file() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} is not a regular file: use a writer to send a message to a device or pipe",
                target.display()
            ),
        ));
    }
    if let Some((source, source_path)) = source {
        let source = source.try_clone().and_then(same_file::Handle::from_file).map_err(io)?;
        if source == same_file::Handle::from_path(&target).map_err(io)? {
            let text = format!(
                "{} and {} are the same file: choose another output",
                source_path.display(),
                target.display()
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
    }
    if !options.overwrite {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{} exists: choose another output or allow overwriting", target.display()),
        ));
    }
    Ok(target)
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn create_beside(target: &Path) -> Result<NamedTempFile> {
    let Some(name) = target.file_name() else {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{} does not name a file", target.display()),
        ));
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the user's umask leaves. The temporary name already has these
        // rights, so nothing changes at the rename.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(parent(target)).map_err(|error| {
        Error::io(format_args!("cannot create a file beside {}", target.display()), error)
    })
}
