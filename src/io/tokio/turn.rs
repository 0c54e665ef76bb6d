//! When a task that is never made to wait lets others run.

use crate::format::CHUNK_LEN;
use crate::io::run::RUN_CHUNKS;
use ::tokio::task::coop::{RestoreOnPending, poll_proceed};
use std::task::{Context, Poll, ready};

/// The most that one poll works on.
pub(super) const PLAIN_RUN_LEN: usize = RUN_CHUNKS * CHUNK_LEN;

/// Asks the runtime's budget whether the task may work on `len` bytes, at most a run, before it
/// yields. With a peer that is always ready it would otherwise keep the thread for as long as the
/// data lasts. A run is worked on right here, which takes some 30 us: a poll cannot lend the
/// caller's bytes to another thread, so that one would need a copy.
pub(super) fn poll_turn(cx: &mut Context<'_>, len: usize) -> Poll<RestoreOnPending> {
    let first = ready!(poll_proceed(cx));
    // The runtime lets a task make 128 calls in a turn, and takes them for short ones: a chunk
    // counts as one.
    for _ in 1..len.min(PLAIN_RUN_LEN).div_ceil(CHUNK_LEN) {
        ready!(poll_proceed(cx)).made_progress();
    }
    Poll::Ready(first)
}
