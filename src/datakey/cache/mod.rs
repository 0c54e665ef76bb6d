//! Unwrapped keys: [`store`] is what is kept, [`shared`] the cache that envelopes share and
//! [`handle`] what its users see of it, [`load`] how a key gets there, [`id`] what it is found by,
//! [`refusals`] what is not asked again at once.

pub(crate) mod handle;
pub(crate) mod id;
pub(crate) mod load;
pub(crate) mod refusals;
pub(crate) mod shared;
pub(crate) mod store;

pub use handle::KeyCache;
pub(crate) use id::{CacheId, Realm};
pub(crate) use load::{Asked, Loader, Outbox};
