//! Batching: one call to the key service carries many keys.
//!
//! The service's rate limit counts calls, not keys. Keys that are requested while a call is in
//! flight are coalesced into the next one; without load, a key is sent at once. No timer delays a
//! key in order to fill a batch.
//!
//! [`batcher`] coalesces keys into calls, [`lane`] is the queue of one key-encryption key,
//! [`ticket`] the receiver of one key's result, [`operation`] the kind of call, [`flight`] a result
//! with many waiters, [`drive`] polls the calls, [`parts`] splits work that exceeds the queue.

pub(crate) mod batcher;
pub(crate) mod drive;
pub(crate) mod flight;
pub(crate) mod lane;
pub(crate) mod operation;
pub(crate) mod parts;
pub(crate) mod ticket;
