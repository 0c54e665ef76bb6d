//! What a command reads: a file, or standard input.
//!
//! It is inspected before any call or write, and opened later, because opening a FIFO blocks until
//! it has a writer. Promises: inspection refuses a directory, and standard input that is closed.

use crate::status::Failure;
use crate::{names, streams};
use ncp_envelope::io::SourceFile;
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// An input that was inspected.
pub(crate) struct Input {
    place: Place,
    metadata: Option<Metadata>,
}

enum Place {
    Standard,
    File(PathBuf),
}

/// An input that was opened.
pub(crate) enum Source {
    /// With the file behind it, if the system reports one.
    Standard(streams::Input, Option<SourceFile>),
    File(SourceFile),
}

/// All of a short input, in memory that is wiped, and its source.
pub(crate) struct Content {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) source: Source,
}

/// The identity of the regular file, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Input {
    pub(crate) fn look(path: &Path) -> Result<Self, Failure> {
        let this = if path.as_os_str() == "-" || names::descriptor(path) == Some(0) {
            let input = streams::input().map_err(cannot_read_standard)?;
            Self { place: Place::Standard, metadata: input.metadata() }
        } else {
            let metadata = std::fs::metadata(path).map_err(|error| cannot_open(path, &error))?;
            Self { place: Place::File(path.to_owned()), metadata: Some(metadata) }
        };
        if this.metadata.as_ref().is_some_and(Metadata::is_dir) {
            return Err(Failure::usage(format!("{} is a directory", this.name())));
        }
        Ok(this)
    }

    /// Refuses to read standard input twice: the second read would find nothing.
    pub(crate) fn refuse_twice(&self, other: Option<&Self>) -> Result<(), Failure> {
        match (self.path(), other.map(Self::path)) {
            (None, Some(None)) => Err(Failure::usage(
                "standard input cannot be both inputs: give the name of a file for one of them",
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Standard => "standard input".to_owned(),
            Place::File(path) => path.display().to_string(),
        }
    }

    /// Its name in the file system, if it has one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Standard => None,
            Place::File(path) => Some(path),
        }
    }

    /// Whether it is a regular file, even if another program opened it.
    pub(crate) fn is_regular(&self) -> bool {
        self.metadata.as_ref().is_some_and(Metadata::is_file)
    }

    /// Its name, if it is a regular file under that name.
    pub(crate) fn regular(&self) -> Option<&Path> {
        self.path().filter(|_| self.is_regular())
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.metadata.as_ref().and_then(Identity::of)
    }

    /// Opens it, which may block.
    pub(crate) async fn open(&self) -> Result<Source, Failure> {
        let Some(path) = self.path() else {
            let input = streams::input().map_err(cannot_read_standard)?;
            #[cfg(unix)]
            let file = {
                let file = input.file().try_clone().map_err(cannot_read_standard)?;
                Some(SourceFile::from_file(file, self.name()).map_err(Failure::writing)?)
            };
            #[cfg(not(unix))]
            let file = None;
            return Ok(Source::Standard(input, file));
        };
        let path = path.to_owned();
        let opened = blocking(move || SourceFile::open(path)).await?;
        opened.map(Source::File).map_err(Failure::writing)
    }

    /// All of it, unchanged unless changes are allowed.
    ///
    /// # Errors
    /// Wrong usage if it is longer than `limit`, which is called `most`.
    pub(crate) async fn content(
        &self,
        limit: usize,
        most: &str,
        allow_changing: bool,
    ) -> Result<Content, Failure> {
        let mut source = self.open().await?;
        let read = blocking(move || {
            // Allocated for the longest content, so that it never moves and leaves a copy behind.
            let mut bytes = Zeroizing::new(vec![0; limit + 1]);
            let mut len = 0;
            while len < bytes.len() {
                match source.read(&mut bytes[len..]) {
                    Ok(0) => break,
                    Ok(more) => len += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            bytes.truncate(len);
            Ok(Content { bytes, source })
        });
        let content = read.await?.map_err(|error| self.cannot_read(error))?;
        if content.bytes.len() > limit {
            return Err(Failure::usage(format!("{} is longer than {most}", self.name())));
        }
        content.source.check_unchanged(allow_changing)?;
        Ok(content)
    }

    pub(crate) fn cannot_read(&self, error: io::Error) -> Failure {
        Failure::other(format!("cannot read {}: {error}", self.name()))
    }
}

impl Source {
    /// The file that is read, for callers that need its metadata.
    pub(crate) fn file(&self) -> Option<&SourceFile> {
        match self {
            Self::Standard(_, file) => file.as_ref(),
            Self::File(file) => Some(file),
        }
    }

    /// Its length when it was opened, if that is known without reading it.
    pub(crate) fn len(&self) -> Option<u64> {
        self.file().and_then(SourceFile::len)
    }

    /// Refuses an input that changed since it was opened, unless that is allowed.
    pub(crate) fn check_unchanged(&self, allow_changing: bool) -> Result<(), Failure> {
        match self.file().filter(|_| !allow_changing) {
            Some(file) => file.check_unchanged().map_err(Failure::writing),
            None => Ok(()),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Standard(input, _) => input.read(buf),
            Self::File(file) => file.read(buf),
        }
    }
}

impl Identity {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        metadata.is_file().then(|| Self(metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

/// Runs `work`, which may block, on another thread, so that a signal can end the command.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::other(format!("stopped: {error}")))
}

fn cannot_read_standard(error: io::Error) -> Failure {
    Failure::other(format!("cannot read standard input: {error}"))
}

fn cannot_open(path: &Path, error: &io::Error) -> Failure {
    Failure::other(format!("cannot open {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_opening_and_the_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "before").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let input = Input::look(&path).unwrap_or_else(|_| panic!("it is there"));
            let content = input.content(100, "100 bytes", false).await;
            let content = content.unwrap_or_else(|_| panic!("nobody changed it"));
            assert_eq!(*content.bytes, *b"before");
            assert!(content.source.check_unchanged(false).is_ok());
            std::fs::write(&path, "longer than before").unwrap();
            assert!(content.source.check_unchanged(false).is_err());
            assert!(content.source.check_unchanged(true).is_ok());
            assert!(input.content(5, "5 bytes", false).await.is_err());
        });
    }
}
