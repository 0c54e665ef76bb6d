//! The joint between this crate and a key service: who wraps data keys, and what a wrapped key is.
//!
//! [`KeyWrapper`] is the only thing the rest of the crate knows of a key service. Batches are its
//! primitive because the service takes arrays; a batch succeeds or fails as a whole, and whoever
//! built the batch decides how to split it. A wrapper knows nothing of the message format, of
//! caches or of policy. Every implementation has to pass [`conformance::check`].

pub mod conformance;
mod key_id;
mod local;
mod payload;
mod wrapped;
mod wrapper;

pub use key_id::{KeyId, MAX_KEY_ID_LEN, Provider, ZoneHint};
pub use local::LocalKeyWrapper;
pub use payload::{KeyPayload, PAYLOAD_LEN};
pub use wrapped::{MAX_WRAPPED_LEN, WrappedKey};
pub use wrapper::{BoxFuture, KeyWrapper};
