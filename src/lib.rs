//! Envelope encryption for data whose key-encryption keys are held in NAVER Cloud Platform Key Management Service.

mod cache;
mod context;
mod envelope;
mod error;
pub mod format;
pub mod io;
mod policy;
mod secret;
pub mod wrap;

#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "kms")]
pub mod kms;

pub use cache::CacheLimits;
pub use context::{EncryptionContext, MAX_CONTEXT_LEN, MAX_CONTEXT_PAIRS, Scope};
pub use envelope::{Envelope, EnvelopeBuilder};
pub use error::{Error, ErrorKind, Result};
pub use policy::{DecryptPolicy, EncryptOptions};
pub use secret::{DATA_KEY_LEN, DataKey};
pub use wrap::{KeyId, KeyWrapper, LocalKeyWrapper, WrappedKey};
