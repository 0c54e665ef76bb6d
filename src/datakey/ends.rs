//! Who holds data keys, and hears when they end.
//!
//! Envelopes that share a cache share what ends keys too: a key-encryption key that was disabled,
//! or that the service denies, is as dead for the pool of one scope as for the cache. So each
//! holder is told of every end, whoever saw it.
//!
//! Promises: what an end concerns is neither handed out nor kept by any holder once
//! [`tell`](Ends::tell) has returned, and that holds for what the service was asked for before it,
//! too. A holder that is dropped leaves nothing behind. Knows no holder.

use crate::datakey::sync::{Own, lock, own};
use crate::error::Error;
use crate::wrap::KeyId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

/// The keys that one denial ends: those under one key-encryption key, in one partition.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Family {
    /// The partition's hash: keys in another one are not this reader's to see, keep or drop.
    pub(crate) partition: [u8; 32],
    pub(crate) key: KeyId,
}

/// What comes to an end.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    All,
    /// What is wrapped under the key-encryption key of this tag.
    Key(&'a str),
    /// What is wrapped under a version of it below this one, now and later.
    Below(&'a str, u32),
    /// The service denied an unwrap.
    Unwraps(&'a Family),
    /// The service denied a wrap, in these words, so whoever waits for one waits in vain.
    Wraps(&'a Family, &'a Error),
}

impl End<'_> {
    /// What events call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::All => "forgotten",
            Self::Key(_) => "invalidated",
            Self::Below(..) => "retired",
            Self::Unwraps(_) | Self::Wraps(..) => "denied",
        }
    }

    /// Whether it ends a key of `family` that is wrapped under `version`.
    pub(crate) fn concerns(&self, family: &Family, version: Option<u32>) -> bool {
        let retired = |floor| version.is_some_and(|version| version < floor);
        self.touches(family)
            && match self {
                Self::Below(_, floor) => retired(*floor),
                _ => true,
            }
    }

    /// Whether it ends any key of `family`.
    pub(crate) fn touches(&self, family: &Family) -> bool {
        match self {
            Self::All => true,
            Self::Key(tag) | Self::Below(tag, _) => family.key.id() == *tag,
            Self::Unwraps(of) | Self::Wraps(of, _) => *of == family,
        }
    }
}

/// Someone who holds data keys.
pub(crate) trait Holder: Send + Sync {
    /// Drops what `end` concerns, and keeps nothing of it that was asked for before.
    fn end(self: Arc<Self>, end: End<'_>);
}

/// All who hold keys of one cache or for one. Clones are the same.
#[derive(Clone)]
pub(crate) struct Ends(Arc<Own<Holders>>);

#[derive(Clone, Default)]
struct Holders {
    all: BTreeMap<u64, Weak<dyn Holder>>,
    joined: u64,
    /// By key tag, the version below which no key is used any more.
    floors: HashMap<String, u32>,
}

/// A holder's place on the list, for as long as it is held.
pub(crate) struct Place {
    ends: Ends,
    number: u64,
}

impl Ends {
    pub(crate) fn new() -> Self {
        let anew = |parents: Option<&mut Holders>| parents.cloned().unwrap_or_default();
        Self(Arc::new(own(Holders::default(), anew)))
    }

    /// Puts `holder` on the list.
    #[must_use]
    pub(crate) fn join(&self, holder: Weak<dyn Holder>) -> Place {
        let mut holders = lock(&self.0);
        holders.joined += 1;
        let number = holders.joined;
        holders.all.insert(number, holder);
        Place { ends: self.clone(), number }
    }

    /// The version of the key-encryption key of this tag below which no key is used.
    pub(crate) fn floor(&self, tag: &str) -> Option<u32> {
        lock(&self.0).floors.get(tag).copied()
    }

    /// Has every holder drop what `end` concerns.
    pub(crate) fn tell(&self, end: End<'_>) {
        let mut end = end;
        let holders: Vec<_> = {
            let mut holders = lock(&self.0);
            if let End::Below(tag, version) = end {
                let floor = holders.floors.entry(tag.to_owned()).or_insert(version);
                *floor = version.max(*floor);
                end = End::Below(tag, *floor);
            }
            holders.all.values().filter_map(Weak::upgrade).collect()
        };
        // Outside the lock: a holder asks for others in place of what it drops, and where that
        // needs no waiting it has them before this returns.
        holders.into_iter().for_each(|holder| holder.end(end));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _holder = lock(&self.ends.0).all.remove(&self.number);
    }
}
