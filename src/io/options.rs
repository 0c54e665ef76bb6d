//! How files are written.

use std::fmt;
use std::sync::Arc;

/// Called with the bytes read so far and, where the input has a length, that length.
pub(super) type ProgressFn = dyn Fn(u64, Option<u64>) + Send + Sync;

/// How to write the output file.
#[derive(Clone, Default)]
pub struct FileOptions {
    pub(super) overwrite: bool,
    pub(super) no_sync: bool,
    pub(super) threads: usize,
    pub(super) progress: Option<Arc<ProgressFn>>,
}

impl FileOptions {
    /// Refuses a target that exists, and syncs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a target that exists, at once and only when the output is complete.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Whether to force the output to the disk before it gets its name (the default). Without it a
    /// power cut may leave a file of the right name with missing content, as it may after any copy.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.no_sync = !sync;
        self
    }

    /// How many threads work on one file, at most 16; 0, the default, stands for as many as there
    /// are cores. Short files and input that is no regular file are always read by one.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Calls `progress` at least once for each MiB with the bytes read so far and the length of the
    /// input where it has one. The calls come from any of the threads, one at a time and in
    /// ascending order.
    #[must_use]
    pub fn progress(mut self, progress: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for FileOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileOptions")
            .field("overwrite", &self.overwrite)
            .field("sync", &!self.no_sync)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
