//! Data keys between the key service and their use: a cache of unwrapped keys for reading, a supply
//! of new keys for writing, and batching of calls to the key service.
//!
//! Promises: a key is never used past its limits, and is wiped when it expires, even if no more
//! keys are requested. Unwraps of the same key are coalesced (single flight): all waiters get the
//! answer, and it does not depend on any of them being polled. A denial drops a key at once, an
//! outage does not. Knows wrapped keys and data keys, and nothing of services, HTTP or messages.
//!
//! From the bottom up, each module depends only on those before it: time, randomness, locks,
//! counters and limits; [`ends`] invalidates keys; [`recipient`] is one key-encryption key and the
//! health of its service; [`batch`] coalesces keys into calls; [`cache`] stores unwrapped keys;
//! [`supply`] has new keys for writing; [`reading`] chooses which service unwraps the key of a
//! message; [`held`] holds the keys of a set together; [`keys`] joins them for one envelope.

mod batch;
mod cache;
mod clock;
mod delay;
mod ends;
mod failure;
mod held;
mod keys;
mod limits;
mod observe;
mod reading;
mod reaper;
mod recipient;
mod stats;
mod supply;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use batch::parts::in_parts;
pub(crate) use cache::CacheId;
pub use cache::KeyCache;
pub(crate) use held::{Held, Wanted};
pub(crate) use keys::{KeySettings, Keys};
pub use limits::{CacheLimits, PoolLimits, ReuseLimits};
pub(crate) use reading::{Readers, Route, Search, Terms};
pub use stats::{BatchStats, CacheStats, EnvelopeStats, PoolStats, RecipientStats};
pub(crate) use supply::Minted;
