//! Every data key between the key service and its use: keeps unwrapped ones for a bounded time,
//! keeps new ones ready, and lets one call to the key service do what many wait for.
//!
//! Promises: a key is never handed out past its limits, and is wiped at its time whether or not
//! anyone asks for keys; a wrapped key is unwrapped in single flight, whose answer goes to everyone
//! who waits for it and belongs to none of them; a denial ends a key at once, an outage does not.
//! Knows wrapped keys and data keys, and nothing of services, HTTP or messages.
//!
//! From the ground up: time, chance, locks, counters and limits; [`ends`], who hears that keys have
//! come to an end; [`recipient`], one of those whom keys are wrapped for; [`batch`], the calls that
//! carry many keys; [`cache`], the unwrapped keys; [`supply`], the keys for writing; [`reading`],
//! who is asked for the key of a message; [`keys`], what an envelope holds of them. Each knows
//! those before it only.

mod alarm;
mod batch;
mod cache;
mod clock;
mod ends;
mod failure;
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
pub(crate) use keys::{KeySettings, Keys};
pub use limits::{CacheLimits, PoolLimits, ReuseLimits};
pub(crate) use reading::{Readers, Route, Search, Terms};
pub use stats::{BatchStats, CacheStats, EnvelopeStats, PoolStats, RecipientStats};
pub(crate) use supply::Minted;
