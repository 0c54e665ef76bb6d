//! An output, from its first byte to its name.

use super::holes::filled;
use super::rights::Rights;
use super::settings::{Settings, Source};
use super::settling::Settling;
use super::system;
use super::target::{Target, parent, taken};
use super::temporary::Temporary;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// A write of less finds its blocks as fast by itself.
const WORTH_RESERVING: u64 = 256 << 10;

/// Writes `parts` into a file of secrets, in place of what is there: nobody but this user can read
/// it, whoever owned the old one.
///
/// # Errors
/// [`ErrorKind::Io`], [`ErrorKind::InvalidInput`] if something else than a file is there.
#[cfg(any(feature = "kms", feature = "emulator"))]
pub(crate) fn replace_secrets(target: &Path, parts: &[&[u8]]) -> Result<()> {
    let settings =
        Settings { overwrite: true, mode: Some(0o600), leave_owner: true, ..Settings::default() };
    let mut output = Output::create(target, settings, None)?;
    for part in parts {
        let written = output.write_all(part);
        written.map_err(|error| output.failure("write", error))?;
    }
    output.commit()
}

/// A file on the way to its name. Dropping it removes it.
pub(crate) struct Output {
    temporary: Temporary,
    pub(super) target: PathBuf,
    /// Whether something has the target's name.
    pub(super) replaces: bool,
    pub(super) overwrite: bool,
    sync: bool,
    holes: bool,
    rights: Rights,
    /// The time of last change that it is to have.
    modified: Option<SystemTime>,
    /// Where the next write in order goes.
    at: u64,
    /// How long the file is to be, holes included.
    len: AtomicU64,
    /// Whether a write failed, so that the content is unknown.
    failed: AtomicBool,
    finished: bool,
}

impl Output {
    /// An output that will be named `target`, and is not the same file as `source`.
    pub(crate) fn create(
        target: &Path,
        settings: Settings,
        source: Option<Source<'_>>,
    ) -> Result<Self> {
        let target = Target::look(target, settings)?;
        target.admit(settings, source)?;
        Self::create_at(target, settings, source)
    }

    /// The same in a place that was looked at and admitted it.
    pub(crate) fn create_at(
        target: Target,
        settings: Settings,
        source: Option<Source<'_>>,
    ) -> Result<Self> {
        let source = source.map(|source| source.metadata);
        let dated = source.filter(|source| settings.keep_time && source.is_file());
        let modified = dated.and_then(|source| source.modified().ok());
        let replaced = target.replaced.as_ref();
        let mut rights = Rights::new(settings.mode, settings.max_mode, source, replaced);
        if settings.leave_owner {
            rights.leave_owner();
        }
        if let Some(replaced) = replaced.filter(|_| settings.keep_mode) {
            rights.keep_mode(replaced);
        }
        let temporary = Temporary::create_in(parent(&target.path), rights.creation_mode());
        let temporary = temporary.map_err(|error| {
            Error::io(format_args!("cannot create a file beside {}", target.name.display()), error)
        })?;
        Ok(Self {
            holes: settings.holes && temporary.seeks,
            temporary,
            replaces: target.replaced.is_some(),
            target: target.path,
            overwrite: settings.overwrite,
            sync: !settings.no_sync,
            rights,
            modified,
            at: 0,
            len: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            finished: false,
        })
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Whether it can be written in any order.
    pub(crate) fn seeks(&self) -> bool {
        self.temporary.seeks
    }

    pub(crate) fn syncs(&self) -> bool {
        self.sync
    }

    /// Has the output no more rights than its source has by now.
    pub(crate) fn narrow(&mut self, source: &Metadata) {
        self.rights.narrow(source);
    }

    pub(crate) fn file(&self) -> &File {
        &self.temporary.file
    }

    /// Reserves disk space for `len` bytes, so that a disk that is too full fails now.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if there is no room.
    pub(crate) fn reserve(&self, len: u64) -> Result<()> {
        system::reserve(self.file(), 0, len)
            .map_err(|error| self.failure(&format!("reserve {len} bytes for"), error))
    }

    /// Has the output begin with the content of `source`, if that takes no copying.
    pub(crate) fn share(&self, source: &File) -> bool {
        let shared = self.seeks() && system::reflink(source, self.file()).is_ok();
        let len = self.file().metadata().map_or(0, |metadata| metadata.len());
        self.len.store(len, Ordering::Relaxed);
        shared
    }

    /// Writes at a place that nothing was written to before.
    ///
    /// # Errors
    /// Those of the system; the output cannot be committed then.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let written = if self.holes {
            self.write_filled(bytes, offset)
        } else {
            system::write_at(self.file(), bytes, offset)
        };
        match &written {
            Ok(()) => _ = self.len.fetch_max(offset + bytes.len() as u64, Ordering::Relaxed),
            Err(_) => self.failed.store(true, Ordering::Relaxed),
        }
        written
    }

    fn write_filled(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        filled(bytes, offset).try_for_each(|part| {
            let (bytes, offset) = (&bytes[part.clone()], offset + part.start as u64);
            // Space is reserved for verified content only, not for what the source claims.
            if bytes.len() as u64 >= WORTH_RESERVING {
                system::reserve(self.file(), offset, bytes.len() as u64)?;
            }
            system::write_at(self.file(), bytes, offset)
        })
    }

    /// All that is left before the name: length, rights, and that it is on the disk.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], also after a write that failed.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        if self.failed.load(Ordering::Relaxed) {
            let text = format!("cannot complete {}: a write to it failed", self.target.display());
            return Err(Error::new(ErrorKind::Io, text));
        }
        let len = self.len.load(Ordering::Relaxed);
        let file = self.file();
        // A hole at the end was never written, and a reserved file may be longer than its content.
        let finish = || {
            let now = system::look_at(file)?;
            if now.len() != len {
                system::set_len(file, len)?;
            }
            self.rights.apply(file, &now)?;
            // Last, as everything above changes it.
            self.modified.map_or(Ok(()), |modified| system::set_modified(file, modified))
        };
        finish().map_err(|error| self.failure("complete", error))?;
        self.temporary.dated = self.modified.is_some();
        if self.sync {
            let file = self.file();
            system::sync(file).map_err(|error| self.failure("sync the output for", error))?;
        }
        self.finished = true;
        Ok(())
    }

    /// Finishes, and gives the file its name.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; the target is then what it was before, or the error says that it is in
    /// place.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.finish()?;
        self.publish()?;
        self.settle()
    }

    /// Gives what was finished its name.
    pub(super) fn publish(&mut self) -> Result<()> {
        let named = self.temporary.publish(&self.target, self.overwrite);
        named.map_err(|error| match error.kind() {
            // Somebody took the name after it was looked at.
            io::ErrorKind::AlreadyExists if !self.overwrite => taken(&self.target),
            _ => self.failure("create", error),
        })
    }

    /// Syncs the directory, so that the name survives a crash.
    pub(super) fn settle(&self) -> Result<()> {
        Settling { target: self.target.clone(), sync: self.sync }.settle()
    }

    /// Closes what was published.
    pub(super) fn into_settling(self) -> Settling {
        Settling { target: self.target, sync: self.sync }
    }

    fn failure(&self, what: &str, error: io::Error) -> Error {
        Error::io(format_args!("cannot {what} {}", self.target.display()), error)
    }
}

/// In order.
impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = if self.holes {
            self.write_filled(buf, self.at).map(|()| buf.len())
        } else {
            system::write(self.file(), buf)
        };
        self.finished = false;
        match &written {
            Ok(len) => {
                self.at += *len as u64;
                self.len.fetch_max(self.at, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.failed.store(true, Ordering::Relaxed),
        }
        written
    }

    /// There is no buffer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
