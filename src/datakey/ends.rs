//! Invalidation of data keys.
//!
//! A key-encryption key that is disabled, or that the service denies, must end keys in the cache as
//! well as in the pool of every scope. So every holder of keys registers here, and each gets every
//! invalidation, whoever caused it.
//!
//! Promises: once [`tell`](Ends::tell) has returned, no holder uses or keeps a key that the
//! invalidation concerns, and that includes the results of calls in flight. A holder that is
//! dropped is unregistered. Knows no holder.
//!
//! A service that denies the key-encryption key of 100,000 tenants does so at each of their reads.
//! So a denied unwrap is told only to holders that hold or expect a key: the work for it is paid by
//! the orders since the last one, and not by the number of tenants.

use crate::datakey::sync::{Own, lock, own};
use crate::error::Error;
use crate::wrap::KeyId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

/// The keys that one denial invalidates: those under one key-encryption key, in one partition.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Family {
    /// The partition's hash: a reader has no access to keys of another partition.
    pub(crate) partition: [u8; 32],
    pub(crate) key: KeyId,
}

/// An invalidation of keys.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    All,
    /// Keys wrapped under the key-encryption key with this tag.
    Key(&'a str),
    /// Keys wrapped under a version of it below this one, now and in future.
    Below(&'a str, u32),
    /// The service denied an unwrap with this error.
    Unwraps(&'a Family, &'a Error),
    /// The service denied a wrap with this error, which all waiters for new keys get.
    Wraps(&'a Family, &'a Error),
}

impl End<'_> {
    /// Its name in events.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::All => "forgotten",
            Self::Key(_) => "invalidated",
            Self::Below(..) => "retired",
            Self::Unwraps(..) | Self::Wraps(..) => "denied",
        }
    }

    /// Whether it invalidates a key of `family` that is wrapped under `version`.
    pub(crate) fn concerns(&self, family: &Family, version: Option<u32>) -> bool {
        let retired = |floor| version.is_some_and(|version| version < floor);
        self.touches(family)
            && match self {
                Self::Below(_, floor) => retired(*floor),
                _ => true,
            }
    }

    /// Whether it invalidates any key of `family`.
    pub(crate) fn touches(&self, family: &Family) -> bool {
        match self {
            Self::All => true,
            Self::Key(tag) | Self::Below(tag, _) => family.key.id() == *tag,
            Self::Unwraps(of, _) | Self::Wraps(of, _) => *of == family,
        }
    }
}

/// A holder of data keys.
pub(crate) trait Holder: Send + Sync {
    /// Drops the keys that `end` concerns, and keeps none of the results in flight that it
    /// concerns.
    fn end(self: Arc<Self>, end: End<'_>);
}

/// The holders of the keys of one cache, and of the pools beside it. Clones are the same list.
#[derive(Clone)]
pub(crate) struct Ends(Arc<Own<Holders>>);

#[derive(Clone, Default)]
struct Holders {
    all: BTreeMap<u64, Weak<dyn Holder>>,
    /// Those that do not rest.
    awake: BTreeSet<u64>,
    joined: u64,
    /// By key tag, the version below which no key may be used.
    floors: HashMap<String, u32>,
}

/// A holder's registration; dropping it ends it.
pub(crate) struct Registration {
    ends: Ends,
    number: u64,
}

impl Registration {
    /// The holder holds no key and expects none. Until it [wakes](Self::wake), it is told
    /// everything but denials of unwraps, which would find nothing in it.
    pub(crate) fn rest(&self) {
        lock(&self.ends.0).awake.remove(&self.number);
    }

    /// Must be called before the holder orders a key.
    pub(crate) fn wake(&self) {
        lock(&self.ends.0).awake.insert(self.number);
    }
}

impl Ends {
    pub(crate) fn new() -> Self {
        let anew = |parents: Option<&mut Holders>| parents.cloned().unwrap_or_default();
        Self(Arc::new(own(Holders::default(), anew)))
    }

    /// Registers `holder`.
    #[must_use]
    pub(crate) fn register(&self, holder: Weak<dyn Holder>) -> Registration {
        let mut holders = lock(&self.0);
        holders.joined += 1;
        let number = holders.joined;
        holders.all.insert(number, holder);
        holders.awake.insert(number);
        Registration { ends: self.clone(), number }
    }

    /// The version of the key-encryption key with this tag below which no key may be used.
    pub(crate) fn floor(&self, tag: &str) -> Option<u32> {
        lock(&self.0).floors.get(tag).copied()
    }

    /// How many holders a denied unwrap is told.
    #[cfg(test)]
    pub(crate) fn awake(&self) -> usize {
        lock(&self.0).awake.len()
    }

    /// Tells every holder to drop the keys that `end` concerns.
    pub(crate) fn tell(&self, end: End<'_>) {
        let mut end = end;
        let holders: Vec<_> = {
            let mut holders = lock(&self.0);
            if let End::Below(tag, version) = end {
                let floor = holders.floors.entry(tag.to_owned()).or_insert(version);
                *floor = version.max(*floor);
                end = End::Below(tag, *floor);
            }
            match end {
                End::Unwraps(..) => {
                    let awake = holders.awake.iter().filter_map(|number| holders.all.get(number));
                    awake.filter_map(Weak::upgrade).collect()
                }
                _ => holders.all.values().filter_map(Weak::upgrade).collect(),
            }
        };
        // Outside the lock: a holder requests new keys for those that it drops, and without waiting
        // has them before this returns.
        holders.into_iter().for_each(|holder| holder.end(end));
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _holder = {
            let mut holders = lock(&self.ends.0);
            holders.awake.remove(&self.number);
            holders.all.remove(&self.number)
        };
    }
}
