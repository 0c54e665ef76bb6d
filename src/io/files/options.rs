//! How many files are processed.

use super::report::FileDone;
use crate::io::options::FileOptions;
use crate::io::source::SourceFile;
use std::fmt;
use std::sync::Arc;

type PassOver = dyn Fn(&SourceFile) -> bool + Send + Sync;
type Tell = dyn Fn(&FileDone<'_>) + Send + Sync;
type Progress = dyn Fn(&FilesProgress) + Send + Sync;

/// How to process many files.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::{FileOptions, FilesOptions};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = |name: &str| directory.path().join(name);
/// # std::fs::write(path("a"), "hello")?;
/// let how = FilesOptions::new().each(FileOptions::new().keep_time(true)).skip_done(true);
/// let pairs = [(path("a"), path("a.ncpe"))];
/// let first = envelope.encrypt_files(pairs.clone(), [("kind", "backup")], &how)?;
/// let second = envelope.encrypt_files(pairs, [("kind", "backup")], &how)?;
/// assert_eq!((first.done, second.already_done), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct FilesOptions {
    pub(super) each: FileOptions,
    pub(super) jobs: usize,
    pub(super) skip_done: bool,
    pub(super) pass_over: Option<Arc<PassOver>>,
    pub(super) tell: Option<Arc<Tell>>,
    pub(super) progress: Option<Arc<Progress>>,
}

impl FilesOptions {
    /// The defaults: [`FileOptions::new`] for each file, and as many at a time as
    /// [`jobs`](Self::jobs) says.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::FilesOptions;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let none: [&str; 0] = [];
    /// let report = envelope.verify_files(none, DecryptPolicy::new(), &FilesOptions::new())?;
    /// assert_eq!(report.done, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How each file is read and written. Its progress is not called; see
    /// [`progress`](Self::progress).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::{FileOptions, FilesOptions};
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a"), "new")?;
    /// std::fs::write(path("a.ncpe"), "old")?;
    /// let (pairs, none) = ([(path("a"), path("a.ncpe"))], EncryptionContext::new());
    /// let how = FilesOptions::new().each(FileOptions::new().overwrite(true));
    /// assert_eq!(envelope.encrypt_files(pairs, none, &how)?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn each(mut self, options: FileOptions) -> Self {
        self.each = options;
        self
    }

    /// How many files are processed at the same time; 0, the default, means one for each core, and
    /// at least 8 if outputs are synced, because most of these wait for the disk. A file of 8 MiB
    /// or more is processed alone, by [`FileOptions::threads`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::FilesOptions;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # std::fs::write(path("a"), "hello")?;
    /// let (pairs, none) = ([(path("a"), path("a.ncpe"))], EncryptionContext::new());
    /// let one_by_one = FilesOptions::new().jobs(1);
    /// assert_eq!(envelope.encrypt_files(pairs, none, &one_by_one)?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// Whether a file whose output is there from an earlier run is
    /// [`AlreadyDone`](super::FileOutcome::AlreadyDone). With
    /// [`FileOptions::keep_time`], a run that was interrupted then continues where it stopped.
    ///
    /// An output counts as done if it has exactly the source's time of last change and the length
    /// that it is to have. A message also has to be for exactly the envelope's recipients, and to
    /// have the same context and layout, and associated data if this call has some. No key is
    /// fetched for that, and no body read: [`verify_files`](crate::Envelope::verify_files) does.
    /// Any other existing target is an error, unless it may be overwritten.
    ///
    /// With [`FileOptions::remove_source`] such an output is written again in the place of the one
    /// that is there: only an output that this call wrote and synced is a reason to remove its
    /// source. So a second run finishes what an interrupted one left, removals included.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::{FileOptions, FilesOptions};
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # std::fs::write(path("a"), "hello")?;
    /// # std::fs::write(path("b"), "hello")?;
    /// let none = EncryptionContext::new();
    /// let how = FilesOptions::new().each(FileOptions::new().keep_time(true)).skip_done(true);
    /// let pairs = ["a", "b"].map(|name| (path(name), path(name).with_extension("ncpe")));
    /// let _ = envelope.encrypt_files(pairs[..1].to_vec(), &none, &how)?;
    /// let report = envelope.encrypt_files(pairs, &none, &how)?;
    /// assert_eq!((report.done, report.already_done), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn skip_done(mut self, skip: bool) -> Self {
        self.skip_done = skip;
        self
    }

    /// Whether an output may take the place of another file.
    pub(super) fn may_replace(&self) -> bool {
        self.each.overwrite || (self.skip_done && self.each.remove_source)
    }

    /// Asks `pass` about each source that could be opened, before anything else is done with it; a
    /// file for which it returns true is [`PassedOver`](super::FileOutcome::PassedOver). For what
    /// only the content tells, without opening the file twice. One call at a time, from any thread.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::{FilesOptions, SourceFile};
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a"), "hello")?;
    /// std::fs::write(path("b"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let no_messages = |source: &SourceFile| source.is_message().unwrap_or(false);
    /// let how = FilesOptions::new().pass_over(no_messages);
    /// let pairs = ["a", "b"].map(|name| (path(name), path(name).with_extension("ncpe")));
    /// let report = envelope.encrypt_files(pairs, EncryptionContext::new(), &how)?;
    /// assert_eq!((report.done, report.passed_over), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pass_over(mut self, pass: impl Fn(&SourceFile) -> bool + Send + Sync + 'static) -> Self {
        self.pass_over = Some(Arc::new(pass));
        self
    }

    /// Calls `tell` once for each file, from any thread, when its outcome is final.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::{FileOutcome, FilesOptions};
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// let how = FilesOptions::new().on_each(|file| {
    ///     if let FileOutcome::Failed(error) = file.outcome {
    ///         eprintln!("{}: {error}", file.source.display());
    ///     }
    /// });
    /// let pairs = [(directory.path().join("missing"), directory.path().join("out"))];
    /// let report = envelope.encrypt_files(pairs, EncryptionContext::new(), &how)?;
    /// assert_eq!(report.failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_each(mut self, tell: impl Fn(&FileDone<'_>) + Send + Sync + 'static) -> Self {
        self.tell = Some(Arc::new(tell));
        self
    }

    /// Calls `progress` after each file, and at least once for each MiB of a large one. The calls
    /// come from any thread, one at a time, and their numbers never decrease.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::FilesOptions;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::Arc;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # std::fs::write(path("a"), "hello")?;
    /// let seen = Arc::new(AtomicU64::new(0));
    /// let bar = seen.clone();
    /// let how = FilesOptions::new().progress(move |all| bar.store(all.bytes, Ordering::Relaxed));
    /// let pairs = [(path("a"), path("a.ncpe"))];
    /// let report = envelope.encrypt_files(pairs, EncryptionContext::new(), &how)?;
    /// assert_eq!((report.done, seen.load(Ordering::Relaxed)), (1, 5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn progress(mut self, progress: impl Fn(&FilesProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

/// How far a call on many files is.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::{FilesOptions, FilesProgress};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = |name: &str| directory.path().join(name);
/// # std::fs::write(path("a"), "hello")?;
/// let show = |all: &FilesProgress| eprintln!("{} files, {} bytes", all.files, all.bytes);
/// let pairs = [(path("a"), path("a.ncpe"))];
/// let how = FilesOptions::new().progress(show);
/// assert_eq!(envelope.encrypt_files(pairs, EncryptionContext::new(), &how)?.bytes_read, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesProgress {
    /// Files whose outcome is final, whatever it is.
    pub files: u64,
    /// Bytes of their sources that were read, and of those that are being read.
    pub bytes: u64,
}

impl fmt::Debug for FilesOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesOptions")
            .field("each", &self.each)
            .field("jobs", &self.jobs)
            .field("skip_done", &self.skip_done)
            .finish_non_exhaustive()
    }
}
