//! What all threads of a call share.

use super::options::{FilesOptions, FilesProgress};
use super::report::{FileDone, FileOutcome, FilesReport};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind};
use crate::output::Named;
use crate::policy::{DecryptPolicy, EncryptOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is to be done with each file.
pub(super) enum Task {
    Encrypt(EncryptOptions),
    Decrypt(DecryptPolicy),
}

pub(super) struct Run {
    pub(super) envelope: Envelope,
    pub(super) task: Task,
    pub(super) how: FilesOptions,
    pub(super) named: Arc<Named>,
    report: Mutex<FilesReport>,
    progress: Mutex<FilesProgress>,
    /// No further file is taken.
    stopped: AtomicBool,
    /// No file that was taken is begun.
    halted: AtomicBool,
}

impl Run {
    pub(super) fn new(envelope: Envelope, task: Task, how: FilesOptions) -> Self {
        Self {
            envelope,
            task,
            named: Arc::new(Named::new(how.may_replace())),
            how,
            report: Mutex::default(),
            progress: Mutex::default(),
            stopped: AtomicBool::new(false),
            halted: AtomicBool::new(false),
        }
    }

    pub(super) fn tell(&self, source: &Path, target: Option<&Path>, outcome: &FileOutcome) {
        lock(&self.report).count(source, outcome);
        if let Some(tell) = &self.how.tell {
            tell(&FileDone { source, target, outcome });
        }
        self.advance(1, 0);
    }

    pub(super) fn advance(&self, files: u64, bytes: u64) {
        let Some(show) = &self.how.progress else { return };
        // Locked during the call, so that reports ascend across threads.
        let mut progress = lock(&self.progress);
        progress.files += files;
        progress.bytes += bytes;
        show(&progress);
    }

    /// Files that have their keys are still processed.
    pub(super) fn stop(&self, error: Error) {
        lock(&self.report).stopped.get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// No further file is begun.
    pub(super) fn halt(&self, error: Error) {
        self.stop(error);
        self.halt_on_panic();
    }

    pub(super) fn halt_on_panic(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.halted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    pub(super) fn report(&self) -> FilesReport {
        std::mem::take(&mut lock(&self.report))
    }
}

/// Whether the next file would meet this error, too: nothing can be written.
pub(super) fn is_of_the_disk(error: &Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    below(error)
        .is_some_and(|io| matches!(io.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem))
}

/// Whether the next file would meet this error of its key, too. A key that is denied or unusable is
/// only that: a tree can have messages under several.
pub(super) fn is_of_the_service(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Credentials)
}

/// Whether the system gives no more open files.
pub(super) fn is_out_of_files(error: &Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let code = below(error).and_then(io::Error::raw_os_error);
        code.is_some_and(|code| {
            [Errno::MFILE, Errno::NFILE].iter().any(|errno| errno.raw_os_error() == code)
        })
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// The error of the system that this one is about.
fn below(error: &Error) -> Option<&io::Error> {
    let mut error: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        error = error.source()?;
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
