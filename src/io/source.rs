//! An input file, and whether it changed meanwhile.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{MAGIC_LEN, is_message};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is read, and that can tell whether it changed meanwhile. Clones share the open file
/// and its position.
///
/// Pipes and devices work, too; they never count as changed.
///
/// ```
/// use ncp_envelope::io::SourceFile;
/// use std::io::Read;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("data.bin");
/// # std::fs::write(&path, b"what was there at the start")?;
/// let mut source = SourceFile::open(&path)?;
/// let mut bytes = Vec::new();
/// source.read_to_end(&mut bytes)?;
/// source.check_unchanged()?; // So `bytes` is what the file was at one moment.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SourceFile(Arc<Inner>);

struct Inner {
    file: File,
    path: PathBuf,
    /// As it was opened.
    metadata: Metadata,
    /// Of a regular file.
    state: Option<State>,
    start: u64,
}

impl SourceFile {
    /// Opens the file `path`. Waits for a writer if that is a named pipe.
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, "hello")?;
    /// let source = SourceFile::open(&path)?;
    /// assert!(SourceFile::open(directory.path()).is_err(), "a directory");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::InvalidInput`] for a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path)
            .map_err(|e| Error::io(format_args!("cannot open {}", path.display()), e))?;
        // A file that was just opened is at its start.
        Self::at(|_| 0, file, path.to_owned())
    }

    /// An open file, such as standard input, read from its current position. Errors call it `name`.
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, "hello")?;
    /// let file = std::fs::File::open(&path)?;
    /// let source = SourceFile::from_file(file, "the report")?;
    /// assert_eq!(source.path().to_str(), Some("the report"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::InvalidInput`] for a directory.
    pub fn from_file(file: File, name: impl Into<PathBuf>) -> Result<Self> {
        Self::at(|mut file| file.stream_position().unwrap_or(0), file, name.into())
    }

    fn at(position: impl FnOnce(&File) -> u64, file: File, path: PathBuf) -> Result<Self> {
        let metadata = file
            .metadata()
            .map_err(|e| Error::io(format_args!("cannot read {}", path.display()), e))?;
        if metadata.is_dir() {
            let text = format!("{} is a directory", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let state = metadata.is_file().then(|| State::of(&metadata));
        let start = state.map_or(0, |_| position(&file));
        Ok(Self(Arc::new(Inner { file, path, metadata, state, start })))
    }

    /// How many bytes a regular file has after its position at the start. Virtual files, such as
    /// those in /proc, say 0.
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, "hello")?;
    /// assert_eq!(SourceFile::open(&path)?.len(), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> Option<u64> {
        self.0.state.map(|state| state.len.saturating_sub(self.0.start))
    }

    /// Whether it is a regular file that says it has no bytes left.
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, "hello")?;
    /// assert!(!SourceFile::open(&path)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Checks that a regular file is unchanged since it was opened: its length, and the times at
    /// which its content and attributes were changed.
    ///
    /// Systems record the time of a change in steps of some milliseconds, and of changes through a
    /// memory map later or not at all. Read from a snapshot to be sure.
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, "hello")?;
    /// let source = SourceFile::open(&path)?;
    /// std::fs::write(&path, "something longer")?;
    /// assert!(source.check_unchanged().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if it was changed.
    pub fn check_unchanged(&self) -> Result<()> {
        self.check(|before, now| before == now).map(drop)
    }

    /// As [`check_unchanged`](Self::check_unchanged), for what is authenticated anyway. Returns
    /// what a regular file is now.
    pub(super) fn check_len(&self) -> Result<Option<Metadata>> {
        self.check(|before, now| before.len == now.len)
    }

    /// The same, for what may change but not get shorter.
    pub(super) fn check_not_shorter(&self) -> Result<Option<Metadata>> {
        self.check(|before, now| before.len <= now.len)
    }

    fn check(&self, accept: impl FnOnce(&State, &State) -> bool) -> Result<Option<Metadata>> {
        let Some(before) = &self.0.state else { return Ok(None) };
        let metadata = self.0.file.metadata().map_err(|error| {
            Error::io(format_args!("cannot read {}", self.path().display()), error)
        })?;
        let now = State::of(&metadata);
        match accept(before, &now) {
            true => Ok(Some(metadata)),
            false if before.len != now.len => Err(self.changed("changed its length")),
            false => Err(self.changed("was changed")),
        }
    }

    /// Whether it is a regular file that is a message, or starts like one that was damaged since.
    /// Reads its first 8 bytes, and leaves its position where it is (except on Windows).
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report");
    /// std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// assert!(SourceFile::open(&path)?.is_message()?);
    /// std::fs::write(&path, "hello")?;
    /// assert!(!SourceFile::open(&path)?.is_message()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if it cannot be read.
    pub fn is_message(&self) -> Result<bool> {
        // One that says it is empty may not know better.
        if !self.is_regular() || self.len().is_some_and(|len| (1..MAGIC_LEN as u64).contains(&len))
        {
            return Ok(false);
        }
        let mut start = [0; MAGIC_LEN];
        let len = self.fill_at(&mut start, 0)?;
        Ok(is_message(&start[..len]))
    }

    /// Reads at `offset` from where it was taken over.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(self.file(), buf, offset.saturating_add(self.start()))
    }

    /// Reads `buf` full from `offset`, less at the end of the file.
    pub(super) fn fill_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let mut len = 0;
        while len < buf.len() {
            match self.read_at(&mut buf[len..], offset + len as u64) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format_args!("cannot read {}", self.path().display());
                    return Err(Error::io(what, error));
                }
            }
        }
        Ok(len)
    }

    /// Whether `there` was last changed when the source was.
    pub(super) fn is_of_the_time_of(&self, there: &Metadata) -> bool {
        self.0.state.is_some_and(|state| state.modified == State::of(there).modified)
    }

    /// Refuses what [`remove`](Self::remove) never removes.
    pub(super) fn check_removable(&self) -> Result<()> {
        let link = std::fs::symlink_metadata(self.path()).is_ok_and(|there| there.is_symlink());
        if self.is_regular() && !link {
            return Ok(());
        }
        let name = self.path().display();
        let text = format!("{name} is a link or no regular file: only a regular file is removed");
        Err(Error::new(ErrorKind::InvalidInput, text))
    }

    /// Removes the file, if its name still is that of the file that was read, and that is unchanged
    /// since. No system removes by anything but a name: what gets the name between the look and the
    /// removal is removed.
    pub(super) fn remove(&self) -> Result<()> {
        let failed =
            |error| Error::io(format_args!("cannot remove {}", self.path().display()), error);
        let there = std::fs::symlink_metadata(self.path()).map_err(failed)?;
        if Some(State::of(&there)) != self.0.state {
            let text = format!("{} was changed since it was read", self.path().display());
            return Err(Error::new(ErrorKind::Io, text));
        }
        std::fs::remove_file(self.path()).map_err(failed)
    }

    /// What to say of a source that ended before its length.
    pub(super) fn shorter(&self) -> Error {
        self.changed("changed its length")
    }

    fn changed(&self, how: &str) -> Error {
        let name = self.path().display();
        let text = format!("{name} {how} while it was read: try again when nothing writes to it");
        Error::new(ErrorKind::Io, text)
    }

    /// Its name, as it was given.
    ///
    /// ```
    /// # use ncp_envelope::io::SourceFile;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, "hello")?;
    /// assert_eq!(SourceFile::open(&path)?.path(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The position that it was taken over at.
    pub(super) fn start(&self) -> u64 {
        self.0.start
    }

    pub(super) fn is_regular(&self) -> bool {
        self.0.state.is_some()
    }
}

/// Reads without a position on Unix; elsewhere the file's position moves, under a lock that all
/// files share.
#[cfg(unix)]
pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(not(unix))]
pub(super) fn read_at(mut file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::sync::{Mutex, PoisonError};
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(io::SeekFrom::Start(offset))?;
    file.read(buf)
}

/// What is different after a change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    len: u64,
    #[cfg(unix)]
    identity: (u64, u64),
    #[cfg(unix)]
    modified: (i64, i64),
    /// Unlike the other time, this one cannot be set back by a program.
    #[cfg(unix)]
    changed: (i64, i64),
    #[cfg(not(unix))]
    modified: Option<std::time::SystemTime>,
}

impl State {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            len: metadata.len(),
            identity: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        Self { len: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl Read for SourceFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file().read(buf)
    }
}

impl Read for &SourceFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file().read(buf)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for SourceFile {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file().as_fd()
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.0.path).finish_non_exhaustive()
    }
}
