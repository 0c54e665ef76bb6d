//! A data key as a key service returns it.

use super::key_id::{KeyId, Provider};
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

    /// The version of the wrapping key, where the wrapped key tells it: `3` for `ncpkms:v3:…`
    /// (`F-30`). For display, never for a decision.
    pub fn key_version(&self) -> Option<u32> {
        if self.key_id.provider() != Provider::NcpKms {
            return None;
        }
        ncp_key_version(std::str::from_utf8(&self.bytes).ok()?)
    }
}

/// The key version in the prefix of what NCP KMS encrypted or signed.
pub(crate) fn ncp_key_version(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("ncpkms:v")?.split_once(':')?.0;
    // A sign would be accepted by the number's own parser.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::ZoneHint;

    #[test]
    fn key_version_is_read_from_the_prefix_only() {
        let id = KeyId::new(Provider::NcpKms, ZoneHint::Global, "tag").unwrap();
        let version = |text: &str| WrappedKey::new(id.clone(), text).unwrap().key_version();
        assert_eq!(version("ncpkms:v1:AAAA"), Some(1));
        assert_eq!(version("ncpkms:v10:AAAA"), Some(10));
        for odd in [
            "ncpkms:v:AAAA",
            "ncpkms:v+1:AAAA",
            "ncpkms:v1",
            "kms:v1:AAAA",
            "ncpkms:v99999999999:AAAA",
        ] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
