//! Loads, invalidations and timers of keys that are held together.

use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::flight::Flight;
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Ends, Holder, Registration};
use crate::datakey::failure::Failure;
use crate::datakey::held::fetch::{Fetch, Got, Origin};
use crate::datakey::held::state::{Kept, Limits, Look, QUIET};
use crate::datakey::observe;
use crate::datakey::reading::Search;
use crate::datakey::reaper::{self, Due, NextTimer};
use crate::datakey::sync::{Guard, Own, lock, own};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::sync::{Arc, Weak};

pub(crate) struct Shared<T> {
    state: Own<State<T>>,
    fetch: Fetch,
    build: Box<dyn Fn(Vec<DataKey>) -> T + Send + Sync>,
    limits: Limits,
    pub(crate) source: Source,
    pub(crate) driver: Arc<Driver>,
    ends: Ends,
    _registration: Registration,
}

struct State<T> {
    kept: Option<Kept<T>>,
    load: Option<Load>,
    /// Why there are no keys, if the reason is a failure.
    why: Option<Error>,
    /// Until when callers that cannot wait start no load.
    quiet: Option<Instant>,
    timer: NextTimer,
}

/// A load in flight.
struct Load {
    flight: Arc<Flight<()>>,
    asked: Instant,
    /// Keys from there are not held: they were invalidated meanwhile.
    ended: Vec<Origin>,
}

/// Reports to all waiters that there will be no outcome, unless there was one.
struct Loading<T: Send + Sync + PartialEq + 'static> {
    shared: Arc<Shared<T>>,
    flight: Arc<Flight<()>>,
}

/// What a caller that can wait finds.
pub(crate) enum Found<T> {
    Here(Arc<T>),
    Coming(Arc<Flight<()>>),
}

impl<T: Send + Sync + PartialEq + 'static> Shared<T> {
    pub(crate) fn new(
        fetch: Fetch,
        build: impl Fn(Vec<DataKey>) -> T + Send + Sync + 'static,
        limits: Limits,
        source: Source,
        driver: Arc<Driver>,
        ends: Ends,
    ) -> Arc<Self> {
        let state = own(State::default(), |parents: Option<&mut State<T>>| {
            // The child's copies; the parent's are not touched.
            if let Some(parents) = parents {
                drop(parents.kept.take());
            }
            let _ = reaper::start();
            State::default()
        });
        Arc::new_cyclic(|shared: &Weak<Self>| {
            let _registration = ends.register(shared.clone());
            let build = Box::new(build);
            Self { state, fetch, build, limits, source, driver, ends, _registration }
        })
    }

    /// The keys, without waiting.
    pub(crate) fn get(self: &Arc<Self>) -> Result<Arc<T>> {
        let now = (self.source.now)();
        let mut state = lock(&self.state);
        match self.look(&mut state, now) {
            Look::Found { keys, refresh: false } => Ok(keys),
            Look::Found { keys, refresh: true } => {
                if state.load.is_none() {
                    let flight = state.start(now);
                    self.run(state, flight);
                }
                Ok(keys)
            }
            Look::Missing => {
                if state.load.is_some() || state.quiet.is_some_and(|until| now < until) {
                    return Err(state.why());
                }
                let flight = state.start(now);
                self.run(state, flight);
                // A key that needs no network is there at once.
                let mut state = lock(&self.state);
                match self.look(&mut state, now) {
                    Look::Found { keys, .. } => Ok(keys),
                    Look::Missing => Err(state.why()),
                }
            }
        }
    }

    /// The keys, or a load to wait for.
    pub(crate) fn find(self: &Arc<Self>) -> Found<T> {
        let now = (self.source.now)();
        let mut state = lock(&self.state);
        let found = self.look(&mut state, now);
        let fresh = state.kept.as_ref().is_some_and(|kept| kept.is_fresh(now));
        match found {
            Look::Found { keys, refresh: false } if fresh || state.load.is_none() => {
                return Found::Here(keys);
            }
            // Stale keys are used once the service was called again in vain.
            Look::Found { keys, refresh: true } if fresh => {
                if state.load.is_none() {
                    let flight = state.start(now);
                    self.run(state, flight);
                }
                return Found::Here(keys);
            }
            _ => {}
        }
        match &state.load {
            Some(load) if !self.limits.would_be_expired(load.asked, now) => {
                Found::Coming(load.flight.clone())
            }
            _ => {
                let flight = state.start(now);
                self.run(state, flight.clone());
                Found::Coming(flight)
            }
        }
    }

    /// The keys that are used if a load failed with this error: stale ones, in an outage.
    pub(crate) fn instead(&self, error: Error) -> Result<Arc<T>> {
        let now = (self.source.now)();
        let mut state = lock(&self.state);
        match self.look(&mut state, now) {
            Look::Found { keys, .. } => Ok(keys),
            Look::Missing => Err(error),
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        let (now, state) = ((self.source.now)(), lock(&self.state));
        state
            .kept
            .as_ref()
            .is_some_and(|kept| !kept.is_over(now, &self.limits) && kept.is_fresh(now))
    }

    /// Drops the keys.
    pub(crate) fn forget(&self) {
        let mut state = lock(&self.state);
        if let Some(load) = &mut state.load {
            load.ended.extend(self.fetch.origins().cloned());
        }
        (state.why, state.quiet) = (None, None);
        let _dropped = state.kept.take();
        drop(state);
    }

    fn look(&self, state: &mut State<T>, now: Instant) -> Look<T> {
        if state.kept.as_ref().is_some_and(|kept| kept.is_over(now, &self.limits)) {
            state.kept = None;
        }
        state.kept.as_mut().map_or(Look::Missing, |kept| kept.look(now))
    }

    /// Runs the load of `flight`, which is in the state, without holding the lock.
    fn run(self: &Arc<Self>, state: Guard<'_, State<T>>, flight: Arc<Flight<()>>) {
        drop(state);
        let loading = Loading { shared: self.clone(), flight };
        let searches = self.fetch.ask();
        self.driver.start(loading.run(searches));
        // A refresh has no waiter that would poll it where there is no runtime.
        self.driver.nudge();
    }

    /// Handles the outcome of a load; `None` if it was dropped.
    fn came(self: &Arc<Self>, flight: &Arc<Flight<()>>, outcome: Option<Result<Vec<Got>>>) {
        let mut state = lock(&self.state);
        let now = (self.source.now)();
        let load = state.load.take_if(|load| Arc::ptr_eq(&load.flight, flight));
        let mut wiped = None;
        let told = match (outcome, load) {
            (_, None) => None,
            (None, Some(_)) => {
                if let Some(kept) = &mut state.kept {
                    kept.failed(None, now);
                }
                None
            }
            (Some(Ok(got)), Some(load)) => Some(self.keep(&mut state, got, &load, now)),
            (Some(Err(error)), Some(_)) => {
                wiped = self.failed(&mut state, &error, now);
                Some(Err(error))
            }
        };
        if let Some(Err(error)) = &told {
            state.why = Some(error.clone());
            state.quiet = Some(now + QUIET);
        }
        self.set_timer(&mut state, now);
        drop(state);
        drop(wiped);
        flight.finish(told);
    }

    fn keep(&self, state: &mut State<T>, got: Vec<Got>, load: &Load, now: Instant) -> Result<()> {
        for Got { origin, .. } in &got {
            let floor = self.ends.floor(origin.family.key.id());
            if let (Some(floor), Some(version)) = (floor, origin.version)
                && version < floor
            {
                let text = format!(
                    "the keys are wrapped under version {version} of the key {}, which was \
                     retired: rewrap them",
                    origin.family.key
                );
                return Err(Error::new(ErrorKind::KeyUnusable, text));
            }
        }
        if got.iter().any(|got| load.ended.contains(&got.origin)) {
            return Ok(());
        }
        let (keys, origins) = got.into_iter().map(|got| (got.key, got.origin)).unzip();
        let mut keys = Arc::new((self.build)(keys));
        if let Some(kept) = &mut state.kept {
            if *kept.keys != *keys {
                kept.failed(None, now);
                let text = "the key service gave another key than before for the same wrapped key";
                return Err(Error::new(ErrorKind::Internal, text));
            }
            // With all that was derived from them.
            keys = kept.keys.clone();
        }
        state.kept = Kept::new(keys, origins, load.asked, now, &self.limits, self.source);
        (state.why, state.quiet) = (None, None);
        Ok(())
    }

    /// Drops the keys if `error` is a denial, and returns them to be wiped without the lock.
    fn failed(&self, state: &mut State<T>, error: &Error, now: Instant) -> Option<Kept<T>> {
        let kept = state.kept.as_mut()?;
        match Failure::of(error.kind()) {
            Failure::Outage => kept.failed(Some(error), now),
            Failure::Own => kept.failed(None, now),
            // These wrapped keys have been unwrapped: one false answer says nothing of them.
            Failure::OfKey if error.kind() == ErrorKind::Authentication => {
                kept.failed(None, now);
            }
            Failure::OfKey | Failure::OfFamily => {
                observe::dropped(kept.origins.len(), "denied");
                return state.kept.take();
            }
        }
        None
    }

    fn set_timer(self: &Arc<Self>, state: &mut State<T>, now: Instant) {
        let Some(kept) = &state.kept else { return };
        let at = reaper::no_sooner(kept.next(now, &self.limits), now);
        state.timer.by(at, self.source, self);
    }
}

impl<T> State<T> {
    fn start(&mut self, asked: Instant) -> Arc<Flight<()>> {
        let flight = Arc::new(Flight::new());
        self.load = Some(Load { flight: flight.clone(), asked, ended: Vec::new() });
        if let Some(kept) = &mut self.kept {
            kept.refreshing(asked);
        }
        flight
    }

    fn why(&self) -> Error {
        self.why.clone().unwrap_or_else(|| {
            let text = "the keys are not in memory: they have expired, or were forgotten, and are \
                        being unwrapped: wait until they are ready";
            Error::new(ErrorKind::Unavailable, text)
        })
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        let timer = NextTimer::default();
        Self { kept: None, load: None, why: None, quiet: None, timer }
    }
}

impl<T: Send + Sync + PartialEq + 'static> Loading<T> {
    async fn run(self, searches: Vec<Search>) {
        let got = self.shared.fetch.finish(searches).await;
        self.shared.came(&self.flight, Some(got));
    }
}

impl<T: Send + Sync + PartialEq + 'static> Drop for Loading<T> {
    fn drop(&mut self) {
        self.shared.came(&self.flight, None);
    }
}

impl<T: Send + Sync + PartialEq + 'static> Holder for Shared<T> {
    fn end(self: Arc<Self>, end: End<'_>) {
        let mut state = lock(&self.state);
        let concerned = |origin: &&Origin| end.concerns(&origin.family, origin.version);
        if let Some(load) = &mut state.load {
            load.ended.extend(self.fetch.origins().filter(concerned).cloned());
        }
        let kept = state.kept.take_if(|kept| kept.origins.iter().any(|from| concerned(&from)));
        if let Some(kept) = &kept {
            observe::dropped(kept.origins.len(), end.name());
        }
        match end {
            End::Unwraps(_, error) | End::Wraps(_, error) if kept.is_some() => {
                state.why = Some(error.clone());
            }
            End::Unwraps(..) | End::Wraps(..) => {}
            _ => (state.why, state.quiet) = (None, None),
        }
        // Wiped without the lock.
        drop(state);
        drop(kept);
    }
}

impl<T: Send + Sync + PartialEq + 'static> Due for Shared<T> {
    fn due(self: Arc<Self>, at: Instant) {
        let mut state = lock(&self.state);
        let now = (self.source.now)();
        let wiped = state.kept.take_if(|kept| kept.is_over(now, &self.limits));
        let refresh =
            state.load.is_none() && state.kept.as_ref().is_some_and(|kept| kept.is_due(now));
        let flight = refresh.then(|| state.start(now));
        if state.timer.is(at) {
            self.set_timer(&mut state, now);
        }
        match flight {
            Some(flight) => self.run(state, flight),
            None => drop(state),
        }
        drop(wiped);
    }
}
