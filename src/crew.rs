//! The same work on several threads.

use crate::error::Result;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many threads a caller wants that asked for `threads`: 0 stands for one a core.
pub(crate) fn threads_of(threads: usize) -> usize {
    match threads {
        0 => cores(),
        threads => threads,
    }
}

/// How many cores there are for this process.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Runs `work` on `threads` threads, the calling one included, or on fewer if the system gives
/// none. Each takes work from a shared queue until that is empty.
pub(crate) fn crew(threads: usize, work: &(dyn Fn() + Sync)) {
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Does every one of `jobs` on `threads` threads, as [`crew`] has them, in order of their start.
/// After a failure none is begun.
///
/// # Errors
/// That of a job that failed.
pub(crate) fn share<J: Send>(
    threads: usize,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> Result<()> + Sync,
) -> Result<()> {
    let jobs = Mutex::new((jobs.fuse(), Ok(())));
    let lock = || jobs.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let (jobs, failed) = &mut *lock();
        failed.is_ok().then(|| jobs.next()).flatten()
    };
    crew(threads, &|| {
        while let Some(job) = next() {
            if let Err(error) = work(job) {
                lock().1 = Err(error);
            }
        }
    });
    jobs.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_job_is_done_once_and_none_after_a_failure() {
        for threads in [1, 2, 5] {
            let mut done = vec![0; 1_000];
            share(threads, done.iter_mut(), |job| {
                *job += 1;
                Ok(())
            })
            .unwrap();
            assert!(done.iter().all(|times| *times == 1));

            let begun = AtomicUsize::new(0);
            let failing = |job| {
                begun.fetch_add(1, Ordering::SeqCst);
                if job == 3 { Err(Error::new(ErrorKind::Internal, "planted")) } else { Ok(()) }
            };
            assert_eq!(share(1, 0..1_000, failing).unwrap_err().to_string(), "planted");
            assert_eq!(begun.load(Ordering::SeqCst), 4);
            assert!(share(threads, 0..1_000, failing).is_err());
        }
    }
}
