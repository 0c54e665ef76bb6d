//! What a cache consists of: the keys that are kept, the unwraps in flight, and what was refused.

use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::flight::Flight;
use crate::datakey::cache::refusals::Refusals;
use crate::datakey::cache::store::{CachedKey, Found, Loaded, Store};
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Ends, Family, Holder, Place};
use crate::datakey::failure::Failure;
use crate::datakey::reaper;
use crate::datakey::reaper::{Due, NextVisit};
use crate::datakey::stats::{CacheCounters, CacheStats};
use crate::datakey::sync::{Own, lock, own};
use crate::datakey::{CacheId, observe};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(crate) struct Shared {
    state: Own<CacheState>,
    pub(crate) counters: CacheCounters,
    pub(crate) source: Source,
    /// Of all who share the cache: one's unwrap may be what another one waits for, who then has
    /// to be able to poll it.
    pub(crate) driver: Arc<Driver>,
    pub(crate) ends: Ends,
    _place: Place,
}

struct CacheState {
    /// None: nothing is kept, and unwraps in flight are shared all the same.
    store: Option<Store>,
    flights: HashMap<CacheId, UnderWay>,
    refusals: Refusals,
    /// When the reaper comes.
    visit: NextVisit,
}

struct UnderWay {
    flight: Arc<Flight<Answer>>,
    family: Family,
    version: Option<u32>,
    asked: Instant,
    standing: Standing,
}

/// What an unwrap that was asked for some time ago still says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is the newest word on its key.
    Current,
    /// The service denied another key of the family since: a key that this one brings is only for
    /// those who wait for it already.
    Denied,
    /// As that, and as it was for the caller to end the keys, the service is to be asked anew
    /// whatever this one brings.
    Ended,
    /// Another one has taken its place.
    Replaced,
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

impl Shared {
    pub(crate) fn new(store: Option<Store>, source: Source) -> Arc<Self> {
        let limits = store.as_ref().map(Store::limits);
        let state = own(CacheState::new(store), move |parents| {
            if let Some(CacheState { store: Some(copies), .. }) = parents {
                copies.remove_where(|_, _| true);
            }
            // What others of the parent's hold is to be wiped, too.
            let threaded = reaper::start().is_ok();
            CacheState::new(limits.clone().filter(|_| threaded).map(Store::new))
        });
        let ends = Ends::new();
        Arc::new_cyclic(|shared: &Weak<Self>| Self {
            state,
            counters: CacheCounters::default(),
            source,
            driver: Arc::default(),
            _place: ends.join(shared.clone()),
            ends,
        })
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let keys = lock(&self.state).store.as_ref().map_or(0, Store::len);
        self.counters.keys.set(keys);
        self.counters.stats()
    }

    /// Looks for a key asked for no longer than `max_age` ago. `origin` is what it is wrapped
    /// under, with the version where that can be told.
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
                    state.depart(id, origin(), now)
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
            Some(under_way)
                if under_way.standing == Standing::Current && !over(under_way.asked) =>
            {
                self.counters.joins.add();
                LookUp::Join(under_way.flight.clone())
            }
            _ => {
                self.counters.misses.add();
                LookUp::Lead(state.depart(id, origin(), now))
            }
        }
    }

    /// The place of the first of `ids` whose key is here, within its time and asked for no longer
    /// than `max_age` ago.
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
        let floor = self.ends.floor(loaded.family.key.id());
        let retired =
            floor.is_some_and(|floor| loaded.version.is_some_and(|version| version < floor));
        let current = state.landed(&id, flight) == Standing::Current;
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
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let now = (self.source.now)();
        let landed = state.landed(&id, flight);
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
        if matches!(landed, Standing::Current | Standing::Denied) {
            state.refusals.put(id, &error, now);
        }
        drop(guard);
        // All keys of one batch are denied together, and one of them is enough to tell: what was
        // asked for before an end says nothing of what was obtained after it.
        if Failure::of(error.kind()) == Failure::OfFamily
            && matches!(landed, Standing::Current | Standing::Replaced)
        {
            self.ends.tell(End::Unwraps(&loaded.family));
        }
        Err(error)
    }

    fn denied(&self, count: usize) {
        if count > 0 {
            self.counters.denied.by(count);
            observe::dropped(count, "denied");
        }
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

impl Holder for Shared {
    fn end(self: Arc<Self>, end: End<'_>) {
        let mut state = lock(&self.state);
        let denial = matches!(end, End::Unwraps(_) | End::Wraps(..));
        let count = state
            .store
            .as_mut()
            .map_or(0, |store| store.remove_where(|family, version| end.concerns(family, version)));
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
            // A denial is heard for its second, and no longer than the caller wants to.
            state.refusals.clear();
            self.counters.forgotten.by(count);
            observe::dropped(count, end.name());
        }
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
    fn new(store: Option<Store>) -> Self {
        Self {
            store,
            flights: HashMap::new(),
            refusals: Refusals::new(),
            visit: NextVisit::default(),
        }
    }

    fn depart(
        &mut self,
        id: &CacheId,
        (family, version): (Family, Option<u32>),
        asked: Instant,
    ) -> Arc<Flight<Answer>> {
        let flight = Arc::new(Flight::new());
        let standing = Standing::Current;
        let under_way = UnderWay { flight: flight.clone(), family, version, asked, standing };
        self.flights.insert(*id, under_way);
        flight
    }

    fn unanswered(&mut self, id: &CacheId, now: Instant) {
        if let Some(store) = &mut self.store {
            store.unanswered(id, now);
        }
    }

    /// Takes `flight` off the list of those in flight.
    fn landed(&mut self, id: &CacheId, flight: &Arc<Flight<Answer>>) -> Standing {
        match self.flights.get(id) {
            Some(under_way) if Arc::ptr_eq(&under_way.flight, flight) => {
                let standing = under_way.standing;
                self.flights.remove(id);
                standing
            }
            _ => Standing::Replaced,
        }
    }
}
