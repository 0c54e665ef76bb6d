//! What waits for calls under one key-encryption key, and what its calls have taught: how long they
//! take, and how many keys they may carry.

use crate::datakey::batch::operation::Operation;
use crate::datakey::batch::ticket::Ticket;
use crate::datakey::clock::Instant;
use crate::datakey::observe;
use crate::datakey::reaper::NextVisit;
use crate::datakey::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::time::Duration;

/// Keys in one call at most: what the service's arrays hold, however their size is counted.
pub(crate) const MAX_BATCH: usize = 256;
/// Calls under way at most for one key-encryption key. At the service's 300 calls a second this is
/// enough for answers that take 100 ms.
const MAX_CALLS: usize = 32;
/// Keys that wait at most, for one key-encryption key.
pub(crate) const MAX_QUEUE: usize = 1 << 18;
/// Keys that wait before any is looked at whether somebody still waits for it.
const MANY: usize = 4_096;
/// Whole batches that have to succeed before a larger one is tried again.
const GROW_AFTER: u32 = 1_000;
/// A key that waited this many times as long as a call takes does not wait for company any longer:
/// the call ahead of it may be stuck.
const PATIENCE: u32 = 2;
const LEAST_PATIENCE: Duration = Duration::from_millis(20);
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// Everything under one key-encryption key.
pub(crate) struct Lane<O: Operation> {
    queue: VecDeque<Queued<O>>,
    /// How long the queue is when those are thrown out whose callers have gone.
    sweep_at: usize,
    pub(crate) under_way: usize,
    max_batch: usize,
    /// Whole batches that succeeded since the limit was last changed.
    good: u32,
    /// Smoothed time of a call.
    latency: Duration,
    /// When the reaper comes to look whether what is under way is stuck.
    pub(crate) visit: NextVisit,
}

pub(crate) struct Queued<O: Operation> {
    pub(crate) input: O::In,
    pub(crate) ticket: Ticket<O::Out>,
    pub(crate) since: Instant,
}

/// Part of a batch: keys, and where each one's result goes.
pub(crate) type Part<O> = (Vec<<O as Operation>::In>, Vec<Ticket<<O as Operation>::Out>>);

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
    /// Puts a key at the end of the queue, if there is room. What is in the way and has nobody who
    /// waits for it goes to `unwanted`, to be dropped where no lock is held.
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
            self.sweep_at = MANY.max(self.queue.len() * 2);
        }
        if self.queue.len() >= MAX_QUEUE {
            return Err(queued);
        }
        self.queue.push_back(queued);
        Ok(())
    }

    /// The next batch, if one may leave now.
    pub(crate) fn leave(&mut self, now: Instant, unwanted: &mut Vec<Queued<O>>) -> Option<Part<O>> {
        while self.queue.front().is_some_and(|first| !first.ticket.is_wanted()) {
            unwanted.extend(self.queue.pop_front());
        }
        let waited = now.saturating_duration_since(self.queue.front()?.since);
        let alone = self.under_way == 0 || waited >= self.patience();
        if self.under_way >= MAX_CALLS || (!alone && self.queue.len() < self.max_batch) {
            return None;
        }
        let mut batch: VecDeque<Queued<O>> = VecDeque::new();
        while batch.len() < self.max_batch
            && let Some(queued) = self.queue.pop_front()
        {
            // The first was wanted a moment ago, and no batch is empty.
            if batch.is_empty() || queued.ticket.is_wanted() {
                batch.push_back(queued);
            } else {
                unwanted.push(queued);
            }
        }
        if !alone && batch.len() < self.max_batch {
            // Those that made it a whole batch are wanted no more.
            self.queue = batch;
            return None;
        }
        let (inputs, tickets) =
            batch.into_iter().map(|queued| (queued.input, queued.ticket)).unzip();
        self.under_way += 1;
        Some((inputs, tickets))
    }

    /// When something has to look again in case that what is under way gets stuck. Where there is
    /// no place for another call, only an answer can help.
    pub(crate) fn look_again_at(&self) -> Option<Instant> {
        let first = self.queue.front().filter(|_| self.under_way < MAX_CALLS)?;
        first.since.checked_add(self.patience())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way == 0 && self.queue.is_empty()
    }

    /// All that waits.
    pub(crate) fn give_up(&mut self) -> VecDeque<Queued<O>> {
        std::mem::take(&mut self.queue)
    }

    fn patience(&self) -> Duration {
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
            sweep_at: MANY,
            under_way: 0,
            max_batch: MAX_BATCH,
            good: 0,
            latency: Duration::ZERO,
            visit: NextVisit::default(),
        }
    }
}
