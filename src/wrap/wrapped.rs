//! A data key as a key service returns it.

use super::key_id::KeyId;
use crate::error::{Error, ErrorKind, Result};

/// Longest wrapped key in bytes (`F-16`).
pub const MAX_WRAPPED_LEN: usize = 1_024;

/// A wrapped data key: which key it is wrapped under and the bytes exactly as the provider returned
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    key_id: KeyId,
    bytes: Vec<u8>,
}

impl WrappedKey {
    /// A wrapped key from its parts.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] unless there are 1 to 1,024 bytes.
    pub fn new(key_id: KeyId, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > MAX_WRAPPED_LEN {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "a wrapped key has 1 to {MAX_WRAPPED_LEN} bytes, this one has {}",
                    bytes.len()
                ),
            ));
        }
        Ok(Self { key_id, bytes })
    }

    /// The key it is wrapped under.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The bytes as the provider returned them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
