//! Coalesces keys into calls to the key service.
//!
//! The service limits calls, and a call takes an array of keys. A batch is sent at once if no call
//! is in flight, when it is full, or when the last call has returned. No key waits for others to
//! fill a batch; under load, batches fill by themselves.
//!
//! Promises:
//! * Every ticket is answered exactly once: with its own key's result, or with the fact that the
//!   call was dropped.
//! * Keys under different key-encryption keys never share a call, so a denial of one says nothing
//!   of the other.
//! * A batch that was refused for what may be one bad key is split in halves until the bad key is
//!   alone. One refused for what may be one version of the key is split by version.
//! * If both halves of a refused batch succeed, it was too large, and later batches are smaller.
//!
//! Knows wrapped keys and payloads, and nothing of caches.

use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::lane::{Lane, MAX_QUEUE, Part, Queued, Whole};
use crate::datakey::batch::operation::Operation;
use crate::datakey::batch::ticket::Ticket;
use crate::datakey::clock::{Instant, Source};
use crate::datakey::failure::Failure;
use crate::datakey::observe;
use crate::datakey::reaper::Due;
use crate::datakey::recipient::Recipient;
use crate::datakey::stats::{BatchCounters, BatchStats};
use crate::datakey::sync::{Own, lock, own};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::{KeyId, WrappedKey};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// The most key-encryption keys whose idle lanes are kept.
const MAX_LANES: usize = 1_024;

pub(crate) struct Batcher<O: Operation>(Arc<Inner<O>>);

struct Inner<O: Operation> {
    operation: O,
    recipient: Arc<Recipient>,
    driver: Arc<Driver>,
    lanes: Own<HashMap<KeyId, Lane<O>>>,
    counters: BatchCounters,
    source: Source,
}

/// A batch to be sent.
struct Batch<O: Operation> {
    key: KeyId,
    inputs: Vec<O::In>,
    tickets: Vec<Ticket<O::Out>>,
    /// The refused batch of which this is a half.
    whole: Option<Arc<Whole>>,
}

impl<O: Operation> Clone for Batcher<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<O: Operation> Batcher<O> {
    pub(crate) fn new(
        operation: O,
        recipient: Arc<Recipient>,
        driver: Arc<Driver>,
        source: Source,
    ) -> Self {
        Self(Arc::new(Inner {
            operation,
            recipient,
            driver,
            // The results of the parent's calls arrive in the parent.
            lanes: own(HashMap::new(), |_| HashMap::new()),
            counters: BatchCounters::default(),
            source,
        }))
    }

    /// Queues all of `items` before any is sent, so that they share calls.
    pub(crate) fn submit(&self, items: impl IntoIterator<Item = (O::In, Ticket<O::Out>)>) {
        let since = (self.0.source.now)();
        // Answered outside the lock, as an answer may submit again.
        let (mut batches, mut refused, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut lanes = lock(&self.0.lanes);
            let mut touched: Vec<KeyId> = Vec::new();
            for (input, ticket) in items {
                let key = O::key(&input, &*self.0.recipient.wrapper);
                if touched.last() != Some(key) {
                    touched.push(key.clone());
                    if !lanes.contains_key(key) {
                        Inner::make_room(&mut lanes);
                        lanes.insert(key.clone(), Lane::default());
                    }
                }
                match lanes.get_mut(key) {
                    Some(lane) => {
                        let queued = Queued { input, ticket, since };
                        refused.extend(lane.push(queued, &mut unwanted).err());
                    }
                    None => refused.push(Queued { input, ticket, since }),
                }
            }
            for key in touched {
                self.0.take_batches(&mut lanes, &key, since, &mut batches, &mut unwanted);
            }
        }
        drop(unwanted);
        for Queued { ticket, .. } in refused {
            ticket.answer(Err(Error::new(
                ErrorKind::Throttled,
                format!("{MAX_QUEUE} keys wait for the key service already: try again later"),
            )));
        }
        self.0.start(batches);
    }

    /// The version of the key-encryption key that `wrapped` is under, if the wrapper knows it.
    pub(crate) fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        self.0.recipient.wrapper.key_version(wrapped)
    }

    /// The recipient whose service is called.
    pub(crate) fn recipient(&self) -> &Arc<Recipient> {
        &self.0.recipient
    }

    #[cfg(all(test, not(shuttle)))]
    pub(crate) fn lanes(&self) -> usize {
        lock(&self.0.lanes).len()
    }

    pub(crate) fn stats(&self) -> BatchStats {
        self.0.counters.stats()
    }
}

impl<O: Operation> Inner<O> {
    fn version(&self, input: &O::In) -> Option<u32> {
        O::version(input, &*self.recipient.wrapper)
    }

    fn make_room(lanes: &mut HashMap<KeyId, Lane<O>>) {
        if lanes.len() >= MAX_LANES {
            lanes.retain(|_, lane| !lane.is_idle());
        }
    }

    /// Takes the batches that can be sent now.
    fn take_batches(
        self: &Arc<Self>,
        lanes: &mut HashMap<KeyId, Lane<O>>,
        key: &KeyId,
        now: Instant,
        batches: &mut Vec<Batch<O>>,
        unwanted: &mut Vec<Queued<O>>,
    ) {
        let Some(lane) = lanes.get_mut(key) else { return };
        while let Some((inputs, tickets)) = lane.next_batch(now, unwanted) {
            batches.push(Batch { key: key.clone(), inputs, tickets, whole: None });
        }
        if let Some(at) = lane.check_at() {
            lane.timer.by(at, self.source, self);
        }
    }

    fn start(self: &Arc<Self>, batches: Vec<Batch<O>>) {
        for batch in batches {
            self.driver.start(self.call(&batch).run(batch));
        }
    }

    fn call(self: &Arc<Self>, batch: &Batch<O>) -> Call<O> {
        Call {
            inner: self.clone(),
            key: batch.key.clone(),
            began: (self.source.now)(),
            returned: false,
        }
    }

    fn learn(&self, key: &KeyId, len: usize, whole: Option<&Whole>) {
        if let Some(lane) = lock(&self.lanes).get_mut(key) {
            lane.learn(len, whole);
        }
    }
}

impl<O: Operation> Due for Inner<O> {
    fn due(self: Arc<Self>, at: Instant) {
        let (mut batches, mut unwanted) = (Vec::new(), Vec::new());
        {
            let (mut lanes, now) = (lock(&self.lanes), (self.source.now)());
            let due: Vec<_> = lanes
                .iter_mut()
                .filter_map(|(key, lane)| lane.timer.is(at).then(|| key.clone()))
                .collect();
            for key in due {
                self.take_batches(&mut lanes, &key, now, &mut batches, &mut unwanted);
            }
        }
        drop(unwanted);
        for batch in batches {
            self.driver.spawn(self.call(&batch).run(batch));
        }
    }
}

/// A call in flight. However it ends, it frees its place, and the next batch is sent or dropped.
struct Call<O: Operation> {
    inner: Arc<Inner<O>>,
    key: KeyId,
    began: Instant,
    returned: bool,
}

impl<O: Operation> Call<O> {
    async fn run(mut self, batch: Batch<O>) {
        let Batch { key, inputs, tickets, whole } = batch;
        let (inner, len) = (&self.inner, inputs.len());
        let call = async { inner.operation.call(&*inner.recipient.wrapper, &inputs).await };
        let result = caught(call).await.and_then(|results| match results.len() == len {
            true => Ok(results),
            false => Err(Error::new(
                ErrorKind::Internal,
                format!("the key wrapper returned {} results for {len} keys", results.len()),
            )),
        });
        self.count(len, result.as_ref().err());
        match result {
            Ok(results) => {
                inner.learn(&key, len, whole.as_deref());
                // Payloads are wiped before any waiter continues with the results.
                drop(inputs);
                for (ticket, result) in tickets.into_iter().zip(results) {
                    ticket.answer(Ok(result));
                }
            }
            Err(error) if len > 1 && may_be_one_key(error.kind()) => {
                self.halve(key, inputs, tickets)
            }
            Err(error)
                if error.kind() == ErrorKind::KeyUnusable
                    && inputs
                        .iter()
                        .any(|input| inner.version(input) != inner.version(&inputs[0])) =>
            {
                self.sort(key, inputs, tickets);
            }
            Err(error) => tickets.into_iter().for_each(|ticket| ticket.answer(Err(error.clone()))),
        }
        self.returned = true;
    }

    /// Sends both halves at once, so that good keys wait for at most log2(batch) calls.
    fn halve(&self, key: KeyId, mut inputs: Vec<O::In>, mut tickets: Vec<Ticket<O::Out>>) {
        let whole = Arc::new(Whole::new(inputs.len()));
        let half = inputs.len() / 2;
        let other = (inputs.split_off(half), tickets.split_off(half));
        self.again(key, [(inputs, tickets), other], Some(&whole));
    }

    /// Sends the keys of each version in a call of their own: one version of a key can be disabled
    /// while the others are not.
    fn sort(&self, key: KeyId, inputs: Vec<O::In>, tickets: Vec<Ticket<O::Out>>) {
        let mut versions: HashMap<Option<u32>, Part<O>> = HashMap::new();
        for (input, ticket) in inputs.into_iter().zip(tickets) {
            let (inputs, tickets) = versions.entry(self.inner.version(&input)).or_default();
            inputs.push(input);
            tickets.push(ticket);
        }
        self.again(key, versions.into_values(), None);
    }

    fn again(
        &self,
        key: KeyId,
        parts: impl IntoIterator<Item = Part<O>>,
        whole: Option<&Arc<Whole>>,
    ) {
        self.inner.counters.splits.add();
        let batch =
            |(inputs, tickets)| Batch { key: key.clone(), inputs, tickets, whole: whole.cloned() };
        let batches: Vec<_> = parts.into_iter().map(batch).collect();
        if let Some(lane) = lock(&self.inner.lanes).get_mut(&key) {
            lane.in_flight += batches.len();
        }
        self.inner.start(batches);
    }

    fn count(&self, len: usize, error: Option<&Error>) {
        let now = (self.inner.source.now)();
        let latency = now.saturating_duration_since(self.began);
        self.inner.recipient.came_back(error.map(|error| Failure::of(error.kind())), now);
        let counters = &self.inner.counters;
        counters.calls.add();
        counters.micros.by(usize::try_from(latency.as_micros()).unwrap_or(usize::MAX));
        counters.largest.at_least(len);
        match error {
            None => counters.keys.by(len),
            Some(_) => counters.failed_calls.add(),
        }
        observe::batch(O::NAME, len, latency, error.map(Error::kind));
        if let Some(lane) = lock(&self.inner.lanes).get_mut(&self.key) {
            lane.took(latency);
        }
    }
}

/// A panic of the wrapper becomes an error. Otherwise waiters would retry for ever.
async fn caught<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = pin!(call);
    let poll = poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)))
            .map_or_else(|_| Poll::Ready(None), |poll| poll.map(Some))
    });
    poll.await.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "the key wrapper panicked")))
}

impl<O: Operation> Drop for Call<O> {
    fn drop(&mut self) {
        let (mut batches, mut unwanted) = (Vec::new(), Vec::new());
        let mut left = VecDeque::new();
        {
            let mut lanes = lock(&self.inner.lanes);
            let Some(lane) = lanes.get_mut(&self.key) else { return };
            lane.in_flight = lane.in_flight.saturating_sub(1);
            if self.returned {
                self.inner.take_batches(
                    &mut lanes,
                    &self.key,
                    (self.inner.source.now)(),
                    &mut batches,
                    &mut unwanted,
                );
            } else if lane.in_flight == 0 {
                // The call was dropped with its runtime, and batches sent from here would be as
                // well. Waiters start again from their own runtimes.
                left = lane.drain();
            }
        }
        drop((left, unwanted));
        self.inner.start(batches);
    }
}

/// Whether a batch may have failed because of one of its keys or its size, and not because of
/// something that all its keys share.
fn may_be_one_key(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Authentication
            | ErrorKind::Malformed
            | ErrorKind::InvalidInput
            | ErrorKind::LimitExceeded
            | ErrorKind::KeyNotAllowed
    )
}
