//! The queue of keys under one key-encryption key, with what its calls have taught: how long they
//! take, and how many keys they may carry.

use crate::datakey::batch::operation::Operation;
use crate::datakey::batch::ticket::Ticket;
use crate::datakey::clock::Instant;
use crate::datakey::observe;
use crate::datakey::reaper::NextTimer;
use crate::datakey::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::time::Duration;

/// The most keys in one call: the service's arrays hold this many, however their size is counted.
pub(crate) const MAX_BATCH: usize = 256;
/// The most calls in flight for one key-encryption key. At the service's 300 calls a second this is
/// enough for a latency of 100 ms.
const MAX_CALLS: usize = 32;
/// The most keys in the queue of one key-encryption key.
pub(crate) const MAX_QUEUE: usize = 1 << 18;
/// The shortest queue that is swept for keys without waiters.
const MIN_SWEEP: usize = 4_096;
/// Full batches that must succeed before a larger one is tried again.
const GROW_AFTER: u32 = 1_000;
/// A key that has waited this many call latencies is sent although a call is in flight: that call
/// may be stuck.
const STUCK_AFTER: u32 = 2;
const MIN_STUCK: Duration = Duration::from_millis(20);
const MAX_STUCK: Duration = Duration::from_secs(1);

/// The queue and the calls of one key-encryption key.
pub(crate) struct Lane<O: Operation> {
    queue: VecDeque<Queued<O>>,
    /// The length of the queue at which keys without waiters are removed.
    sweep_at: usize,
    pub(crate) in_flight: usize,
    max_batch: usize,
    /// Full batches that succeeded since the limit was last changed.
    good: u32,
    /// Smoothed latency of a call.
    latency: Duration,
    /// When the reaper checks whether the calls in flight are stuck.
    pub(crate) timer: NextTimer,
}

pub(crate) struct Queued<O: Operation> {
    pub(crate) input: O::In,
    pub(crate) ticket: Ticket<O::Out>,
    pub(crate) since: Instant,
}

/// Part of a batch: keys, and the ticket of each.
pub(crate) type Part<O> = (Vec<<O as Operation>::In>, Vec<Ticket<<O as Operation>::Out>>);

/// A batch that was split in halves.
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
    /// Appends a key to the queue, if there is room. Keys without waiters that are removed for that
    /// go to `unwanted`, to be dropped outside the lock.
    pub(crate) fn push(
        &mut self,
        queued: Queued<O>,
        unwanted: &mut Vec<Queued<O>>,
    ) -> Result<(), Queued<O>> {
        if self.queue.len() >= self.sweep_at {
            let queue = std::mem::take(&mut self.queue).into_iter();
            let (wanted, gone): (Vec<_>, Vec<_>) =
                queue.partition(|queued| queued.ticket.is_wanted());
            unwanted.extend(gone);
            self.queue = wanted.into();
            self.sweep_at = MIN_SWEEP.max(self.queue.len() * 2);
        }
        if self.queue.len() >= MAX_QUEUE {
            return Err(queued);
        }
        self.queue.push_back(queued);
        Ok(())
    }

    /// The next batch, if one can be sent now.
    pub(crate) fn next_batch(
        &mut self,
        now: Instant,
        unwanted: &mut Vec<Queued<O>>,
    ) -> Option<Part<O>> {
        while self.queue.front().is_some_and(|first| !first.ticket.is_wanted()) {
            unwanted.extend(self.queue.pop_front());
        }
        let waited = now.saturating_duration_since(self.queue.front()?.since);
        let partial = self.in_flight == 0 || waited >= self.stuck_after();
        if self.in_flight >= MAX_CALLS || (!partial && self.queue.len() < self.max_batch) {
            return None;
        }
        let mut batch: VecDeque<Queued<O>> = VecDeque::new();
        while batch.len() < self.max_batch
            && let Some(queued) = self.queue.pop_front()
        {
            // The first had a waiter a moment ago, and no batch is empty.
            if batch.is_empty() || queued.ticket.is_wanted() {
                batch.push_back(queued);
            } else {
                unwanted.push(queued);
            }
        }
        if !partial && batch.len() < self.max_batch {
            // Without the keys that have no waiter any more, the batch is not full.
            self.queue = batch;
            return None;
        }
        let (inputs, tickets) =
            batch.into_iter().map(|queued| (queued.input, queued.ticket)).unzip();
        self.in_flight += 1;
        Some((inputs, tickets))
    }

    /// When to check whether the calls in flight are stuck. None if the limit of calls is reached:
    /// then only an answer makes room.
    pub(crate) fn check_at(&self) -> Option<Instant> {
        let first = self.queue.front().filter(|_| self.in_flight < MAX_CALLS)?;
        first.since.checked_add(self.stuck_after())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.queue.is_empty()
    }

    /// Empties the queue.
    pub(crate) fn drain(&mut self) -> VecDeque<Queued<O>> {
        std::mem::take(&mut self.queue)
    }

    fn stuck_after(&self) -> Duration {
        (self.latency * STUCK_AFTER).clamp(MIN_STUCK, MAX_STUCK)
    }

    /// Records the latency of a call.
    pub(crate) fn took(&mut self, latency: Duration) {
        self.latency =
            if self.latency.is_zero() { latency } else { (self.latency * 3 + latency) / 4 };
    }

    /// Records that a batch of `len` keys succeeded; it may be a half of `whole`.
    pub(crate) fn learn(&mut self, len: usize, whole: Option<&Whole>) {
        match whole {
            // Both halves succeeded, so no key was bad: the batch was too large.
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
            sweep_at: MIN_SWEEP,
            in_flight: 0,
            max_batch: MAX_BATCH,
            good: 0,
            latency: Duration::ZERO,
            timer: NextTimer::default(),
        }
    }
}
