//! A file that appears under its name complete, or not at all.

use super::options::FileOptions;
use super::source::SourceFile;
use crate::error::Result;
use crate::output::{Output, commit_all, discard_unfinished as discard, is_temporary};
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

/// A new file whose content gets the target's name in one step, with [`commit`](Self::commit).
///
/// Until then the target is what it was before, and dropping the writer leaves nothing. On Linux
/// the content has no name at all until it is complete, so that a process that is killed leaves
/// nothing either. On other systems, and on file systems without nameless files, it is in
/// `.ncp-envelope-XXXXXXXXXX.tmp` beside the target, and a process that is killed can leave that
/// behind; see [`discard_unfinished`].
///
/// On Unix the file has the rights of any new file: those that the umask leaves. One that is
/// replaced keeps its own rights where they are narrower, and its owner where that is permitted.
/// [`FileOptions::mode`] and [`FileOptions::max_mode`] ask for others.
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
    /// Starts a file that will be named `target`. A target that is a link stands for the file
    /// behind it, also where there is none yet.
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
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the target is there and
    /// `options` do not allow to replace it, or if it is something else than a file;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if no file can be created beside it.
    pub fn create(target: impl AsRef<Path>, options: &FileOptions) -> Result<Self> {
        Output::create(target.as_ref(), options.output(), None).map(Self)
    }

    /// As [`create`](Self::create), for what is made from `source`: refuses a target that is the
    /// same file, under whatever names, and gives the new file the source's rights, less the umask,
    /// if that is a regular file.
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
        let source = Some((source.file(), source.path()));
        Output::create(target.as_ref(), options.output(), source).map(Self)
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
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), also if a write failed before. The target is then
    /// what it was before, but for one case, in which the error says that the file is in place:
    /// that its directory cannot be synced.
    pub fn commit(self) -> Result<()> {
        self.0.commit()
    }

    /// Gives several files their names, in this order, or none of them. For files that are of no
    /// use without each other, such as a key and its wrapped form.
    ///
    /// A crash of the machine right in between leaves those in front named and the others not.
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
    /// As [`commit`](Self::commit), and
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if two have the same target. All
    /// targets are then what they were before, or the error says which are not.
    pub fn commit_all(files: impl IntoIterator<Item = Self>) -> Result<()> {
        commit_all(files.into_iter().map(|file| file.0).collect())
    }

    pub(super) fn output(&self) -> &Output {
        &self.0
    }

    /// All that [`commit`](Self::commit) does before the file has its name.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.0.finish()
    }
}

/// Removes the temporary files of all outputs in this process that have no name yet, for a program
/// that is about to end on a signal. They cannot be committed any more, and none can be begun that
/// would need such a file.
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

/// Whether `name` is one of those that [`discard_unfinished`] removes: of an output that is still
/// being written, or whose process was killed. A program that walks a tree passes these over.
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
