//! Keeps unwrapped data keys for a bounded time, keeps new ones ready, and lets one call to the key
//! service do what many wait for.
//!
//! Promises: a key is never handed out past its limits, and is wiped at its time whether or not
//! anyone asks for keys; at most one question for one wrapped key is under way, its answer goes to
//! everyone who waits for it, and belongs to none of them; a denial ends a key at once, an outage
//! does not. Knows wrapped keys and data keys, and nothing of services, HTTP or messages.
//!
//! [`store`] is what is kept, [`load`] how it gets there; [`pool`] and [`reuse`] are the keys for
//! writing; all of them ask through [`batch`].

mod batch;
mod drive;
mod flight;
mod id;
mod keys;
mod limits;
mod load;
mod observe;
mod operation;
mod pool;
mod reaper;
mod reuse;
mod shared;
mod source;
mod stats;
mod store;
mod supply;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use id::{CacheId, Realm};
pub(crate) use keys::{KeySettings, Keys};
pub use limits::{CacheLimits, PoolLimits, ReuseLimits};
pub(crate) use load::{Asked, Loader, Outbox};
pub(crate) use pool::Minted;
pub use shared::KeyCache;
pub use stats::{BatchStats, CacheStats, EnvelopeStats, PoolStats};
pub(crate) use supply::Supply;
