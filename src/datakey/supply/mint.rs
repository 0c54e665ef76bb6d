//! Makes data keys and has them wrapped.

use crate::context::Scope;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::operation::Wrap;
use crate::datakey::batch::ticket::{Ticket, Waiters};
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Ends, Family, Holder, Place};
use crate::datakey::failure::Failure;
use crate::datakey::stats::PoolCounters;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::suite::Suite;
use crate::wrap::{KeyPayload, WrappedKey};
use std::sync::Arc;
use std::time::Duration;

/// A new data key in both of its forms.
pub(crate) struct Minted {
    pub(crate) key: DataKey,
    pub(crate) wrapped: WrappedKey,
    /// The version that it is wrapped under, where the wrapper can tell it.
    pub(crate) version: Option<u32>,
    /// Before it was sent to be wrapped.
    pub(crate) at: Instant,
}

impl Minted {
    /// Whether it was wrapped under a version of the key-encryption key that is not below `floor`,
    /// or under one that is not told.
    pub(crate) fn is_above(&self, floor: u32) -> bool {
        self.version.is_none_or(|version| version >= floor)
    }

    pub(crate) fn is_old(&self, max_age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= max_age
    }

    /// This one, unless it was wrapped under a version of the key-encryption key that was retired.
    pub(crate) fn above(self, floor: Option<u32>) -> Result<Self> {
        if floor.is_none_or(|floor| self.is_above(floor)) {
            return Ok(self);
        }
        let version = self.version.unwrap_or_default();
        let what =
            format!("the key service wraps with version {version} of the key, which was retired");
        Err(Error::new(ErrorKind::KeyUnusable, what))
    }
}

/// Makes keys and has them wrapped; what pool and reuse order from.
#[derive(Clone)]
pub(crate) struct Mint {
    pub(crate) batcher: Batcher<Wrap>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) scope: Scope,
    pub(crate) suite: Suite,
    /// Of the key-encryption key that it wraps under.
    pub(crate) family: Family,
    pub(crate) ends: Ends,
    pub(crate) source: Source,
    pub(crate) counters: Arc<PoolCounters>,
}

impl Mint {
    /// Puts one that holds what is minted here on the list of those who hear of ends.
    pub(crate) fn join<T: Holder + 'static>(&self, holder: &Arc<T>) -> Place {
        let holder: Arc<dyn Holder> = holder.clone();
        self.ends.join(Arc::downgrade(&holder))
    }

    /// The version of its key-encryption key below which nothing is used.
    pub(crate) fn floor(&self) -> Option<u32> {
        self.ends.floor(self.family.key.id())
    }

    /// If this is the service's denial, tells all who hold keys of the same family, whoever ordered
    /// it among them. Whether it is. Not within a lock of a holder.
    pub(crate) fn tell_denial(&self, minted: &Option<Result<Minted>>) -> bool {
        match minted {
            Some(Err(error)) if Failure::of(error.kind()) == Failure::OfFamily => {
                self.ends.tell(End::Wraps(&self.family, error));
                true
            }
            _ => false,
        }
    }

    /// Orders a key for each of `orders`: for those who wait for it, if it is for such, and to
    /// where it goes, or the reason why not, or nothing if the order was dropped.
    pub(crate) fn order<A>(&self, orders: impl IntoIterator<Item = (Option<Waiters>, A)>)
    where
        A: FnOnce(Option<Result<Minted>>) + Send + 'static,
    {
        let orders = orders.into_iter();
        let mut items = Vec::with_capacity(orders.size_hint().0);
        for (waiters, arrive) in orders {
            let key = match DataKey::generate() {
                Ok(key) => key,
                Err(error) => {
                    arrive(Some(Err(error)));
                    continue;
                }
            };
            let payload = KeyPayload::encode(&key, self.suite, &self.scope);
            let at = (self.source.now)();
            let batcher = self.batcher.clone();
            let ticket =
                Ticket::for_waiters(waiters, move |wrapped: Option<Result<WrappedKey>>| {
                    let minted = |wrapped| {
                        let version = batcher.key_version(&wrapped);
                        Minted { key, wrapped, version, at }
                    };
                    arrive(wrapped.map(|wrapped| wrapped.map(minted)));
                });
            items.push((payload, ticket));
        }
        self.batcher.submit(items);
    }
}
