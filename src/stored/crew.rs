//! The same work on several threads.

use std::thread;

/// Has `work` done by the calling thread and so many less one beside it, or by fewer where the
/// system gives none. Each is to take what there is to do from one place, until there is no more.
pub(super) fn crew(threads: usize, work: &(dyn Fn() + Sync)) {
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}
