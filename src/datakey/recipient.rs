//! One of those whom a data key is wrapped for: its key wrapper, how its service fares, and what it
//! was asked.
//!
//! Promises: a service that was out of reach, or slower than another one, is passed over for a
//! while, in which one read after the other does not wait for it; after the while one of them finds
//! out, and only one. Any answer ends the while, a denial too. Knows nothing of slots and calls.

use crate::datakey::clock::Instant;
use crate::datakey::failure::Failure;
use crate::datakey::stats::{RecipientCounters, RecipientStats};
use crate::datakey::sync::{Own, lock, own};
use crate::wrap::{KeyId, KeyWrapper};
use std::sync::Arc;
use std::time::Duration;

/// How long a service is passed over that was out of reach.
pub(crate) const PASSED_OVER: Duration = Duration::from_secs(10);

pub(crate) struct Recipient {
    pub(crate) wrapper: Arc<dyn KeyWrapper>,
    /// Its name, which does not change.
    pub(crate) key: KeyId,
    pub(crate) counters: RecipientCounters,
    /// When it was last found out of reach, unless it has answered since.
    out_of_reach: Own<Option<Instant>>,
}

impl Recipient {
    pub(crate) fn new(wrapper: Arc<dyn KeyWrapper>) -> Arc<Self> {
        let key = wrapper.key_id().clone();
        // Whether a process that was forked off reaches it is to be seen.
        let out_of_reach = own(None, |_| None);
        Arc::new(Self { wrapper, key, counters: RecipientCounters::default(), out_of_reach })
    }

    /// A call came back: with what it was to bring, or with a failure.
    pub(crate) fn came_back(&self, failure: Option<Failure>, now: Instant) {
        match failure {
            Some(Failure::Outage) => *lock(&self.out_of_reach) = Some(now),
            // It says nothing of the service.
            Some(Failure::Own) => {}
            Some(Failure::OfKey | Failure::OfFamily) | None => *lock(&self.out_of_reach) = None,
        }
    }

    /// Another one was asked later and has answered, and this one has not.
    pub(crate) fn was_overtaken(&self, now: Instant) {
        self.counters.overtaken.add();
        *lock(&self.out_of_reach) = Some(now);
    }

    /// Whether to ask another one first. Of those who look after the while is over, the first one
    /// is told that it is not, and finds out for the others.
    pub(crate) fn is_passed_over(&self, now: Instant) -> bool {
        let mut since = lock(&self.out_of_reach);
        let Some(at) = *since else { return false };
        let over = now.saturating_duration_since(at) >= PASSED_OVER;
        if over {
            *since = Some(now);
        }
        !over
    }

    pub(crate) fn stats(&self) -> RecipientStats {
        self.counters.stats(&self.key)
    }
}
