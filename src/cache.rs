//! Keeps unwrapped data keys for a bounded time, and lets one caller do what many wait for.
//!
//! Promises: a key is never handed out past its time to live; a key that leaves the cache is wiped as soon as nobody uses it; at most
//! one load runs for one wrapped key, its result goes to everyone who waits for it, and a failure is shared with them and not kept; a load
//! whose caller goes away is taken over by another. Knows wrapped keys and data keys, and nothing of services, HTTP or messages.

mod entry;
mod flight;
mod limits;
mod store;

pub(crate) use entry::CacheId;
pub use limits::CacheLimits;

use crate::error::Result;
use crate::secret::DataKey;
use flight::{Flight, Role};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use store::Store;

pub(crate) struct KeyCache {
    limits: CacheLimits,
    state: Mutex<State>,
    now: fn() -> Instant,
}

struct State {
    store: Store,
    flights: HashMap<CacheId, Arc<Flight>>,
}

impl KeyCache {
    pub(crate) fn new(limits: CacheLimits) -> Result<Self> {
        limits.check()?;
        let state = Mutex::new(State { store: Store::new(limits.max_keys()), flights: HashMap::new() });
        Ok(Self { limits, state, now: Instant::now })
    }

    // A panic cannot happen while the lock is held with the state half changed, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key under `id`, from the cache or from one call to `load` shared by everyone who asks meanwhile; and whether it was this call's `load`.
    pub(crate) async fn get_or_load<F, Fut>(&self, id: CacheId, load: F) -> Result<(Arc<DataKey>, bool)>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<DataKey>>,
    {
        loop {
            let role = {
                let mut state = self.state();
                if let Some(key) = state.store.get(&id, (self.now)()) {
                    return Ok((key, false));
                }
                match state.flights.get(&id) {
                    Some(flight) => Role::Join(flight.clone()),
                    None => {
                        let flight = Arc::new(Flight::new());
                        state.flights.insert(id, flight.clone());
                        Role::Lead(flight)
                    }
                }
            };
            match role {
                // None: whoever loaded went away. Go round: someone who waited becomes the next to load.
                Role::Join(flight) => {
                    if let Some(result) = flight.wait().await {
                        return result.map(|key| (key, false));
                    }
                }
                Role::Lead(flight) => {
                    let landing = Landing { cache: self, id, flight: &flight };
                    // The time to live counts from before the call: what the service said is not younger than that.
                    let asked = (self.now)();
                    let result = load().await.map(Arc::new);
                    landing.land(result.clone(), asked);
                    return result.map(|key| (key, true));
                }
            }
        }
    }

    /// Drops `key` if it is what is kept under `id`: it turned out not to be the key of the message it was loaded for.
    pub(crate) fn forget(&self, id: &CacheId, key: &Arc<DataKey>) {
        self.state().store.remove_same(id, key);
    }
}

/// Ends a flight whichever way its leader ends: with a result, by being dropped, or by a panic.
struct Landing<'a> {
    cache: &'a KeyCache,
    id: CacheId,
    flight: &'a Flight,
}

impl Landing<'_> {
    fn land(&self, result: Result<Arc<DataKey>>, asked: Instant) {
        if let Ok(key) = &result
            && let Some(expires) = asked.checked_add(self.cache.limits.ttl())
        {
            self.cache.state().store.insert(self.id, key.clone(), expires, (self.cache.now)());
        }
        self.flight.finish(Some(result));
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.cache.state().flights.remove(&self.id);
        // Has no effect after a result.
        self.flight.finish(None);
    }
}

#[cfg(test)]
mod tests;
