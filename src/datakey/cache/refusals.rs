//! The negative cache: recent refusals of the service, so that it is not called again at once.

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
        // Unbounded here: with a bound it would allocate memory for that many at once.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Scope;
    use crate::datakey::cache::Realm;
    use crate::error::ErrorKind;
    use crate::suite::Suite;
    use crate::wrap::{Binding, KeyId, Provider, WrappedKey, ZoneHint};

    fn ids(count: usize) -> Vec<CacheId> {
        let binding = Binding::message(Suite::Cobblestone256, &Scope::new("s"));
        let realm = Realm::new(b"p", ZoneHint::None, &binding);
        let key = KeyId::new(Provider::Local, ZoneHint::None, "k").unwrap();
        let wrapped = |n: usize| WrappedKey::new(key.clone(), n.to_be_bytes()).unwrap();
        (0..count).map(|n| realm.id(&wrapped(n))).collect()
    }

    #[test]
    fn the_latest_4096_are_remembered_for_a_second() {
        let (mut refusals, now) = (Refusals::new(), Instant::now());
        let error = Error::new(ErrorKind::KeyUnusable, "refused");
        let ids = ids(MAX_REFUSALS + 1);
        for id in &ids[..MAX_REFUSALS] {
            refusals.put(*id, &error, now);
        }
        let end = now.checked_add(REFUSED).unwrap();
        let last = now.checked_add(REFUSED - Duration::from_nanos(1)).unwrap();
        assert!(ids[..MAX_REFUSALS].iter().all(|id| refusals.get(id, last).is_some()));
        refusals.put(ids[MAX_REFUSALS], &error, now);
        assert!(refusals.get(&ids[0], last).is_none(), "looked for the longest time ago");
        assert!(ids[1..].iter().all(|id| refusals.get(id, last).is_some()));
        assert!(ids.iter().all(|id| refusals.get(id, end).is_none()));
        assert_eq!(refusals.0.len(), 0);
        refusals.put(ids[0], &error, now);
        refusals.clear();
        assert!(refusals.get(&ids[0], now).is_none());
    }
}
