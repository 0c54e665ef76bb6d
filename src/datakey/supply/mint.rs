//! Makes data keys and has them wrapped, for all recipients.
//!
//! Promises: a data key that is given out is wrapped for every recipient, or there is none: nothing
//! can be written that only some of them can read. All services are asked at the same time; the
//! first failure is the failure, and names the recipient.

use crate::context::Scope;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::{Driver, Lost};
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::operation::Wrap;
use crate::datakey::batch::ticket::{Ticket, Waiters};
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Ends, Family, Holder, Place};
use crate::datakey::failure::Failure;
use crate::datakey::stats::PoolCounters;
use crate::datakey::supply::gather::{Gather, Outcome, Unminted};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::suite::Suite;
use crate::wrap::{KeyPayload, WrappedKey};
use std::sync::Arc;
use std::time::Duration;

/// A new data key in all of its forms.
pub(crate) struct Minted {
    pub(crate) key: DataKey,
    /// It wrapped for each recipient, in their order.
    pub(crate) slots: Vec<WrappedKey>,
    /// The versions that it is wrapped under, where the wrappers can tell them.
    pub(crate) versions: Vec<Option<u32>>,
    /// Before it was sent to be wrapped.
    pub(crate) at: Instant,
}

impl Minted {
    pub(crate) fn is_old(&self, max_age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= max_age
    }
}

/// Makes keys and has them wrapped; what pool and reuse order from.
#[derive(Clone)]
pub(crate) struct Mint {
    /// At least one.
    pub(crate) presses: Arc<[Press]>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) scope: Scope,
    pub(crate) suite: Suite,
    pub(crate) ends: Ends,
    pub(crate) source: Source,
    pub(crate) counters: Arc<PoolCounters>,
}

/// Has keys wrapped for one recipient.
pub(crate) struct Press {
    pub(crate) batcher: Batcher<Wrap>,
    /// Of the key-encryption key that it wraps under.
    pub(crate) family: Family,
}

/// What one press is asked for.
type Items = Vec<(KeyPayload, Ticket<WrappedKey>)>;

impl Mint {
    /// Puts one that holds what is minted here on the list of those who hear of ends.
    pub(crate) fn join<T: Holder + 'static>(&self, holder: &Arc<T>) -> Place {
        let holder: Arc<dyn Holder> = holder.clone();
        self.ends.join(Arc::downgrade(&holder))
    }

    /// Whether `end` ends what is wrapped for any of the recipients.
    pub(crate) fn hears(&self, end: &End<'_>) -> bool {
        self.presses.iter().any(|press| end.touches(&press.family))
    }

    /// Whether `end` ends this one: for one recipient is for all.
    pub(crate) fn is_ended(&self, end: &End<'_>, minted: &Minted) -> bool {
        self.presses
            .iter()
            .zip(&minted.versions)
            .any(|(press, version)| end.concerns(&press.family, *version))
    }

    /// The key, unless it was wrapped under a version of a key-encryption key that was retired.
    pub(crate) fn unless_retired(&self, minted: Minted) -> Result<Minted> {
        self.check_retired(0..self.presses.len(), &minted.versions)?;
        Ok(minted)
    }

    fn check_retired(
        &self,
        which: impl Iterator<Item = usize>,
        versions: &[Option<u32>],
    ) -> Result<()> {
        for (at, version) in which.zip(versions) {
            let floor = self.ends.floor(self.presses[at].family.key.id());
            if let (Some(floor), Some(version)) = (floor, *version)
                && version < floor
            {
                let what = format!(
                    "the key service wraps with version {version} of the key, which was retired"
                );
                return Err(named(&self.presses, at, Error::new(ErrorKind::KeyUnusable, what)));
            }
        }
        Ok(())
    }

    /// If this is a service's denial, tells all who hold keys of the same family, whoever ordered
    /// it among them. Whether it is. Not within a lock of a holder.
    pub(crate) fn tell_denial<T>(&self, minted: &Outcome<T>) -> bool {
        match minted {
            Some(Err(Unminted { by: Some(by), error }))
                if Failure::of(error.kind()) == Failure::OfFamily =>
            {
                self.ends.tell(End::Wraps(&self.presses[*by].family, error));
                true
            }
            _ => false,
        }
    }

    /// Orders a key for each of `orders`: for those who wait for it, if it is for such, and to
    /// where it goes, or the reason why not, or nothing if the order was dropped.
    pub(crate) fn order<A>(&self, orders: impl IntoIterator<Item = (Option<Waiters>, A)>)
    where
        A: FnOnce(Outcome<Minted>) + Send + 'static,
    {
        let all: Vec<_> = (0..self.presses.len()).collect();
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
            let (at, presses) = ((self.source.now)(), self.presses.clone());
            let payloads = self.payloads(&key, all.len());
            let arrive = move |slots: Outcome<Vec<WrappedKey>>| {
                let minted = |slots: Vec<WrappedKey>| {
                    let version = |(press, slot): (&Press, _)| press.batcher.key_version(slot);
                    let versions = presses.iter().zip(&slots).map(version).collect();
                    Minted { key, slots, versions, at }
                };
                arrive(slots.map(|slots| slots.map(minted)));
            };
            self.wrap_for(payloads, &all, waiters, arrive, &mut items);
        }
        self.submit(&all, items);
    }

    /// Wraps a data key that exists for these recipients.
    pub(crate) async fn wrap(&self, key: &DataKey, which: &[usize]) -> Result<Vec<WrappedKey>> {
        let mut lost = Lost::default();
        loop {
            let flight = Arc::new(Flight::new());
            // The order holds it, and so does who waits.
            let waiters = Waiters::of(&flight, 1);
            let (mint, landing) = (self.clone(), flight.clone());
            let arrive = move |slots: Outcome<Vec<WrappedKey>>| {
                mint.tell_denial(&slots);
                landing.finish(slots.map(|slots| slots.map_err(|unminted| unminted.error)));
            };
            let mut items = which.iter().map(|_| Items::new()).collect::<Vec<_>>();
            let payloads = self.payloads(key, which.len());
            self.wrap_for(payloads, which, Some(waiters), arrive, &mut items);
            self.submit(which, items);
            match self.driver.wait(Wait::new(flight)).await {
                Some(slots) => {
                    let slots = slots?;
                    let version =
                        |(at, slot): (&usize, _)| self.presses[*at].batcher.key_version(slot);
                    let versions: Vec<_> = which.iter().zip(&slots).map(version).collect();
                    self.check_retired(which.iter().copied(), &versions)?;
                    return Ok(slots);
                }
                None => lost.again()?,
            }
        }
    }

    fn payloads(&self, key: &DataKey, count: usize) -> Vec<KeyPayload> {
        (0..count).map(|_| KeyPayload::encode(key, self.suite, &self.scope)).collect()
    }

    /// Adds to `items`, one list for each of `which`, what has to be submitted for one key.
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
            let (by, gather, presses) = (which[place], gather.clone(), self.presses.clone());
            let came = move |wrapped: Option<Result<WrappedKey>>| {
                let unminted = |error| Unminted { by: Some(by), error: named(&presses, by, error) };
                gather.came(place, wrapped.map(|wrapped| wrapped.map_err(unminted)));
            };
            items[place].push((payload, Ticket::for_waiters(waiters.clone(), came)));
        }
    }

    fn submit(&self, which: &[usize], items: Vec<Items>) {
        for (at, items) in which.iter().zip(items) {
            self.presses[*at].batcher.submit(items);
        }
    }
}

/// `error`, with the recipient that it is of where there are several.
fn named(presses: &[Press], at: usize, error: Error) -> Error {
    if presses.len() == 1 {
        return error;
    }
    let key = &presses[at].family.key;
    let what = format!("nothing is written without the key {key} ({}): {error}", key.provider());
    Error::with_source(error.kind(), what, error)
}
