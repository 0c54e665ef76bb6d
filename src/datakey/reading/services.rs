//! The services of the recipients, and routes from slots to them.

use crate::datakey::cache::{CacheId, Loader};
use crate::datakey::clock::Instant;
use crate::datakey::recipient::Recipient;
use std::sync::Arc;
use std::time::Duration;

/// One way to the data key of a message: a slot, and the recipient that unwraps it.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    /// The slot's index in the header.
    pub(crate) slot: usize,
    /// The recipient's index in the envelope.
    pub(crate) reader: usize,
    /// The key's id in the cache.
    pub(crate) id: CacheId,
}

/// A loader for each recipient; all share one cache.
pub(super) struct Services(pub(super) Vec<Loader>);

impl Services {
    pub(super) fn recipient(&self, reader: usize) -> &Arc<Recipient> {
        self.0[reader].batcher.recipient()
    }

    pub(super) fn is_one(&self) -> bool {
        self.0.len() == 1
    }

    /// The index of the first of these keys that is cached.
    pub(super) fn first_cached<'i>(
        &self,
        ids: impl Iterator<Item = &'i CacheId>,
        max_age: Option<Duration>,
    ) -> Option<usize> {
        self.0[0].cache.0.first_of(ids, max_age)
    }

    pub(super) fn now(&self) -> Instant {
        (self.0[0].cache.0.source.now)()
    }
}
