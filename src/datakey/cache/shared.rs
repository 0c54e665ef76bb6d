//! The shared state of a cache: its keys, the unwraps in flight and recent refusals.
//!
//! Promises: concurrent lookups of a key share one unwrap (single flight), and all waiters get its
//! result. The result of an unwrap that was in flight during an invalidation goes to its waiters
//! and is not cached. A denial drops every key of its family; an outage drops none.

use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::flight::Flight;
use crate::datakey::cache::answer::{Answer, LookUp};
use crate::datakey::cache::refusals::Refusals;
use crate::datakey::cache::store::{CachedKey, Found, Loaded, Removed, Store};
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Ends, Family, Holder, Registration};
use crate::datakey::failure::Failure;
use crate::datakey::limits::CacheLimits;
use crate::datakey::reaper::{self, Due, NextTimer};
use crate::datakey::stats::{CacheCounters, CacheStats};
use crate::datakey::sync::{Own, lock, own};
use crate::datakey::{CacheId, observe};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Keys that are removed under one lock: after the machine slept, all may have expired, and readers
/// must not wait for all of them.
const SWEPT: usize = 1_000;

pub(crate) struct Shared {
    state: Own<CacheState>,
    pub(crate) counters: CacheCounters,
    pub(crate) source: Source,
    /// Shared by all envelopes of the cache: a waiter must be able to poll the unwrap that it
    /// waits for, whichever envelope started it.
    pub(crate) driver: Arc<Driver>,
    pub(crate) ends: Ends,
    _registration: Registration,
}

struct CacheState {
    /// None: nothing is cached, but unwraps in flight are still shared.
    store: Option<Store>,
    flights: HashMap<CacheId, InFlight>,
    refusals: Refusals,
    /// When the reaper removes expired keys.
    timer: NextTimer,
}

struct InFlight {
    flight: Arc<Flight<Answer>>,
    family: Family,
    version: Option<u32>,
    asked: Instant,
    standing: Standing,
}

/// Whether the result of an unwrap in flight is still valid for the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is the newest unwrap of its key.
    Current,
    /// The service denied another key of the family since: the result is for present waiters only.
    Denied,
    /// The caller invalidated the key since: the result is for present waiters only, and does not
    /// count as a refusal.
    Ended,
    /// A newer unwrap replaced it.
    Replaced,
}

impl Shared {
    pub(crate) fn new(
        store: Option<Store>,
        source: Source,
        driver: Arc<Driver>,
        ends: Ends,
    ) -> Arc<Self> {
        let limits = store.as_ref().map(Store::limits);
        let state = own(CacheState::new(store), move |parents| {
            if let Some(CacheState { store: Some(copies), .. }) = parents {
                drop(copies.take_all());
            }
            // The reaper wipes other copies of the parent's keys too.
            let threaded = reaper::start().is_ok();
            CacheState::new(limits.clone().filter(|_| threaded).map(Store::new))
        });
        Arc::new_cyclic(|shared: &Weak<Self>| Self {
            state,
            counters: CacheCounters::default(),
            source,
            driver,
            _registration: ends.register(shared.clone()),
            ends,
        })
    }

    pub(crate) fn limits(&self) -> Option<CacheLimits> {
        lock(&self.state).store.as_ref().map(Store::limits)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let keys = lock(&self.state).store.as_ref().map_or(0, Store::len);
        self.counters.keys.set(keys);
        self.counters.stats()
    }

    /// Looks up a key requested at most `max_age` ago. `origin` is the key-encryption key that it
    /// is wrapped under, with the version if known.
    pub(crate) fn look_up(
        &self,
        id: &CacheId,
        origin: impl FnOnce() -> (Family, Option<u32>),
        max_age: Option<Duration>,
    ) -> LookUp {
        let now = (self.source.now)();
        let mut state = lock(&self.state);
        let state = &mut *state;
        let young = |asked| max_age.is_none_or(|max| now.saturating_duration_since(asked) <= max);
        let found =
            state.store.as_mut().map_or(Found::Missing, |store| store.get(id, now, &self.counters));
        match found {
            Found::Fresh { key, asked, refresh } if young(asked) => {
                self.counters.hits.add();
                let refresh = (refresh && !state.flights.contains_key(id)).then(|| {
                    self.counters.refreshes.add();
                    state.start_flight(id, origin(), now)
                });
                return LookUp::Hit(Answer::Key(key), refresh);
            }
            Found::Stale { key, asked, error } if young(asked) => {
                return LookUp::Hit(Answer::Old(key, asked, error), None);
            }
            _ => {}
        }
        if let Some(error) = state.refusals.get(id, now) {
            self.counters.refused_again.add();
            return LookUp::Refused(error);
        }
        // An unwrap that is not polled can be in flight for long, and its result is as old as its
        // start.
        let over = |asked| state.store.as_ref().is_some_and(|store| store.is_over(asked, now));
        match state.flights.get(id) {
            Some(in_flight)
                if in_flight.standing == Standing::Current && !over(in_flight.asked) =>
            {
                self.counters.joins.add();
                LookUp::Join(in_flight.flight.clone())
            }
            _ => {
                self.counters.misses.add();
                LookUp::Lead(state.start_flight(id, origin(), now))
            }
        }
    }

    /// The position of the first of `ids` whose key is cached, not expired, and requested at most
    /// `max_age` ago.
    pub(crate) fn first_of<'i>(
        &self,
        mut ids: impl Iterator<Item = &'i CacheId>,
        max_age: Option<Duration>,
    ) -> Option<usize> {
        let now = (self.source.now)();
        let state = lock(&self.state);
        let store = state.store.as_ref()?;
        let young = |asked| max_age.is_none_or(|max| now.saturating_duration_since(asked) <= max);
        ids.position(|id| store.fresh(id, now).is_some_and(young))
    }

    /// Handles the service's answer to the unwrap of `flight`.
    pub(crate) fn finish(
        self: &Arc<Self>,
        id: CacheId,
        flight: &Arc<Flight<Answer>>,
        loaded: Loaded,
        outcome: Option<Result<DataKey>>,
    ) {
        let answer = match outcome {
            None => {
                let mut state = lock(&self.state);
                state.end_flight(&id, flight);
                state.unanswered(&id, (self.source.now)());
                None
            }
            Some(Ok(key)) => Some(Ok(Answer::Key(self.keep(id, flight, key, loaded)))),
            Some(Err(error)) => Some(self.failed(id, flight, error, loaded)),
        };
        flight.finish(answer);
    }

    fn keep(
        self: &Arc<Self>,
        id: CacheId,
        flight: &Arc<Flight<Answer>>,
        key: DataKey,
        loaded: Loaded,
    ) -> Arc<CachedKey> {
        let mut state = lock(&self.state);
        let now = (self.source.now)();
        let floor = self.ends.floor(loaded.family.key.id());
        let retired =
            floor.is_some_and(|floor| loaded.version.is_some_and(|version| version < floor));
        let current = state.end_flight(&id, flight) == Standing::Current;
        let fresh = Arc::new(CachedKey::new(key));
        let Some(store) = state.store.as_mut().filter(|_| current && !retired) else {
            return fresh;
        };
        let kept = store.put(id, fresh, loaded, now, self.source, &self.counters);
        self.set_timer(&mut state, now);
        kept
    }

    fn failed(
        &self,
        id: CacheId,
        flight: &Arc<Flight<Answer>>,
        error: Error,
        loaded: Loaded,
    ) -> Result<Answer> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let now = (self.source.now)();
        let standing = state.end_flight(&id, flight);
        match Failure::of(error.kind()) {
            Failure::Outage => {
                return match state
                    .store
                    .as_mut()
                    .and_then(|store| store.unreachable(&id, &error, now))
                {
                    Some((key, asked)) => Ok(Answer::Old(key, asked, error)),
                    None => Err(error),
                };
            }
            Failure::Own => {
                state.unanswered(&id, now);
                return Err(error);
            }
            Failure::OfKey => {
                let denied = state.store.as_mut().is_some_and(|store| store.remove(&id));
                self.denied(usize::from(denied));
            }
            Failure::OfFamily => {}
        }
        if matches!(standing, Standing::Current | Standing::Denied) {
            state.refusals.put(id, &error, now);
        }
        drop(guard);
        // All keys of one batch are denied together; the first invalidates the family. An unwrap
        // requested before an invalidation says nothing of keys obtained after it.
        if Failure::of(error.kind()) == Failure::OfFamily
            && matches!(standing, Standing::Current | Standing::Replaced)
        {
            self.ends.tell(End::Unwraps(&loaded.family, &error));
        }
        Err(error)
    }

    fn denied(&self, count: usize) {
        if count > 0 {
            self.counters.denied.by(count);
            observe::dropped(count, "denied");
        }
    }

    /// `key` did not open its message. A key that never opened any is dropped: one wrong answer of
    /// the service must not make the message unreadable for the whole time to live. A key that has
    /// opened a message stays, so that a forged message with the same slot cannot evict it.
    pub(crate) fn wrong(&self, id: &CacheId, key: &Arc<CachedKey>) {
        let mut state = lock(&self.state);
        if !key.is_proven() && state.store.as_mut().is_some_and(|store| store.remove_same(id, key))
        {
            self.counters.wrong.add();
        }
    }

    /// The service's answer for `id` is not a key for this use. If a cached key has opened a
    /// message, that key is right, and this single wrong answer says nothing of it.
    pub(crate) fn misfit(&self, id: &CacheId, error: Error) -> Error {
        let mut state = lock(&self.state);
        let now = (self.source.now)();
        match state.store.as_mut().is_some_and(|store| store.has_proven(id, now)) {
            true => Error::with_source(
                ErrorKind::Internal,
                "the key service gave another key than before for the same wrapped key",
                error,
            ),
            false => error,
        }
    }

    /// A stale key was used.
    pub(crate) fn used_old(&self, error: &Error) {
        self.counters.stale_hits.add();
        observe::stale(error.kind());
    }

    fn set_timer(self: &Arc<Self>, state: &mut CacheState, now: Instant) {
        let Some(end) = state.store.as_ref().and_then(Store::next_end) else { return };
        let at = reaper::no_sooner(end, now);
        state.timer.by(at, self.source, self);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        let state = lock(&self.state);
        let lens = state.store.as_ref().map_or([0; 3], Store::lens);
        assert_eq!(lens, [lens[0]; 3]);
        (lens[0], state.flights.len())
    }
}

impl Holder for Shared {
    fn end(self: Arc<Self>, end: End<'_>) {
        let mut state = lock(&self.state);
        let denial = matches!(end, End::Unwraps(..) | End::Wraps(..));
        let removed = state.store.as_mut().map(|store| store.remove_ended(&end));
        let count = removed.as_ref().map_or(0, Removed::len);
        let asked = state.flights.values_mut();
        for asked in asked.filter(|asked| end.concerns(&asked.family, asked.version)) {
            asked.standing = match asked.standing {
                Standing::Current if denial => Standing::Denied,
                standing if denial => standing,
                _ => Standing::Ended,
            };
        }
        if denial {
            self.denied(count);
        } else {
            // The caller wants the service to be called again, so recent refusals go as well.
            state.refusals.clear();
            self.counters.forgotten.by(count);
            observe::dropped(count, end.name());
        }
        // Wiped without the lock.
        drop(state);
        drop(removed);
    }
}

impl Due for Shared {
    fn due(self: Arc<Self>, at: Instant) {
        loop {
            let mut state = lock(&self.state);
            let now = (self.source.now)();
            let store = state.store.as_mut();
            let swept = store.map_or(Vec::new(), |store| store.sweep(now, SWEPT, &self.counters));
            if swept.len() < SWEPT {
                if state.timer.is(at) {
                    self.set_timer(&mut state, now);
                }
                return;
            }
            // Wiped without the lock.
            drop(state);
            drop(swept);
        }
    }
}

impl CacheState {
    fn new(store: Option<Store>) -> Self {
        Self {
            store,
            flights: HashMap::new(),
            refusals: Refusals::new(),
            timer: NextTimer::default(),
        }
    }

    fn start_flight(
        &mut self,
        id: &CacheId,
        (family, version): (Family, Option<u32>),
        asked: Instant,
    ) -> Arc<Flight<Answer>> {
        let flight = Arc::new(Flight::new());
        let standing = Standing::Current;
        let in_flight = InFlight { flight: flight.clone(), family, version, asked, standing };
        self.flights.insert(*id, in_flight);
        flight
    }

    fn unanswered(&mut self, id: &CacheId, now: Instant) {
        if let Some(store) = &mut self.store {
            store.unanswered(id, now);
        }
    }

    /// Takes `flight` off the list of those in flight.
    fn end_flight(&mut self, id: &CacheId, flight: &Arc<Flight<Answer>>) -> Standing {
        match self.flights.get(id) {
            Some(in_flight) if Arc::ptr_eq(&in_flight.flight, flight) => {
                let standing = in_flight.standing;
                self.flights.remove(id);
                standing
            }
            _ => Standing::Replaced,
        }
    }
}
