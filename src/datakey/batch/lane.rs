//! What waits for calls under one key-encryption key, and what its calls have taught: how long they
//! take, and how many keys they may carry.

use crate::datakey::batch::operation::Operation;
use crate::datakey::batch::ticket::Ticket;
use crate::datakey::observe;
use crate::datakey::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Keys in one call at most: what the service's arrays hold, however their size is counted.
pub(crate) const MAX_BATCH: usize = 256;
/// Whole batches that have to succeed before a larger one is tried again.
const GROW_AFTER: u32 = 1_000;
/// A key that waited this many times as long as a call takes does not wait for company any longer:
/// the call ahead of it may be stuck.
const PATIENCE: u32 = 2;
const LEAST_PATIENCE: Duration = Duration::from_millis(20);
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// Everything under one key-encryption key.
pub(crate) struct Lane<O: Operation> {
    pub(crate) queue: VecDeque<Queued<O>>,
    pub(crate) under_way: usize,
    pub(crate) max_batch: usize,
    /// Whole batches that succeeded since the limit was last changed.
    good: u32,
    /// Smoothed time of a call.
    latency: Duration,
    /// When the reaper comes to look whether what is under way is stuck.
    pub(crate) visit: Option<Instant>,
}

pub(crate) struct Queued<O: Operation> {
    pub(crate) input: O::In,
    pub(crate) ticket: Ticket<O::Out>,
    pub(crate) since: Instant,
}

/// A batch that was cut in two.
pub(crate) struct Whole {
    len: usize,
    good_halves: AtomicUsize,
}

impl Whole {
    pub(crate) fn new(len: usize) -> Self {
        Self { len, good_halves: AtomicUsize::new(0) }
    }
}

impl<O: Operation> Lane<O> {
    pub(crate) fn patience(&self) -> Duration {
        (self.latency * PATIENCE).clamp(LEAST_PATIENCE, MOST_PATIENCE)
    }

    /// A call took so long.
    pub(crate) fn took(&mut self, latency: Duration) {
        self.latency =
            if self.latency.is_zero() { latency } else { (self.latency * 3 + latency) / 4 };
    }

    /// A batch of `len` keys succeeded: all of one, or a part of `whole`.
    pub(crate) fn learn(&mut self, len: usize, whole: Option<&Whole>) {
        match whole {
            // Nothing in it was bad, so it was its size.
            Some(whole) if whole.good_halves.fetch_add(1, Ordering::SeqCst) == 1 => {
                self.max_batch = self.max_batch.min((whole.len / 2).max(1));
                self.good = 0;
                observe::smaller_batches(O::NAME, self.max_batch);
            }
            Some(_) => {}
            None if len == self.max_batch && len < MAX_BATCH => {
                self.good += 1;
                if self.good >= GROW_AFTER {
                    self.good = 0;
                    self.max_batch = (self.max_batch * 2).min(MAX_BATCH);
                }
            }
            None => {}
        }
    }
}

impl<O: Operation> Default for Lane<O> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            under_way: 0,
            max_batch: MAX_BATCH,
            good: 0,
            latency: Duration::ZERO,
            visit: None,
        }
    }
}
