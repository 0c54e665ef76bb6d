//! Keys that are held together and used without waiting, as those of a key ring are.
//!
//! The cache answers for one key at a time, and its callers wait. Here all keys of a set are
//! unwrapped together, in as few calls as possible, and a caller that cannot wait gets them, or
//! why they are not there.
//!
//! Promises: [`get`](Held::get) makes no call that it waits for. The keys obey the limits of the
//! cache beside them: they are used until their time to live is over and wiped then by the reaper,
//! even if nobody looks; a denial drops them at once; an outage drops none within the stale window.
//! Keys in use are unwrapped again in the background at their soft time. Loads are coalesced
//! (single flight), and do not depend on any waiter. All keys are there or none. A failed load is
//! not repeated within a second by callers that cannot wait.
//!
//! Knows wrapped keys and what they are bound to, and nothing of rings. [`fetch`] unwraps the keys,
//! [`state`] says what is used and until when, [`shared`] adds loads and invalidations, [`handle`]
//! is its face.

pub(crate) mod fetch;
pub(crate) mod handle;
pub(crate) mod shared;
pub(crate) mod state;

pub(crate) use fetch::Wanted;
pub(crate) use handle::Held;
