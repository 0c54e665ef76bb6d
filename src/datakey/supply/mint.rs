//! Generates data keys and wraps them for all recipients.
//!
//! Promises: a data key is wrapped for every recipient or not returned, so no message can be
//! written that only some of them can read. All services are called concurrently; the first failure
//! is returned, and names the recipient.

use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::{self, Driver, Lost};
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::operation::Wrap;
use crate::datakey::batch::ticket::{Ticket, Waiters};
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Ends, Family, Holder, Registration};
use crate::datakey::failure::Failure;
use crate::datakey::stats::PoolCounters;
use crate::datakey::supply::gather::{Gather, Outcome, Unminted};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::wrap::{Binding, KeyPayload, WrappedKey};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A new data key with its wrapped forms.
pub(crate) struct Minted {
    pub(crate) key: DataKey,
    /// The key wrapped for each recipient, in their order.
    pub(crate) slots: Vec<WrappedKey>,
    /// The versions that it is wrapped under, if the wrappers know them.
    pub(crate) versions: Vec<Option<u32>>,
    /// The time before the calls that wrapped it.
    pub(crate) at: Instant,
}

impl Minted {
    pub(crate) fn is_old(&self, max_age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= max_age
    }
}

/// Generates and wraps keys, for the pool and for reuse.
#[derive(Clone)]
pub(crate) struct Mint {
    /// At least one.
    pub(crate) targets: Arc<[WrapTarget]>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) binding: Binding,
    pub(crate) ends: Ends,
    pub(crate) source: Source,
    pub(crate) counters: Arc<PoolCounters>,
}

/// Wraps keys for one recipient.
pub(crate) struct WrapTarget {
    pub(crate) batcher: Batcher<Wrap>,
    /// The family of its key-encryption key.
    pub(crate) family: Family,
}

/// The keys to wrap for one recipient.
type Items = Vec<(KeyPayload, Ticket<WrappedKey>)>;

impl Mint {
    /// Registers a holder of minted keys, which has none yet, for invalidations.
    pub(crate) fn register(&self, holder: Weak<dyn Holder>) -> Registration {
        let registration = self.ends.register(holder);
        registration.rest();
        registration
    }

    /// Whether `end` concerns the key of any recipient.
    pub(crate) fn is_touched(&self, end: &End<'_>) -> bool {
        self.targets.iter().any(|target| end.touches(&target.family))
    }

    /// Whether `end` invalidates this key. One recipient is enough.
    pub(crate) fn is_ended(&self, end: &End<'_>, minted: &Minted) -> bool {
        self.targets
            .iter()
            .zip(&minted.versions)
            .any(|(target, version)| end.concerns(&target.family, *version))
    }

    /// The key, unless it is wrapped under a retired version of a key-encryption key.
    pub(crate) fn unless_retired(&self, minted: Minted) -> Result<Minted> {
        self.check_retired(0..self.targets.len(), &minted.versions)?;
        Ok(minted)
    }

    fn check_retired(
        &self,
        which: impl Iterator<Item = usize>,
        versions: &[Option<u32>],
    ) -> Result<()> {
        for (at, version) in which.zip(versions) {
            let floor = self.ends.floor(self.targets[at].family.key.id());
            if let (Some(floor), Some(version)) = (floor, *version)
                && version < floor
            {
                let what = format!(
                    "the key service wraps with version {version} of the key, which was retired"
                );
                return Err(named(&self.targets, at, Error::new(ErrorKind::KeyUnusable, what)));
            }
        }
        Ok(())
    }

    /// If this is a service's denial, invalidates the keys of the family in all holders, and
    /// returns true. Must not be called with a holder's lock held.
    pub(crate) fn tell_denial<T>(&self, minted: &Outcome<T>) -> bool {
        match minted {
            Some(Err(Unminted { by: Some(by), error }))
                if Failure::of(error.kind()) == Failure::OfFamily =>
            {
                self.ends.tell(End::Wraps(&self.targets[*by].family, error));
                true
            }
            _ => false,
        }
    }

    /// Orders a key for each of `orders`: its waiters, if it has any, and the receiver of the key
    /// or the failure, or of `None` if the order was dropped.
    pub(crate) fn order<A>(&self, orders: impl IntoIterator<Item = (Option<Waiters>, A)>)
    where
        A: FnOnce(Outcome<Minted>) + Send + 'static,
    {
        let all: Vec<_> = (0..self.targets.len()).collect();
        let orders = orders.into_iter();
        let room = orders.size_hint().0;
        let mut items: Vec<Items> = all.iter().map(|_| Vec::with_capacity(room)).collect();
        for (waiters, arrive) in orders {
            let key = match DataKey::generate() {
                Ok(key) => key,
                Err(error) => {
                    arrive(Some(Err(Unminted { by: None, error })));
                    continue;
                }
            };
            let (at, targets) = ((self.source.now)(), self.targets.clone());
            let payloads = payloads(&key, &self.binding, all.len());
            let arrive = move |slots: Outcome<Vec<WrappedKey>>| {
                let minted = |slots: Vec<WrappedKey>| {
                    let version =
                        |(target, slot): (&WrapTarget, _)| target.batcher.key_version(slot);
                    let versions = targets.iter().zip(&slots).map(version).collect();
                    Minted { key, slots, versions, at }
                };
                arrive(slots.map(|slots| slots.map(minted)));
            };
            self.wrap_for(payloads, &all, waiters, arrive, &mut items);
        }
        self.submit(&all, items);
    }

    /// Wraps an existing data key for these recipients.
    pub(crate) async fn wrap(&self, key: &DataKey, which: &[usize]) -> Result<Vec<WrappedKey>> {
        let mut wrapped = self.wrap_bound(&[(key, self.binding)], which).await?;
        wrapped.pop().ok_or_else(drive::gone)
    }

    /// Wraps existing keys, each for a use of its own, for these recipients.
    pub(crate) async fn wrap_bound(
        &self,
        keys: &[(&DataKey, Binding)],
        which: &[usize],
    ) -> Result<Vec<Vec<WrappedKey>>> {
        let mut lost = Lost::default();
        'again: loop {
            let mut items = which.iter().map(|_| Items::new()).collect::<Vec<_>>();
            let order = |(key, binding): &(&DataKey, Binding)| {
                let flight = Arc::new(Flight::new());
                // Besides the waiter, the order holds the flight.
                let waiters = Waiters::of(&flight, 1);
                let (mint, target) = (self.clone(), flight.clone());
                let arrive = move |slots: Outcome<Vec<WrappedKey>>| {
                    mint.tell_denial(&slots);
                    target.finish(slots.map(|slots| slots.map_err(|unminted| unminted.error)));
                };
                let payloads = payloads(key, binding, which.len());
                self.wrap_for(payloads, which, Some(waiters), arrive, &mut items);
                flight
            };
            let flights: Vec<_> = keys.iter().map(order).collect();
            self.submit(which, items);
            let mut wrapped = Vec::with_capacity(keys.len());
            for flight in flights {
                let Some(slots) = self.driver.wait(Wait::new(flight)).await else {
                    lost.again()?;
                    continue 'again;
                };
                let slots = slots?;
                let version = |(at, slot): (&usize, _)| self.targets[*at].batcher.key_version(slot);
                let versions: Vec<_> = which.iter().zip(&slots).map(version).collect();
                self.check_retired(which.iter().copied(), &versions)?;
                wrapped.push(slots);
            }
            return Ok(wrapped);
        }
    }

    /// Adds the payloads of one key to `items`, which has one list for each of `which`.
    fn wrap_for(
        &self,
        payloads: Vec<KeyPayload>,
        which: &[usize],
        waiters: Option<Waiters>,
        arrive: impl FnOnce(Outcome<Vec<WrappedKey>>) + Send + 'static,
        items: &mut [Items],
    ) {
        let gather = Arc::new(Gather::new(which.len(), arrive));
        for (place, payload) in payloads.into_iter().enumerate() {
            let (by, gather, targets) = (which[place], gather.clone(), self.targets.clone());
            let came = move |wrapped: Option<Result<WrappedKey>>| {
                let unminted = |error| Unminted { by: Some(by), error: named(&targets, by, error) };
                gather.came(place, wrapped.map(|wrapped| wrapped.map_err(unminted)));
            };
            items[place].push((payload, Ticket::for_waiters(waiters.clone(), came)));
        }
    }

    fn submit(&self, which: &[usize], items: Vec<Items>) {
        for (at, items) in which.iter().zip(items) {
            self.targets[*at].batcher.submit(items);
        }
    }
}

fn payloads(key: &DataKey, binding: &Binding, count: usize) -> Vec<KeyPayload> {
    (0..count).map(|_| KeyPayload::encode(key, binding)).collect()
}

/// `error`, with the name of its recipient if there are several.
fn named(targets: &[WrapTarget], at: usize, error: Error) -> Error {
    if targets.len() == 1 {
        return error;
    }
    let key = &targets[at].family.key;
    let what = format!("nothing is written without the key {key} ({}): {error}", key.provider());
    Error::with_source(error.kind(), what, error)
}
