//! A recipient of data keys: its key wrapper, the health of its service, and its counters.
//!
//! Promises: a service that was unreachable, or slower than another one, is passed over for a
//! while, so that reads do not wait for it one after the other. After that, a single read probes
//! it. Any answer ends the state, a denial too. Knows nothing of slots and calls.

use crate::datakey::clock::Instant;
use crate::datakey::failure::Failure;
use crate::datakey::stats::{RecipientCounters, RecipientStats};
use crate::datakey::sync::{Own, lock, own};
use crate::wrap::{KeyId, KeyWrapper};
use std::sync::Arc;
use std::time::Duration;

/// How long an unreachable service is passed over.
pub(crate) const PASSED_OVER: Duration = Duration::from_secs(10);

pub(crate) struct Recipient {
    pub(crate) wrapper: Arc<dyn KeyWrapper>,
    /// Its id, which does not change.
    pub(crate) key: KeyId,
    pub(crate) counters: RecipientCounters,
    /// When it was last found unreachable, unless it has answered since.
    unreachable: Own<Option<Instant>>,
}

impl Recipient {
    pub(crate) fn new(wrapper: Arc<dyn KeyWrapper>) -> Arc<Self> {
        let key = wrapper.key_id().clone();
        // A forked child starts without this state: it may reach the service.
        let unreachable = own(None, |_| None);
        Arc::new(Self { wrapper, key, counters: RecipientCounters::default(), unreachable })
    }

    /// Records the outcome of a call.
    pub(crate) fn came_back(&self, failure: Option<Failure>, now: Instant) {
        match failure {
            Some(Failure::Outage) => *lock(&self.unreachable) = Some(now),
            // A local failure says nothing about the service.
            Some(Failure::Own) => {}
            Some(Failure::OfKey | Failure::OfFamily) | None => *lock(&self.unreachable) = None,
        }
    }

    /// Records that another recipient was called later and answered first.
    pub(crate) fn was_overtaken(&self, now: Instant) {
        self.counters.overtaken.add();
        *lock(&self.unreachable) = Some(now);
    }

    /// Whether to call another recipient first. After the time is over, the first caller gets
    /// `false` and probes the service for the others.
    pub(crate) fn is_passed_over(&self, now: Instant) -> bool {
        let mut since = lock(&self.unreachable);
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
