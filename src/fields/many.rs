//! Columns on all cores.
//!
//! Lengths decide where each result goes, so that the output is one allocation, and each run of
//! items has a part of it to itself. Who makes a run asks for the keys at its start: a denial ends
//! a long column too. Items are the caller's, who may give another length the second time: who
//! fills a place compares.

use crate::crew::cores;
use crate::error::Result;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Items of a run.
const RUN: usize = 4_096;
/// What is worth a thread of its own: starting one and waiting for it takes as long as some hundred
/// values.
const VALUES_PER_THREAD: usize = 1_024;
const BYTES_PER_THREAD: usize = 1 << 20;

/// Items that one thread works on, and the part of the output that is theirs.
pub(super) struct Run<'a, T> {
    /// The place of the first item.
    pub(super) first: usize,
    pub(super) items: &'a [T],
    pub(super) out: &'a mut [u8],
    /// Where each result ends, in the whole output.
    ends: &'a [usize],
    /// Where `out` begins in the whole output.
    base: usize,
}

impl<T> Run<'_, T> {
    /// The place of one item's result; `at` counts from the first item of the run.
    pub(super) fn out_of(&mut self, at: usize) -> &mut [u8] {
        let start = if at == 0 { self.base } else { self.ends[at - 1] };
        &mut self.out[start - self.base..self.ends[at] - self.base]
    }
}

/// Where results end, if each has this length.
pub(super) fn ends(lens: impl Iterator<Item = Result<usize>>) -> Result<Vec<usize>> {
    let (mut ends, mut end) = (Vec::with_capacity(lens.size_hint().0), 0);
    for len in lens {
        end += len?;
        ends.push(end);
    }
    Ok(ends)
}

/// Calls `work` for runs of `items`: on this thread, and on others if there is enough of it. The
/// results are in the order of items; the first error ends it.
pub(super) fn in_runs<T: Sync, R: Send>(
    items: &[T],
    ends: &[usize],
    mut out: &mut [u8],
    work: impl Fn(Run<'_, T>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let threads = threads(items.len(), out.len());
    // Short ones where there are few items, so that every thread has some.
    let each = items.len().div_ceil(threads).clamp(1, RUN);
    let (mut runs, mut base) = (Vec::with_capacity(items.len().div_ceil(each)), 0);
    for (items, ends) in items.chunks(each).zip(ends.chunks(each)) {
        let end = ends.last().copied().unwrap_or(base);
        let (own, behind) = out.split_at_mut(end - base);
        runs.push(Run { first: runs.len() * each, items, out: own, ends, base });
        (out, base) = (behind, end);
    }
    let (count, runs) = (runs.len(), Mutex::new(runs.into_iter()));
    let done = Mutex::new(Vec::with_capacity(count));
    let next = || lock(&runs).next();
    let take = || {
        while let Some(run) = next() {
            let (first, result) = (run.first, work(run));
            if result.is_err() {
                // Nobody begins another.
                lock(&runs).by_ref().for_each(drop);
            }
            lock(&done).push((first, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            // If the system has no thread left, the others do its part.
            let _ = thread::Builder::new().spawn_scoped(scope, take);
        }
        take();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(first, _)| *first);
    done.into_iter().map(|(_, result)| result).collect()
}

fn threads(items: usize, bytes: usize) -> usize {
    match (items / VALUES_PER_THREAD).max(bytes / BYTES_PER_THREAD) {
        0 | 1 => 1,
        worth => worth.min(cores()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
