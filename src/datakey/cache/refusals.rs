//! What the service refused a moment ago, so that it is not asked again at once.

use crate::datakey::CacheId;
use crate::datakey::clock::Instant;
use crate::error::Error;
use lru::LruCache;
use std::time::Duration;

/// How long a refusal is remembered.
const REFUSED: Duration = Duration::from_secs(1);
/// Forged messages must not fill the memory.
const MAX_REFUSALS: usize = 4_096;

pub(crate) struct Refusals(LruCache<CacheId, (Instant, Error)>);

impl Refusals {
    pub(crate) fn new() -> Self {
        // Unbounded of itself: with a bound it would take memory for that many at once.
        Self(LruCache::unbounded())
    }

    pub(crate) fn get(&mut self, id: &CacheId, now: Instant) -> Option<Error> {
        match self.0.get(id)? {
            (until, error) if now < *until => Some(error.clone()),
            _ => {
                self.0.pop(id);
                None
            }
        }
    }

    pub(crate) fn put(&mut self, id: CacheId, error: &Error, now: Instant) {
        let Some(until) = now.checked_add(REFUSED) else { return };
        self.0.put(id, (until, error.clone()));
        if self.0.len() > MAX_REFUSALS {
            self.0.pop_lru();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
