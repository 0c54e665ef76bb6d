//! The results of a lookup and of an unwrap.

use crate::datakey::batch::flight::Flight;
use crate::datakey::cache::store::CachedKey;
use crate::datakey::clock::Instant;
use crate::error::Error;
use std::sync::Arc;

/// The result of an unwrap.
#[derive(Clone)]
pub(crate) enum Answer {
    Key(Arc<CachedKey>),
    /// The service was unreachable, and this stale key, requested at that time, is still cached.
    Old(Arc<CachedKey>, Instant, Error),
}

/// The result of a lookup.
pub(crate) enum LookUp {
    /// With a flight, the caller must refresh the key in the background.
    Hit(Answer, Option<Arc<Flight<Answer>>>),
    Refused(Error),
    Join(Arc<Flight<Answer>>),
    /// The caller must start the unwrap.
    Lead(Arc<Flight<Answer>>),
}
