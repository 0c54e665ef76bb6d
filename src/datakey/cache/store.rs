//! The cached keys: bounded in number, each with a time to live. Pure: time and randomness are
//! arguments.
//!
//! Promises: a key is found fresh only before `expires`, and stale only before `gone`, even if
//! `sweep` has not removed it yet. There are never more keys than the limit: the least recently
//! used is evicted. What is removed in numbers is returned, so that it is not wiped under the
//! cache's lock: that takes a microsecond for each key.

use crate::datakey::CacheId;
use crate::datakey::cache::families::Families;
use crate::datakey::cache::id::IdHasher;
use crate::datakey::clock::{Instant, Source};
use crate::datakey::ends::{End, Family};
use crate::datakey::limits::CacheLimits;
use crate::datakey::stats::CacheCounters;
use crate::error::Error;
use crate::secret::{DataKey, equal};
use lru::LruCache;
use std::collections::BTreeSet;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Backoff of refreshes after a transient failure, for a key that is still cached.
const QUIET: Duration = Duration::from_secs(1);

/// A key in the cache. It is wiped when its last user drops it, by [`DataKey`] itself.
pub(crate) struct CachedKey {
    pub(crate) key: DataKey,
    /// Whether it has opened a message. Until then the service may have returned a wrong key.
    proven: AtomicBool,
}

impl CachedKey {
    pub(crate) fn new(key: DataKey) -> Self {
        Self { key, proven: AtomicBool::new(false) }
    }

    pub(crate) fn prove(&self) {
        if !self.is_proven() {
            self.proven.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }
}

pub(crate) struct Store {
    // Unbounded here: with a bound it would allocate memory for that many keys at once.
    keys: LruCache<CacheId, Entry, BuildHasherDefault<IdHasher>>,
    by_end: BTreeSet<(Instant, CacheId)>,
    families: Families,
    limits: CacheLimits,
    /// Keys that invalidations looked at.
    #[cfg(test)]
    pub(crate) walked: usize,
}

struct Entry {
    key: Arc<CachedKey>,
    family: Arc<Family>,
    version: Option<u32>,
    /// When the unwrap was requested.
    asked: Instant,
    refresh_at: Option<Instant>,
    expires: Instant,
    /// The end of the stale window; the same as `expires` without one.
    gone: Instant,
    used: Instant,
    /// Until when the unwrap is not retried, because the service was unreachable just now.
    quiet: Option<(Instant, Error)>,
}

impl Entry {
    fn put_off(&mut self, now: Instant, limits: &CacheLimits) {
        if now < self.expires && limits.refresh_after.is_some() {
            self.refresh_at = now.checked_add(QUIET);
        }
    }
}

/// The result of a lookup.
pub(crate) enum Found {
    Fresh {
        key: Arc<CachedKey>,
        asked: Instant,
        /// Whether the caller must refresh the key in the background.
        refresh: bool,
    },
    /// Expired, and the service was unreachable a moment ago.
    Stale {
        key: Arc<CachedKey>,
        asked: Instant,
        error: Error,
    },
    Missing,
}

/// Keys that were removed. Wiped when dropped, unless they are in use.
#[must_use]
pub(crate) enum Removed {
    All(Box<Store>),
    Some(Vec<Arc<CachedKey>>),
}

impl Removed {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(store) => store.len(),
            Self::Some(keys) => keys.len(),
        }
    }
}

/// What is stored with a key.
pub(crate) struct Loaded {
    pub(crate) family: Family,
    pub(crate) version: Option<u32>,
    pub(crate) asked: Instant,
}

impl Store {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self {
            keys: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            by_end: BTreeSet::new(),
            families: Families::default(),
            limits,
            #[cfg(test)]
            walked: 0,
        }
    }

    pub(crate) fn limits(&self) -> CacheLimits {
        self.limits.clone()
    }

    pub(crate) fn get(&mut self, id: &CacheId, now: Instant, counters: &CacheCounters) -> Found {
        let idle = self.limits.idle;
        let Some(entry) = self.keys.get_mut(id) else { return Found::Missing };
        if entry.gone <= now {
            self.remove(id);
            counters.expired.add();
            return Found::Missing;
        }
        if idle.is_some_and(|idle| now.saturating_duration_since(entry.used) >= idle) {
            self.remove(id);
            counters.idle.add();
            return Found::Missing;
        }
        entry.used = now;
        let key = entry.key.clone();
        if now < entry.expires {
            let refresh = entry.refresh_at.is_some_and(|at| at <= now);
            if refresh {
                // Set again by the outcome of the refresh.
                entry.refresh_at = None;
            }
            return Found::Fresh { key, asked: entry.asked, refresh };
        }
        match &entry.quiet {
            Some((until, error)) if now < *until => {
                Found::Stale { key, asked: entry.asked, error: error.clone() }
            }
            _ => Found::Missing,
        }
    }

    /// When the unwrap of a fresh key was requested.
    pub(crate) fn fresh(&self, id: &CacheId, now: Instant) -> Option<Instant> {
        let idle = |since| {
            self.limits.idle.is_some_and(|idle| now.saturating_duration_since(since) >= idle)
        };
        let entry = self.keys.peek(id)?;
        (now < entry.expires && !idle(entry.used)).then_some(entry.asked)
    }

    /// Stores `key`, whose unwrap was requested at `loaded.asked`, unless it has expired already.
    /// Returns the key to use.
    ///
    /// If the same key is cached, its time to live starts again. If another key is cached that has
    /// opened a message, it stays: the service contradicts itself, and a key that opened a message
    /// is right.
    pub(crate) fn put(
        &mut self,
        id: CacheId,
        key: Arc<CachedKey>,
        loaded: Loaded,
        now: Instant,
        source: Source,
        counters: &CacheCounters,
    ) -> Arc<CachedKey> {
        let Loaded { family, version, asked } = loaded;
        let Some((expires, gone)) = self.ends(asked, source).filter(|(expires, _)| now < *expires)
        else {
            return key;
        };
        let refresh_at = self.refresh_at(asked, source);
        if let Some(entry) = self.keys.peek_mut(&id).filter(|entry| now < entry.gone) {
            if equal(entry.key.key.expose_secret(), key.key.expose_secret()) {
                let ended = entry.gone;
                (entry.asked, entry.refresh_at, entry.expires, entry.gone, entry.quiet) =
                    (asked, refresh_at, expires, gone, None);
                let kept = entry.key.clone();
                self.by_end.remove(&(ended, id));
                self.by_end.insert((gone, id));
                return kept;
            }
            if entry.key.is_proven() {
                return key;
            }
        }
        self.remove(&id);
        let entry = Entry {
            key: key.clone(),
            family: self.families.join(family),
            version,
            asked,
            refresh_at,
            expires,
            gone,
            used: now,
            quiet: None,
        };
        self.keys.push(id, entry);
        self.by_end.insert((gone, id));
        while self.keys.len() > self.limits.max_keys {
            if let Some((id, entry)) = self.keys.pop_lru() {
                self.by_end.remove(&(entry.gone, id));
                self.families.leave(&entry.family);
                counters.evicted.add();
            }
        }
        key
    }

    /// The service was unreachable: the unwrap is not retried for a moment. Returns the key if it
    /// may be used stale.
    pub(crate) fn unreachable(
        &mut self,
        id: &CacheId,
        error: &Error,
        now: Instant,
    ) -> Option<(Arc<CachedKey>, Instant)> {
        let entry = self.keys.peek_mut(id)?;
        if entry.gone <= now {
            return None;
        }
        entry.put_off(now, &self.limits);
        entry.quiet = now.checked_add(QUIET).map(|until| (until, error.clone()));
        Some((entry.key.clone(), entry.asked))
    }

    /// An unwrap failed for a reason that says nothing of the key or the service: a key in use is
    /// refreshed again in a moment.
    pub(crate) fn unanswered(&mut self, id: &CacheId, now: Instant) {
        if let Some(entry) = self.keys.peek_mut(id) {
            entry.put_off(now, &self.limits);
        }
    }

    /// Whether the cached key has opened a message.
    pub(crate) fn has_proven(&self, id: &CacheId, now: Instant) -> bool {
        self.keys.peek(id).is_some_and(|entry| now < entry.gone && entry.key.is_proven())
    }

    pub(crate) fn remove(&mut self, id: &CacheId) -> bool {
        self.take(id).is_some()
    }

    fn take(&mut self, id: &CacheId) -> Option<Arc<CachedKey>> {
        let entry = self.keys.pop(id)?;
        self.by_end.remove(&(entry.gone, *id));
        self.families.leave(&entry.family);
        Some(entry.key)
    }

    /// Removes `id` if it still has `key`, and not a newer one.
    pub(crate) fn remove_same(&mut self, id: &CacheId, key: &Arc<CachedKey>) -> bool {
        self.keys.peek(id).is_some_and(|entry| Arc::ptr_eq(&entry.key, key)) && self.remove(id)
    }

    /// Removes the keys that `end` concerns. Looks at none if it concerns no family here: a service
    /// that denies one key-encryption key at each read must not cost a walk over the keys of others
    /// each time.
    pub(crate) fn remove_ended(&mut self, end: &End<'_>) -> Removed {
        let touched = self.families.touched(end);
        if touched == 0 {
            return Removed::Some(Vec::new());
        }
        if touched == self.keys.len() && !matches!(end, End::Below(..)) {
            return Removed::All(Box::new(self.take_all()));
        }
        #[cfg(test)]
        {
            self.walked += self.keys.len();
        }
        let concerned = |entry: &Entry| end.concerns(&entry.family, entry.version);
        let ids: Vec<_> =
            self.keys.iter().filter(|(_, entry)| concerned(entry)).map(|(id, _)| *id).collect();
        Removed::Some(ids.iter().filter_map(|id| self.take(id)).collect())
    }

    /// Leaves the store empty.
    pub(crate) fn take_all(&mut self) -> Self {
        let empty = Self::new(self.limits());
        std::mem::replace(self, empty)
    }

    /// Removes expired and idle keys, at most `most` of them.
    pub(crate) fn sweep(
        &mut self,
        now: Instant,
        most: usize,
        counters: &CacheCounters,
    ) -> Vec<Arc<CachedKey>> {
        let mut removed = Vec::new();
        while removed.len() < most
            && let Some(&(gone, id)) = self.by_end.first()
            && gone <= now
        {
            removed.extend(self.take(&id));
            counters.expired.add();
        }
        let Some(idle) = self.limits.idle else { return removed };
        while removed.len() < most
            && let Some((id, entry)) = self.keys.peek_lru()
            && now.saturating_duration_since(entry.used) >= idle
        {
            let id = *id;
            removed.extend(self.take(&id));
            counters.idle.add();
        }
        removed
    }

    /// When the next key is due for removal, if none is used meanwhile.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        let end = self.by_end.first()?.0;
        let idle = self.limits.idle.and_then(|idle| self.keys.peek_lru()?.1.used.checked_add(idle));
        Some(idle.map_or(end, |idle| idle.min(end)))
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of keys by each of the places that count them.
    #[cfg(test)]
    pub(crate) fn lens(&self) -> [usize; 3] {
        [self.keys.len(), self.by_end.len(), self.families.len()]
    }

    /// Whether a key requested at `asked` is past its time to live, without jitter.
    pub(crate) fn is_over(&self, asked: Instant, now: Instant) -> bool {
        now.saturating_duration_since(asked) >= self.limits.ttl
    }

    /// When a key expires, and when its stale window ends. None if the clock cannot represent it.
    fn ends(&self, asked: Instant, source: Source) -> Option<(Instant, Instant)> {
        let expires = asked.checked_add(source.jittered(self.limits.ttl))?;
        Some((expires, expires.checked_add(self.limits.stale)?))
    }

    fn refresh_at(&self, asked: Instant, source: Source) -> Option<Instant> {
        self.limits.refresh_after.and_then(|age| asked.checked_add(source.jittered(age)))
    }
}
