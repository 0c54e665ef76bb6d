//! The cache that envelopes share: what is kept, what is in flight, and what was refused.

use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::flight::Flight;
use crate::datakey::cache::id::Family;
use crate::datakey::cache::refusals::Refusals;
use crate::datakey::cache::store::{CachedKey, Found, Loaded, Store};
use crate::datakey::clock::Source;
use crate::datakey::failure::Failure;
use crate::datakey::limits::CacheLimits;
use crate::datakey::reaper;
use crate::datakey::reaper::{Due, NextVisit};
use crate::datakey::stats::{CacheCounters, CacheStats};
use crate::datakey::sync::{Mutex, lock};
use crate::datakey::{CacheId, observe};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A cache of unwrapped data keys that several envelopes may share. Cheap to clone; clones are the
/// same cache.
///
/// An [`Envelope`](crate::Envelope) that is given [limits](crate::EnvelopeBuilder::cache) has a
/// cache of its own. One cache for many bounds the keys of all together. Who shares a cache *and* a
/// partition name is served the keys that others obtained, without asking the service: give the
/// same name only to envelopes whose credentials may use the same keys.
///
/// ```
/// use ncp_envelope::{CacheLimits, DataKey, Envelope, KeyCache, LocalKeyWrapper};
/// let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let builder = Envelope::builder(wrapper).scope("tenant-42");
/// let envelope = builder.shared_cache(&cache, "readers").build()?;
/// cache.forget_keys();
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyCache(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    state: Mutex<CacheState>,
    pub(crate) counters: CacheCounters,
    pub(crate) source: Source,
    /// Of all who share the cache: one's unwrap may be what another one waits for, who then has
    /// to be able to poll it.
    pub(crate) driver: Arc<Driver>,
}

struct CacheState {
    /// None: nothing is kept, and unwraps in flight are shared all the same.
    store: Option<Store>,
    flights: HashMap<CacheId, UnderWay>,
    refusals: Refusals,
    /// By key tag, the version below which nothing is kept any more.
    floors: HashMap<String, u32>,
    /// When the reaper comes.
    visit: NextVisit,
}

struct UnderWay {
    flight: Arc<Flight<Answer>>,
    tag: Arc<str>,
    asked: Instant,
}

/// What an unwrap came to.
#[derive(Clone)]
pub(crate) enum Answer {
    Key(Arc<CachedKey>),
    /// The service was out of reach, and this one, asked for at that time, is still there.
    Old(Arc<CachedKey>, Instant, Error),
}

/// What a look-up came to.
pub(crate) enum LookUp {
    /// The second is set where the service has to be asked again in the background.
    Hit(Answer, Option<Arc<Flight<Answer>>>),
    Refused(Error),
    Join(Arc<Flight<Answer>>),
    /// Nobody has asked the service yet; the caller has to.
    Lead(Arc<Flight<Answer>>),
}

impl KeyCache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the system gives no thread to wipe keys at their time.
    pub fn new(limits: CacheLimits) -> Result<Self> {
        if !limits.keeps() {
            return Ok(Self::none());
        }
        reaper::start()?;
        Ok(Self::with(Some(Store::new(limits)), Source::REAL))
    }

    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self::with(None, Source::REAL)
    }

    pub(crate) fn with(store: Option<Store>, source: Source) -> Self {
        let state = CacheState {
            store,
            flights: HashMap::new(),
            refusals: Refusals::new(),
            floors: HashMap::new(),
            visit: NextVisit::default(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            counters: CacheCounters::default(),
            source,
            driver: Arc::default(),
        }))
    }

    /// Drops every key, in all partitions. What is being asked for now is not kept when it comes.
    pub fn forget_keys(&self) {
        self.0.forget(|_| true, Store::clear, "forgotten");
    }

    /// Drops every key wrapped under the key-encryption key `tag`, in all partitions, as after it
    /// was disabled. The next reader asks the service.
    pub fn invalidate(&self, tag: &str) {
        self.0.forget(|id| id == tag, |store| store.remove_key(tag, None), "invalidated");
    }

    /// Drops every key wrapped under a version of `tag` below `version`, and keeps no such key from
    /// now on: each use of one asks the service.
    pub fn retire_below(&self, tag: &str, version: u32) {
        let floor = {
            let mut state = lock(&self.0.state);
            let floor = state.floors.entry(tag.to_owned()).or_insert(version);
            *floor = version.max(*floor);
            *floor
        };
        self.0.forget(|_| false, |store| store.remove_key(tag, Some(floor)), "retired");
    }

    /// What the cache did so far.
    pub fn stats(&self) -> CacheStats {
        let keys = lock(&self.0.state).store.as_ref().map_or(0, Store::len);
        self.0.counters.keys.set(keys);
        self.0.counters.stats()
    }
}

impl Shared {
    fn forget(
        &self,
        flights: impl Fn(&str) -> bool,
        keys: impl FnOnce(&mut Store) -> usize,
        cause: &'static str,
    ) {
        let mut state = lock(&self.state);
        // Those who wait get their answer; nobody else does, and it is not kept.
        state.flights.retain(|_, under_way| !flights(&under_way.tag));
        state.refusals.clear();
        let count = state.store.as_mut().map_or(0, keys);
        self.counters.forgotten.by(count);
        observe::dropped(count, cause);
    }

    /// Looks for a key asked for no longer than `max_age` ago.
    pub(crate) fn look_up(
        &self,
        id: &CacheId,
        family: impl FnOnce() -> Family,
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
                    state.depart(id, family(), now)
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
        // Where nobody polls it an unwrap can be in flight for long, and what it brings is as old
        // as its start.
        let over = |asked| state.store.as_ref().is_some_and(|store| store.is_over(asked, now));
        match state.flights.get(id) {
            Some(under_way) if !over(under_way.asked) => {
                self.counters.joins.add();
                LookUp::Join(under_way.flight.clone())
            }
            _ => {
                self.counters.misses.add();
                LookUp::Lead(state.depart(id, family(), now))
            }
        }
    }

    /// The service's answer to the unwrap of `flight`.
    pub(crate) fn land(
        self: &Arc<Self>,
        id: CacheId,
        flight: &Arc<Flight<Answer>>,
        loaded: Loaded,
        outcome: Option<Result<DataKey>>,
    ) {
        let answer = match outcome {
            None => {
                let mut state = lock(&self.state);
                state.landed(&id, flight);
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
        let floor = state.floors.get(loaded.family.key.id());
        let retired =
            floor.is_some_and(|floor| loaded.version.is_some_and(|version| version < *floor));
        let current = state.landed(&id, flight);
        let fresh = Arc::new(CachedKey::new(key));
        let Some(store) = state.store.as_mut().filter(|_| current && !retired) else {
            return fresh;
        };
        let kept = store.put(id, fresh, loaded, now, self.source, &self.counters);
        self.call_reaper(&mut state, now);
        kept
    }

    fn failed(
        &self,
        id: CacheId,
        flight: &Arc<Flight<Answer>>,
        error: Error,
        loaded: Loaded,
    ) -> Result<Answer> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let now = (self.source.now)();
        let current = state.landed(&id, flight);
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
            Failure::OfKey | Failure::OfFamily => {}
        }
        let denied = match &mut state.store {
            Some(store) if Failure::of(error.kind()) == Failure::OfFamily => {
                store.remove_family(&loaded.family)
            }
            Some(store) => usize::from(store.remove(&id)),
            None => 0,
        };
        if denied > 0 {
            self.counters.denied.by(denied);
            observe::dropped(denied, "denied");
        }
        // After `forget_keys` the service is asked, whatever it said before.
        if current {
            state.refusals.put(id, &error, now);
        }
        Err(error)
    }

    /// `key` did not open the message it was found for. One that never opened any is dropped: a
    /// service that once gives another key must not make the message unreadable for as long as keys
    /// are kept. One that did open a message stays, so that a forged one that names its slot cannot
    /// drive it out.
    pub(crate) fn wrong(&self, id: &CacheId, key: &Arc<CachedKey>) {
        let mut state = lock(&self.state);
        if !key.is_proven() && state.store.as_mut().is_some_and(|store| store.remove_same(id, key))
        {
            self.counters.wrong.add();
        }
    }

    /// What the service gave for `id` is no key for this use. If one is here that has opened a
    /// message, that one is right and this is one false answer, which says nothing of the key.
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

    /// An old key was used.
    pub(crate) fn used_old(&self, error: &Error) {
        self.counters.stale_hits.add();
        observe::stale(error.kind());
    }

    fn call_reaper(self: &Arc<Self>, state: &mut CacheState, now: Instant) {
        let Some(end) = state.store.as_ref().and_then(Store::next_end) else { return };
        let at = reaper::no_sooner(end, now);
        state.visit.by(at, self.source, self);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.store.as_ref().map_or(0, Store::len), state.flights.len())
    }
}

impl Due for Shared {
    fn due(self: Arc<Self>, at: Instant) {
        let mut state = lock(&self.state);
        let now = (self.source.now)();
        if let Some(store) = &mut state.store {
            store.sweep(now, &self.counters);
        }
        if state.visit.is(at) {
            self.call_reaper(&mut state, now);
        }
    }
}

impl CacheState {
    fn depart(&mut self, id: &CacheId, family: Family, asked: Instant) -> Arc<Flight<Answer>> {
        let flight = Arc::new(Flight::new());
        self.flights
            .insert(*id, UnderWay { flight: flight.clone(), tag: family.key.id().into(), asked });
        flight
    }

    fn unanswered(&mut self, id: &CacheId, now: Instant) {
        if let Some(store) = &mut self.store {
            store.unanswered(id, now);
        }
    }

    /// Takes `flight` off the list of those in flight. False if it is not on it: what it brings
    /// was forgotten before it came.
    fn landed(&mut self, id: &CacheId, flight: &Arc<Flight<Answer>>) -> bool {
        let current =
            self.flights.get(id).is_some_and(|under_way| Arc::ptr_eq(&under_way.flight, flight));
        if current {
            self.flights.remove(id);
        }
        current
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("stats", &self.stats()).finish()
    }
}
