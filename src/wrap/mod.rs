//! The interface to key services: wrapping data keys, and wrapped keys.
//!
//! [`KeyWrapper`] is all that the rest of the crate knows of a key service. Its calls take batches,
//! since the service takes arrays. A batch succeeds or fails as a whole, and the caller decides how
//! to split it. A wrapper knows nothing of the message format, of caches or of policy. Every
//! implementation must pass [`conformance::check`].
//!
//! ```
//! use ncp_envelope::blocking::wait;
//! use ncp_envelope::wrap::KeyPayload;
//! use ncp_envelope::{DataKey, KeyWrapper, LocalKeyWrapper};
//!
//! let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
//! let payloads = [KeyPayload::copy_from(b"one"), KeyPayload::copy_from(b"two")];
//! let wrapped = wait(wrapper.wrap_keys(&payloads))??;
//! let unwrapped = wait(wrapper.unwrap_keys(&wrapped))??;
//! assert_eq!(unwrapped[1].expose_secret(), b"two");
//! # Ok::<(), ncp_envelope::Error>(())
//! ```

pub mod conformance;
mod key_id;
mod local;
mod payload;
pub(crate) mod slot;
mod wrapped;
mod wrapper;

pub use key_id::{KeyId, MAX_KEY_ID_LEN, Provider, ZoneHint};
pub use local::LocalKeyWrapper;
pub(crate) use payload::Binding;
pub use payload::{KeyPayload, PAYLOAD_LEN};
pub use wrapped::{MAX_WRAPPED_LEN, WrappedKey};
pub use wrapper::{BoxFuture, KeyWrapper};
