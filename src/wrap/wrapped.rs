//! A wrapped data key.

use super::key_id::KeyId;
use crate::error::{Error, ErrorKind, Result};

/// Longest wrapped key in bytes (`F-16`).
pub const MAX_WRAPPED_LEN: usize = 1_024;

/// A wrapped data key: the id of its key-encryption key, and the bytes exactly as the provider
/// returned them.
///
/// ```
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::wrap::KeyPayload;
/// use ncp_envelope::{DataKey, KeyWrapper, LocalKeyWrapper};
///
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let wrapped = wait(wrapper.wrap_keys(&[KeyPayload::copy_from(b"secret")]))??.remove(0);
/// assert_eq!(wrapped.key_id(), wrapper.key_id());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    key_id: KeyId,
    bytes: Vec<u8>,
}

impl WrappedKey {
    /// A wrapped key from its parts.
    ///
    /// ```
    /// use ncp_envelope::wrap::{KeyId, Provider, WrappedKey, ZoneHint};
    ///
    /// let vault = KeyId::new(Provider::Other(128), ZoneHint::None, "orders")?;
    /// let wrapped = WrappedKey::new(vault.clone(), "vault:v1:8SDd3WHDOjf7mq69")?;
    /// assert!(WrappedKey::new(vault, "").is_err());
    /// # assert_eq!(wrapped.as_bytes().len(), 25);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
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

    /// The key-encryption key that it is wrapped under.
    ///
    /// ```
    /// # use ncp_envelope::wrap::{KeyId, Provider, WrappedKey, ZoneHint};
    /// let vault = KeyId::new(Provider::Other(128), ZoneHint::None, "orders")?;
    /// assert_eq!(WrappedKey::new(vault, "vault:v1:8SDd")?.key_id().id(), "orders");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The bytes as the provider returned them.
    ///
    /// ```
    /// # use ncp_envelope::wrap::{KeyId, Provider, WrappedKey, ZoneHint};
    /// # let vault = KeyId::new(Provider::Other(128), ZoneHint::None, "orders")?;
    /// assert_eq!(WrappedKey::new(vault, "vault:v1:8SDd")?.as_bytes(), b"vault:v1:8SDd");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
