//! The cache of unwrapped data keys.
//!
//! A lookup is a hit, joins an unwrap in flight (single flight), or starts one. Keys expire after
//! their time to live, less up to 10 % (jitter), so that keys loaded together are not refreshed
//! together. A key in use can be refreshed in the background, and served stale while the service is
//! unreachable.
//!
//! [`store`] holds the keys, [`shared`] adds the unwraps in flight and is shared by envelopes,
//! [`answer`] is what it gives, [`handle`] its public face; [`load`] finds keys or unwraps them,
//! [`id`] is the cache key, [`families`] counts keys by what may end them, [`refusals`] is the
//! negative cache.

pub(crate) mod answer;
pub(crate) mod families;
mod handle;
pub(crate) mod id;
pub(crate) mod load;
pub(crate) mod refusals;
pub(crate) mod shared;
pub(crate) mod store;

pub use handle::KeyCache;
pub(crate) use id::{CacheId, Realm};
pub(crate) use load::{Asked, Loader, Outbox};
