//! Which files, and how.

use super::report::Outcome;
use crate::stored::write::WriteOptions;
use crate::wrap::KeyId;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

type Tell = dyn Fn(&Path, &Outcome) + Send + Sync;

/// What to rewrap, and how.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let options = RewrapOptions::new().only(envelope.key_id().clone());
/// let report = envelope.rewrap_files([path], &options)?;
/// assert_eq!((report.rewrapped, report.failed), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct RewrapOptions {
    pub(super) below: Option<u32>,
    pub(super) only: Option<KeyId>,
    pub(super) older_than: Option<Duration>,
    pub(super) dry_run: bool,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) write: WriteOptions,
    pub(super) tell: Option<Arc<Tell>>,
}

impl RewrapOptions {
    /// Every slot under a key of the envelope that is not under its newest version.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let options = RewrapOptions::new();
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.rewrapped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Only slots under a version lower than this. Slots without a known version stay.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let options = RewrapOptions::new().below(3);
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.left_out, 1, "a local key has no versions");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn below(mut self, version: u32) -> Self {
        self.below = Some(version);
        self
    }

    /// Only slots under this key, one of the envelope's.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let options = RewrapOptions::new().only(envelope.key_id().clone());
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.rewrapped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn only(mut self, key: KeyId) -> Self {
        self.only = Some(key);
        self
    }

    /// Only files that were last changed at least this long ago.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// use std::time::Duration;
    /// let options = RewrapOptions::new().older_than(Duration::from_secs(24 * 60 * 60));
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.left_out, 1, "it was written just now");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Changes nothing, and reports what would be done. It has the key service wrap one array of
    /// slots for each key, because only the answer tells which version is the newest. A checkpoint
    /// is not opened.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let before = std::fs::read(&path)?;
    /// let options = RewrapOptions::new().dry_run(true);
    /// # let path = path.clone();
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.rewrapped, 1);
    /// # let path = directory.path().join("report.ncpe");
    /// assert_eq!(std::fs::read(path)?, before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Records in this file which files are done, so that the next run with it need not read them.
    /// A run that was interrupted in any way can be resumed with it.
    ///
    /// An entry is ignored once the file was replaced or changed, and unless the key service
    /// confirms in this run that the recorded version is the newest. Each takes about 100 bytes of
    /// memory and of disk; where the system does not identify files, as on Windows, none is made.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # let checkpoint = directory.path().join("checkpoint");
    /// let options = RewrapOptions::new().checkpoint(&checkpoint);
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.rewrapped, 1);
    /// assert!(checkpoint.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    /// How slots are written.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let patient = WriteOptions::new().patience(std::time::Duration::from_secs(60));
    /// let options = RewrapOptions::new().write(patient);
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.rewrapped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn write(mut self, options: WriteOptions) -> Self {
        self.write = options;
        self
    }

    /// Calls `tell` with the outcome for each file as it is known: one at a time, from any thread.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let options = RewrapOptions::new().on_each(|path, outcome| {
    ///     assert!(matches!(outcome, Outcome::Rewrapped { .. }), "{}", path.display());
    /// });
    /// let report = envelope.rewrap_files([path], &options)?;
    /// assert_eq!(report.rewrapped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_each(mut self, tell: impl Fn(&Path, &Outcome) + Send + Sync + 'static) -> Self {
        self.tell = Some(Arc::new(tell));
        self
    }
}

impl fmt::Debug for RewrapOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RewrapOptions")
            .field("below", &self.below)
            .field("only", &self.only)
            .field("older_than", &self.older_than)
            .field("dry_run", &self.dry_run)
            .field("checkpoint", &self.checkpoint)
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}
