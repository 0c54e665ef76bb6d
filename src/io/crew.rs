//! The same work on several threads.

use std::thread;

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
