//! What became of the files.

use crate::error::{Error, Result};
use crate::io::published::FileReport;
use std::path::{Path, PathBuf};

/// Failures that a report names; more are counted only.
const MAX_NAMED: usize = 1_000;

/// The outcome for one of many files.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::{FileOutcome, FilesOptions};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = |name: &str| directory.path().join(name);
/// # std::fs::write(path("a"), "hello")?;
/// let how = FilesOptions::new().on_each(|file| match file.outcome {
///     FileOutcome::Done(report) => println!("{} bytes", report.bytes_read),
///     FileOutcome::Failed(error) => eprintln!("{}: {error}", file.source.display()),
///     _ => {}
/// });
/// let pairs = [(path("a"), path("a.ncpe"))];
/// assert_eq!(envelope.encrypt_files(pairs, EncryptionContext::new(), &how)?.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FileOutcome {
    /// It was processed, and its output, if there is one, has its name.
    Done(FileReport),
    /// Its output was there; see [`FilesOptions::skip_done`](super::FilesOptions::skip_done).
    AlreadyDone,
    /// See [`FilesOptions::pass_over`](super::FilesOptions::pass_over).
    PassedOver,
    /// It was refused or failed, for this reason.
    Failed(Error),
}

/// One of many files, and its outcome.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::{FileDone, FilesOptions};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = |name: &str| directory.path().join(name);
/// # std::fs::write(path("a"), "hello")?;
/// let show = |file: &FileDone| println!("{}: {:?}", file.source.display(), file.outcome);
/// let pairs = [(path("a"), path("a.ncpe"))];
/// let how = FilesOptions::new().on_each(show);
/// assert_eq!(envelope.encrypt_files(pairs, EncryptionContext::new(), &how)?.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FileDone<'a> {
    /// The name of its input.
    pub source: &'a Path,
    /// The name of its output, except where it was only verified.
    pub target: Option<&'a Path>,
    /// What became of it.
    pub outcome: &'a FileOutcome,
}

/// The outcome of a call on many files.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::FilesOptions;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = |name: &str| directory.path().join(name);
/// # std::fs::write(path("a"), "hello")?;
/// let pairs = ["a", "missing"].map(|name| (path(name), path(name).with_extension("ncpe")));
/// let report = envelope.encrypt_files(pairs, EncryptionContext::new(), &FilesOptions::new())?;
/// assert_eq!((report.done, report.failed, report.bytes_read), (1, 1, 5));
/// assert!(report.stopped.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
#[must_use = "files may have failed: see `check`"]
pub struct FilesReport {
    /// Files that were processed.
    pub done: u64,
    /// Files whose output was there already.
    pub already_done: u64,
    /// Files that were passed over.
    pub passed_over: u64,
    /// Files that were refused or failed.
    pub failed: u64,
    /// The first 1,000 of these, with their errors.
    /// [`on_each`](super::FilesOptions::on_each) gets all of them.
    pub failures: Vec<(PathBuf, Error)>,
    /// Bytes read from the inputs of files that were processed.
    pub bytes_read: u64,
    /// Bytes written to their outputs; of files that were only verified, the bytes that were.
    pub bytes_written: u64,
    /// Why the call ended before the last file, if it did: the next one could not have gone
    /// better, because the key service is unreachable or refuses to wrap, or the disk is full.
    /// Files that were not processed for that reason are not counted.
    pub stopped: Option<Error>,
}

impl FilesReport {
    /// An error, if any file failed or the call ended before the last one.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::FilesOptions;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// let pairs = [(path("missing"), path("missing.ncpe"))];
    /// let report = envelope.encrypt_files(pairs, EncryptionContext::new(), &FilesOptions::new())?;
    /// assert!(report.check().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Why it ended, or of the kind of the first failure.
    pub fn check(self) -> Result<Self> {
        if let Some(error) = self.stopped {
            return Err(error);
        }
        let Some((_, first)) = self.failures.first() else { return Ok(self) };
        if self.failed == 1 {
            return Err(first.clone());
        }
        let all = self.done + self.already_done + self.passed_over + self.failed;
        let text = format!("{} of {all} files failed; the first: {first}", self.failed);
        Err(Error::with_source(first.kind(), text, first.clone()))
    }

    pub(super) fn count(&mut self, source: &Path, outcome: &FileOutcome) {
        match outcome {
            FileOutcome::Done(report) => {
                self.done += 1;
                self.bytes_read += report.bytes_read;
                self.bytes_written += report.bytes_written;
            }
            FileOutcome::AlreadyDone => self.already_done += 1,
            FileOutcome::PassedOver => self.passed_over += 1,
            FileOutcome::Failed(error) => {
                self.failed += 1;
                if self.failures.len() < MAX_NAMED {
                    self.failures.push((source.to_owned(), error.clone()));
                }
            }
        }
    }
}
