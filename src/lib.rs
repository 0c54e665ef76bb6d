//! Envelope encryption for data whose key-encryption keys are held in NAVER Cloud Platform Key Management Service.

mod context;
mod error;
mod secret;
pub mod wrap;

#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "kms")]
pub mod kms;

pub use context::{EncryptionContext, MAX_CONTEXT_LEN, MAX_CONTEXT_PAIRS, Scope};
pub use error::{Error, ErrorKind, Result};
pub use secret::{DATA_KEY_LEN, DataKey};
pub use wrap::{KeyId, KeyWrapper, LocalKeyWrapper, WrappedKey};
