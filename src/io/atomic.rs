//! A file that appears under its name complete, or not at all.

use super::options::FileOptions;
use super::source::SourceFile;
use crate::error::Result;
use crate::output::{
    Named, Output, Settling, Source, Target, commit_all, discard_unfinished as discard,
    is_temporary,
};
use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::io::{self, Write};
use std::path::Path;

/// A new file that gets the target's name in one step, complete, with [`commit`](Self::commit).
///
/// Until then the target is unchanged, and dropping the writer leaves nothing behind. On Linux the
/// file has no name until it is complete, so a process that is killed leaves nothing either. On
/// other systems, and on file systems without unnamed files, the content is in
/// `.ncp-envelope-XXXXXXXXXX.tmp` next to the target, which a killed process can leave behind; see
/// [`discard_unfinished`].
///
/// On Unix the file has the permissions of any new file, less the umask. A file that is replaced
/// keeps its own permissions where they are narrower, and its owner if that is permitted.
/// [`FileOptions::mode`] and [`FileOptions::max_mode`] set others.
///
/// ```
/// use ncp_envelope::io::{AtomicFile, FileOptions};
/// use std::io::Write;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.txt");
/// let mut file = AtomicFile::create(&path, &FileOptions::new())?;
/// file.write_all(b"all of it")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"all of it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AtomicFile(Output);

impl AtomicFile {
    /// Starts a file that will be named `target`. If the target is a symbolic link, the file it
    /// points to is meant, even if that does not exist yet.
    ///
    /// ```
    /// use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # use std::io::Write;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// let mut file = AtomicFile::create(&path, &FileOptions::new())?;
    /// file.write_all(b"half of it")?;
    /// drop(file);
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the target exists and
    /// `options` do not allow replacing it, or if it is not a regular file;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if no file can be created next to it.
    pub fn create(target: impl AsRef<Path>, options: &FileOptions) -> Result<Self> {
        Output::create(target.as_ref(), options.output(), None).map(Self)
    }

    /// As [`create`](Self::create), for what is made from `source`: refuses a target that is the
    /// same file, under any name, and gives the new file the source's permissions, less the umask,
    /// if the source is a regular file.
    ///
    /// ```
    /// use ncp_envelope::io::{AtomicFile, FileOptions, SourceFile};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// std::fs::write(&path, "text")?;
    /// let source = SourceFile::open(&path)?;
    /// let options = FileOptions::new().overwrite(true);
    /// let error = AtomicFile::create_from(&path, &options, &source).unwrap_err();
    /// assert_eq!(error.kind(), ncp_envelope::ErrorKind::InvalidInput, "it would replace itself");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create), and
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for the same file.
    pub fn create_from(
        target: impl AsRef<Path>,
        options: &FileOptions,
        source: &SourceFile,
    ) -> Result<Self> {
        Output::create(target.as_ref(), options.output(), Some(made_from(source))).map(Self)
    }

    /// Syncs, unless the options say not to, and gives the file its name.
    ///
    /// ```
    /// use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # use std::io::Write;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// let mut file = AtomicFile::create(&path, &FileOptions::new())?;
    /// file.write_all(b"all of it")?;
    /// file.commit()?;
    /// assert_eq!(std::fs::read(&path)?, b"all of it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), also if a write failed before;
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if somebody took the name
    /// meanwhile and the options do not allow replacing. The target is then unchanged, except if
    /// its directory cannot be synced: the error then says that the file is in place.
    pub fn commit(self) -> Result<()> {
        self.0.commit()
    }

    /// The first half of [`create_from`](Self::create_from): refuses what that refuses, and creates
    /// nothing.
    pub(super) fn look(
        target: &Path,
        options: &FileOptions,
        source: &SourceFile,
    ) -> Result<Target> {
        let target = Target::look(target, options.output())?;
        target.admit(options.output(), Some(made_from(source)))?;
        Ok(target)
    }

    /// The second half.
    pub(super) fn create_at(
        target: Target,
        options: &FileOptions,
        source: &SourceFile,
    ) -> Result<Self> {
        Output::create_at(target, options.output(), Some(made_from(source))).map(Self)
    }

    /// The first half of [`commit`](Self::commit); refuses to replace a file that `named` holds.
    pub(super) fn publish(self, named: &Named) -> Result<Settling> {
        named.publish(self.0)
    }

    /// Gives several files their names, in this order, or none of them. For files that are of no
    /// use without each other, such as a key and its wrapped form.
    ///
    /// If the machine crashes in between, some files may be named and later ones not.
    ///
    /// ```
    /// use ncp_envelope::io::{AtomicFile, FileOptions};
    /// # use std::io::Write;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let other = directory.path().join("key.wrapped");
    /// let mut key = AtomicFile::create(&path, &FileOptions::new())?;
    /// let mut wrapped = AtomicFile::create(&other, &FileOptions::new())?;
    /// key.write_all(b"key")?;
    /// wrapped.write_all(b"wrapped key")?;
    /// AtomicFile::commit_all([key, wrapped])?;
    /// assert!(path.exists() && other.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit), and [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)
    /// if two have the same target. All targets are then unchanged, or the error says which are
    /// not.
    pub fn commit_all(files: impl IntoIterator<Item = Self>) -> Result<()> {
        commit_all(files.into_iter().map(|file| file.0).collect())
    }

    pub(super) fn output(&self) -> &Output {
        &self.0
    }

    /// Has it no more rights than its source has by now.
    pub(super) fn narrow(&mut self, source: &Metadata) {
        self.0.narrow(source);
    }

    /// All that [`commit`](Self::commit) does before the file has its name.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.0.finish()
    }
}

pub(super) fn made_from(source: &SourceFile) -> Source<'_> {
    Source { file: source.file(), path: source.path(), metadata: source.metadata() }
}

/// Removes the temporary files of all unfinished outputs of this process, for a program that is
/// about to exit on a signal. They can no longer be committed, and no output can be started that
/// needs such a file.
///
/// On Linux there are none on most file systems: see [`AtomicFile`].
///
/// ```
/// // In what a program does before it ends on a signal:
/// ncp_envelope::io::discard_unfinished();
/// ```
pub fn discard_unfinished() {
    discard();
}

/// Whether `name` is a temporary file of an output that is still being written, or whose process
/// was killed. A program that walks a tree skips these.
///
/// ```
/// use ncp_envelope::io::is_unfinished;
/// assert!(is_unfinished(".ncp-envelope-0123456789.tmp"));
/// assert!(!is_unfinished("report.ncpe"));
/// ```
pub fn is_unfinished(name: impl AsRef<OsStr>) -> bool {
    is_temporary(name.as_ref())
}

/// After a write that failed, the file cannot be committed.
impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl fmt::Debug for AtomicFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtomicFile").field("target", &self.0.target()).finish_non_exhaustive()
    }
}
