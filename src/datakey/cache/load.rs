//! Loads unwrapped keys: from the cache, by joining an unwrap in flight (single flight), or by
//! starting one.

use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::{Driver, Lost};
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::operation::Unwrap;
use crate::datakey::batch::ticket::{Ticket, Waiters};
use crate::datakey::cache::answer::{Answer, LookUp};
use crate::datakey::cache::handle::KeyCache;
use crate::datakey::cache::store::{CachedKey, Loaded};
use crate::datakey::cache::{CacheId, Realm};
use crate::error::Result;
use crate::wrap::{Binding, KeyPayload, WrappedKey};
use std::sync::Arc;
use std::time::Duration;

/// Loads keys of one use through one wrapper.
#[derive(Clone)]
pub(crate) struct Loader {
    pub(crate) cache: KeyCache,
    pub(crate) batcher: Batcher<Unwrap>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) realm: Realm,
    pub(crate) binding: Binding,
}

/// Unwraps that are not submitted yet.
#[derive(Default)]
pub(crate) struct Outbox(Vec<(WrappedKey, Ticket<KeyPayload>)>);

/// A requested key.
pub(crate) struct Asked {
    id: CacheId,
    state: AskedState,
}

enum AskedState {
    Here(Result<Answer>),
    Coming(Arc<Flight<Answer>>),
}

impl Outbox {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl Asked {
    /// Whether the key is available without waiting.
    pub(crate) fn is_here(&self) -> bool {
        match &self.state {
            AskedState::Here(answer) => answer.is_ok(),
            AskedState::Coming(flight) => flight.has_succeeded(),
        }
    }
}

impl Loader {
    /// The cache id of the key in `slot`.
    pub(crate) fn id(&self, slot: &WrappedKey) -> CacheId {
        self.realm.id(slot)
    }

    /// Same as [`id`](Self::id), where other recipients of the same cache may open `slot` too.
    pub(crate) fn id_through(&self, slot: &WrappedKey) -> CacheId {
        self.realm.id_through(slot, &self.batcher.recipient().key)
    }

    /// Looks up the key in `slot` by `id`. An unwrap that must be started goes to `outbox`, which
    /// the caller must [`send`](Self::send).
    pub(crate) fn ask(
        &self,
        slot: &WrappedKey,
        id: CacheId,
        max_age: Option<Duration>,
        outbox: &mut Outbox,
    ) -> Asked {
        let origin = || (self.realm.family(slot.key_id()), self.batcher.key_version(slot));
        let state = match self.cache.0.look_up(&id, origin, max_age) {
            LookUp::Hit(answer, refresh) => {
                if let Some(flight) = refresh {
                    outbox.0.push(self.unwrap(id, slot, flight, None));
                }
                AskedState::Here(Ok(answer))
            }
            LookUp::Refused(error) => AskedState::Here(Err(error)),
            LookUp::Join(flight) => AskedState::Coming(flight),
            LookUp::Lead(flight) => {
                // Besides the waiters, the cache's map and the ticket hold the flight.
                let waiters = Waiters::of(&flight, 2);
                outbox.0.push(self.unwrap(id, slot, flight.clone(), Some(waiters)));
                AskedState::Coming(flight)
            }
        };
        Asked { id, state }
    }

    /// Submits all unwraps of `outbox` together, so that they share calls.
    pub(crate) fn send(&self, outbox: Outbox) {
        if !outbox.0.is_empty() {
            self.batcher.submit(outbox.0);
        }
        // A refresh has no waiter that would poll it where there is no runtime.
        self.driver.nudge();
    }

    /// Waits for the key in `slot`.
    pub(crate) async fn wait(
        &self,
        mut asked: Asked,
        slot: &WrappedKey,
        max_age: Option<Duration>,
    ) -> Result<Arc<CachedKey>> {
        let mut lost = Lost::default();
        loop {
            let answer = match asked.state {
                AskedState::Here(answer) => answer?,
                AskedState::Coming(flight) => match self.driver.wait(Wait::new(flight)).await {
                    Some(answer) => answer?,
                    // The call was dropped with its runtime: start again. Of all waiters, one
                    // starts a new unwrap and the others join it.
                    None => {
                        lost.again()?;
                        let mut outbox = Outbox::default();
                        asked = self.ask(slot, asked.id, max_age, &mut outbox);
                        self.send(outbox);
                        continue;
                    }
                },
            };
            return match answer {
                Answer::Key(key) => Ok(key),
                Answer::Old(key, since, error) => {
                    let age = (self.cache.0.source.now)().saturating_duration_since(since);
                    if max_age.is_some_and(|max| age > max) {
                        return Err(error);
                    }
                    self.cache.0.used_old(&error);
                    Ok(key)
                }
            };
        }
    }

    /// Reports whether a key opened its message.
    pub(crate) fn tried(&self, id: &CacheId, key: &Arc<CachedKey>, opened: bool) {
        if opened { key.prove() } else { self.cache.0.wrong(id, key) }
    }

    fn unwrap(
        &self,
        id: CacheId,
        slot: &WrappedKey,
        flight: Arc<Flight<Answer>>,
        waiters: Option<Waiters>,
    ) -> (WrappedKey, Ticket<KeyPayload>) {
        let (cache, binding) = (self.cache.0.clone(), self.binding);
        // The time to live counts from before the call, since the service may decide at its start.
        let loaded = Loaded {
            family: self.realm.family(slot.key_id()),
            version: self.batcher.key_version(slot),
            asked: (cache.source.now)(),
        };
        let recipient = self.batcher.recipient().clone();
        recipient.counters.asked.add();
        let ticket = Ticket::for_waiters(waiters, move |payload: Option<Result<KeyPayload>>| {
            let decode = |payload: KeyPayload| {
                payload.decode(&binding).map_err(|error| cache.misfit(&id, error))
            };
            let key = payload.map(|payload| payload.and_then(decode));
            recipient.counters.unwrapped(key.as_ref().map(Result::as_ref));
            cache.finish(id, &flight, loaded, key);
        });
        (slot.clone(), ticket)
    }
}
