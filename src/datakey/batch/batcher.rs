//! Many keys in one call to the key service.
//!
//! The service limits calls, and takes arrays. So keys that are asked for while a call is under way
//! leave together: at once when nothing is under way, when a whole batch has gathered, or when the
//! last call has come back. Nobody waits for company; under load it comes by itself.
//!
//! Promises: every ticket is answered exactly once, with its own key's result or, if the work was
//! dropped, with the word that it was; keys under different key-encryption keys never share a call,
//! so a denial of one says nothing of the other; a batch refused for what may be one bad key in it
//! is cut in two until the bad one is alone, and one refused for what may be one version of the
//! key, by versions; a batch that only went through in halves was too large, and the next are
//! smaller. Knows wrapped keys and payloads, and nothing of caches.

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

/// Key-encryption keys that are remembered while nothing is asked of them.
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

/// A batch on its way out.
struct Departure<O: Operation> {
    key: KeyId,
    inputs: Vec<O::In>,
    tickets: Vec<Ticket<O::Out>>,
    /// The batch that this is a half of.
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
            // What the parent waits for comes there.
            lanes: own(HashMap::new(), |_| HashMap::new()),
            counters: BatchCounters::default(),
            source,
        }))
    }

    /// Queues all of `items` before any of them leaves, so that they leave together.
    pub(crate) fn submit(&self, items: impl IntoIterator<Item = (O::In, Ticket<O::Out>)>) {
        let since = (self.0.source.now)();
        // Answered outside the lock, as an answer may submit again.
        let (mut departures, mut refused, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
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
                self.0.depart(&mut lanes, &key, since, &mut departures, &mut unwanted);
            }
        }
        drop(unwanted);
        for Queued { ticket, .. } in refused {
            ticket.answer(Err(Error::new(
                ErrorKind::Throttled,
                format!("{MAX_QUEUE} keys wait for the key service already: try again later"),
            )));
        }
        self.0.start(departures);
    }

    /// The version that a wrapped key is under, where the wrapper can tell it.
    pub(crate) fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        self.0.recipient.wrapper.key_version(wrapped)
    }

    /// Whose service is called.
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

    /// Takes out what may leave now.
    fn depart(
        self: &Arc<Self>,
        lanes: &mut HashMap<KeyId, Lane<O>>,
        key: &KeyId,
        now: Instant,
        departures: &mut Vec<Departure<O>>,
        unwanted: &mut Vec<Queued<O>>,
    ) {
        let Some(lane) = lanes.get_mut(key) else { return };
        while let Some((inputs, tickets)) = lane.leave(now, unwanted) {
            departures.push(Departure { key: key.clone(), inputs, tickets, whole: None });
        }
        if let Some(at) = lane.look_again_at() {
            lane.visit.by(at, self.source, self);
        }
    }

    fn start(self: &Arc<Self>, departures: Vec<Departure<O>>) {
        for departure in departures {
            self.driver.start(self.landing(&departure).fly(departure));
        }
    }

    fn landing(self: &Arc<Self>, departure: &Departure<O>) -> Landing<O> {
        Landing {
            inner: self.clone(),
            key: departure.key.clone(),
            began: (self.source.now)(),
            landed: false,
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
        let (mut departures, mut unwanted) = (Vec::new(), Vec::new());
        {
            let (mut lanes, now) = (lock(&self.lanes), (self.source.now)());
            let due: Vec<_> = lanes
                .iter_mut()
                .filter_map(|(key, lane)| lane.visit.is(at).then(|| key.clone()))
                .collect();
            for key in due {
                self.depart(&mut lanes, &key, now, &mut departures, &mut unwanted);
            }
        }
        drop(unwanted);
        for departure in departures {
            self.driver.spawn(self.landing(&departure).fly(departure));
        }
    }
}

/// A call under way. Whichever way it ends, its place is given back, and the next batch leaves or
/// is given up.
struct Landing<O: Operation> {
    inner: Arc<Inner<O>>,
    key: KeyId,
    began: Instant,
    landed: bool,
}

impl<O: Operation> Landing<O> {
    async fn fly(mut self, departure: Departure<O>) {
        let Departure { key, inputs, tickets, whole } = departure;
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
                // Payloads are wiped before anyone goes on with what became of them.
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
        self.landed = true;
    }

    /// Both halves at once, so that the good keys wait for no more calls than the logarithm of the
    /// batch.
    fn halve(&self, key: KeyId, mut inputs: Vec<O::In>, mut tickets: Vec<Ticket<O::Out>>) {
        let whole = Arc::new(Whole::new(inputs.len()));
        let half = inputs.len() / 2;
        let other = (inputs.split_off(half), tickets.split_off(half));
        self.again(key, [(inputs, tickets), other], Some(&whole));
    }

    /// The keys of each version on their own: one version of a key can be disabled while the others
    /// serve.
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
        let departure = |(inputs, tickets)| Departure {
            key: key.clone(),
            inputs,
            tickets,
            whole: whole.cloned(),
        };
        let departures: Vec<_> = parts.into_iter().map(departure).collect();
        if let Some(lane) = lock(&self.inner.lanes).get_mut(&key) {
            lane.under_way += departures.len();
        }
        self.inner.start(departures);
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

/// A panic of the wrapper is an answer too. If it were none, those who wait would ask again, and
/// again.
async fn caught<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = pin!(call);
    let poll = poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)))
            .map_or_else(|_| Poll::Ready(None), |poll| poll.map(Some))
    });
    poll.await.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "the key wrapper panicked")))
}

impl<O: Operation> Drop for Landing<O> {
    fn drop(&mut self) {
        let (mut departures, mut unwanted) = (Vec::new(), Vec::new());
        let mut left = VecDeque::new();
        {
            let mut lanes = lock(&self.inner.lanes);
            let Some(lane) = lanes.get_mut(&self.key) else { return };
            lane.under_way = lane.under_way.saturating_sub(1);
            if self.landed {
                self.inner.depart(
                    &mut lanes,
                    &self.key,
                    (self.inner.source.now)(),
                    &mut departures,
                    &mut unwanted,
                );
            } else if lane.under_way == 0 {
                // The call was dropped, and what left from here would be dropped with it. Those who
                // wait start anew from where they are.
                left = lane.give_up();
            }
        }
        drop((left, unwanted));
        self.inner.start(departures);
    }
}

/// Whether a batch may have failed for one of its keys, or for how many there are, and not for what
/// all of them share.
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
