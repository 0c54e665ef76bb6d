//! The keys themselves: bounded in number, dropped when old.

use super::CacheId;
use crate::secret::DataKey;
use lru::LruCache;
use std::sync::Arc;
use std::time::Instant;

/// A removed key is wiped when the last user of its `Arc` is done, by [`DataKey`] itself.
pub(super) struct Store {
    // Unbounded of itself: with a bound it would take memory for that many keys at once.
    keys: LruCache<CacheId, Entry>,
    max_keys: usize,
    // No key expires before this, so a look-up does not have to sweep.
    next_expiry: Option<Instant>,
}

struct Entry {
    key: Arc<DataKey>,
    expires: Instant,
}

impl Store {
    pub(super) fn new(max_keys: usize) -> Self {
        Self { keys: LruCache::unbounded(), max_keys, next_expiry: None }
    }

    pub(super) fn get(&mut self, id: &CacheId, now: Instant) -> Option<Arc<DataKey>> {
        self.sweep(now);
        self.keys.get(id).map(|entry| entry.key.clone())
    }

    pub(super) fn insert(&mut self, id: CacheId, key: Arc<DataKey>, expires: Instant, now: Instant) {
        self.sweep(now);
        if expires > now {
            self.keys.push(id, Entry { key, expires });
            while self.keys.len() > self.max_keys {
                self.keys.pop_lru();
            }
            self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
        }
    }

    pub(super) fn remove_same(&mut self, id: &CacheId, key: &Arc<DataKey>) {
        if self.keys.peek(id).is_some_and(|entry| Arc::ptr_eq(&entry.key, key)) {
            self.keys.pop(id);
        }
    }

    fn sweep(&mut self, now: Instant) {
        if self.next_expiry.is_none_or(|next| now < next) {
            return;
        }
        let old: Vec<_> = self.keys.iter().filter(|(_, entry)| entry.expires <= now).map(|(id, _)| *id).collect();
        for id in old {
            self.keys.pop(&id);
        }
        self.next_expiry = self.keys.iter().map(|(_, entry)| entry.expires).min();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}
