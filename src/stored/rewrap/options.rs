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
    pub fn new() -> Self {
        Self::default()
    }

    /// Only slots under a version lower than this. Slots that tell no version stay.
    #[must_use]
    pub fn below(mut self, version: u32) -> Self {
        self.below = Some(version);
        self
    }

    /// Only slots under this key, one of the envelope's.
    #[must_use]
    pub fn only(mut self, key: KeyId) -> Self {
        self.only = Some(key);
        self
    }

    /// Only files that were not changed for so long.
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Changes nothing, and says what would be done. It asks the key service to wrap one array of
    /// slots for each key, because only its answer tells which version is the newest. A checkpoint
    /// is not opened.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Notes in this file which files are done, so that the next run with it need not look into
    /// them. A run that was ended in whatever way can be done again with it.
    ///
    /// A note is worth nothing once a file is another one or was changed, and nothing unless the
    /// key service says in this run that the version noted is the newest. It takes about 100 bytes
    /// of memory and of the disk for each file; where the system does not tell files apart, as on
    /// Windows, none is made.
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    /// How slots are written.
    #[must_use]
    pub fn write(mut self, options: WriteOptions) -> Self {
        self.write = options;
        self
    }

    /// Calls `tell` with the outcome for each file, as they come: one at a time, from any thread.
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
