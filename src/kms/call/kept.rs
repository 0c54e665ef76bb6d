//! The token store, as a client uses it while calls continue.
//!
//! Promises: it blocks no task; no wait for a lock is longer than half of the call timeout; a set
//! that lives longer is not overwritten, nor one that cannot be read. This module knows nothing of
//! where tokens come from.

use crate::error::Result;
use crate::kms::auth::store::{StoreLock, TokenStore};
use crate::kms::auth::token::Held;
use crate::kms::auth::token_set::TokenSet;
use crate::kms::call::client::Client;
use crate::kms::call::observe;
use crate::random::{fraction, number};
use crate::runtime;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Bounds of the pause between two attempts to lock a store.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

impl Client {
    /// The store's lock; `None` if it is not available, which costs one refresh too many.
    pub(crate) async fn lock_store(&self) -> Option<StoreLock> {
        let store = self.0.token_store.as_ref()?;
        let give_up = Instant::now() + self.0.call_timeout / 2;
        let mut pause = FIRST_PAUSE;
        loop {
            match away(store, |store| store.try_lock()).await {
                Ok(Some(lock)) => return Some(lock),
                Ok(None) => {}
                Err(_) => return None,
            }
            // Without randomness the pauses are the longest.
            let jittered = pause / 2 + fraction(pause / 2, number().unwrap_or(u64::MAX));
            if Instant::now() + jittered >= give_up {
                observe::store_locked();
                return None;
            }
            sleep(jittered).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// The stored set, if it is for the key of `held`.
    pub(crate) async fn stored(&self, held: &Held) -> Option<Arc<Held>> {
        let store = self.0.token_store.as_ref()?;
        // A set that cannot be read or used counts as missing.
        let set = away(store, |store| store.load()).await.ok()??;
        let found = Held::found(set).ok()?;
        (!found.pair().is_of_another_key(held.pair())).then(|| Arc::new(found))
    }

    /// Stores `set`, unless the store has one that lives longer and is none of the `tried` ones.
    pub(crate) async fn keep(&self, set: TokenSet, tried: &[Arc<Held>]) {
        let Some(store) = &self.0.token_store else { return };
        let tried = tried.to_vec();
        let kept = away(store, move |store| {
            // A program without locks may have written meanwhile.
            if let Some(other) = store.load()?
                && !tried.iter().any(|tried| tried.pair().is(other.pair()))
                && (other.pair().outlives(set.pair()) || other.pair().is_of_another_key(set.pair()))
            {
                return Ok(());
            }
            store.store(&set)
        });
        if kept.await.is_err() {
            self.0.counters.failed_stores.add();
            observe::store_failed();
        }
    }
}

/// Runs `work` where it may block.
async fn away<T: Send + 'static>(
    store: &Arc<dyn TokenStore>,
    work: impl FnOnce(&dyn TokenStore) -> Result<T> + Send + 'static,
) -> Result<T> {
    let store = Arc::clone(store);
    runtime::offload(move || work(&*store)).await
}
