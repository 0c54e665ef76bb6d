//! Unwrapped keys: [`store`] is what is kept, [`shared`] the cache that envelopes share, [`load`]
//! how a key gets there, [`id`] what it is found by, [`refusals`] what is not asked again at once.

pub(crate) mod id;
pub(crate) mod load;
pub(crate) mod refusals;
pub(crate) mod shared;
pub(crate) mod store;

pub(crate) use id::{CacheId, Realm};
pub(crate) use load::{Asked, Loader, Outbox};
pub use shared::KeyCache;
