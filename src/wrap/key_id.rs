//! The id of a key-encryption key.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;

/// Longest key id in bytes (`F-16`).
pub const MAX_KEY_ID_LEN: usize = 255;

const NCP_KMS: u8 = 1;
const FIRST_OTHER: u8 = 128;
const LAST_OTHER: u8 = 254;
const LOCAL: u8 = 255;

/// The key service that wraps a key.
///
/// Shown as `ncp-kms`, `local`, or `other-` and the code.
///
/// ```
/// use ncp_envelope::wrap::{KeyId, Provider, ZoneHint};
///
/// let vault = KeyId::new(Provider::Other(128), ZoneHint::None, "orders")?;
/// assert_eq!(vault.provider().to_string(), "other-128");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Provider {
    /// NAVER Cloud Platform Key Management Service.
    NcpKms,
    /// A key in this process; see [`LocalKeyWrapper`](crate::LocalKeyWrapper).
    Local,
    /// Another key service, with a code that the author of its [`KeyWrapper`](crate::KeyWrapper)
    /// chooses: 128 to 254. [`KeyId::new`] refuses other codes.
    ///
    /// There is no registry of codes: two key services with the same code are distinguished by
    /// their key ids only.
    Other(u8),
}

impl Provider {
    /// The provider with this code in a slot (`F-16`), if the code is valid.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            NCP_KMS => Some(Self::NcpKms),
            LOCAL => Some(Self::Local),
            FIRST_OTHER..=LAST_OTHER => Some(Self::Other(code)),
            _ => None,
        }
    }

    /// Its code in a slot (`F-16`).
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NcpKms => NCP_KMS,
            Self::Local => LOCAL,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NcpKms => f.write_str("ncp-kms"),
            Self::Local => f.write_str("local"),
            Self::Other(code) => write!(f, "other-{code}"),
        }
    }
}

/// The zone of a key. A hint for people and tools: it never decides which host is called.
///
/// ```
/// use ncp_envelope::wrap::{KeyId, Provider, ZoneHint};
///
/// let korea = KeyId::new(Provider::NcpKms, ZoneHint::Kr, "orders")?;
/// let anywhere = KeyId::new(Provider::NcpKms, ZoneHint::None, "orders")?;
/// assert_eq!(korea, anywhere, "the hint does not make it another key");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum ZoneHint {
    /// Unknown.
    #[default]
    None,
    /// Public zone, global key.
    Global,
    /// Public zone, key isolated in Korea.
    Kr,
    /// Public zone, key isolated in Japan.
    Jp,
    /// Government zone.
    Gov,
    /// Financial zone.
    Fin,
}

/// Identifies a key-encryption key: its provider, a zone hint, and its id (for NCP KMS the *key
/// tag*).
///
/// Two values are equal if provider and id are; the hint is ignored.
///
/// ```
/// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
///
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?;
/// assert_eq!(envelope.key_id().to_string(), "offline");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyId {
    provider: Provider,
    zone: ZoneHint,
    id: Arc<str>,
}

impl KeyId {
    /// An id from its parts.
    ///
    /// ```
    /// use ncp_envelope::wrap::{KeyId, Provider, ZoneHint};
    ///
    /// let key = KeyId::new(Provider::NcpKms, ZoneHint::Kr, "orders")?;
    /// assert_eq!(key.to_string(), "orders");
    /// assert!(KeyId::new(Provider::NcpKms, ZoneHint::Kr, "a name").is_err());
    /// assert!(KeyId::new(Provider::Other(1), ZoneHint::None, "orders").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless `id` is 1 to 255 bytes of printable ASCII without spaces,
    /// and the code of [`Provider::Other`] 128 to 254.
    pub fn new(provider: Provider, zone: ZoneHint, id: impl AsRef<str>) -> Result<Self> {
        let id = id.as_ref();
        // A code of another provider would pass this key off as one of that provider's.
        if Provider::from_code(provider.code()) != Some(provider) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the code of another key service is {FIRST_OTHER} to {LAST_OTHER}, not {}",
                    provider.code()
                ),
            ));
        }
        if id.is_empty()
            || id.len() > MAX_KEY_ID_LEN
            || !id.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "a key id (key tag) has 1 to {MAX_KEY_ID_LEN} printable ASCII characters \
                     without spaces"
                ),
            ));
        }
        Ok(Self { provider, zone, id: id.into() })
    }

    /// The key service that holds the key.
    ///
    /// ```
    /// # use ncp_envelope::wrap::{KeyId, Provider, ZoneHint};
    /// let key = KeyId::new(Provider::NcpKms, ZoneHint::Kr, "orders")?;
    /// assert_eq!(key.provider(), Provider::NcpKms);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The zone hint.
    ///
    /// ```
    /// # use ncp_envelope::wrap::{KeyId, Provider, ZoneHint};
    /// let key = KeyId::new(Provider::NcpKms, ZoneHint::Kr, "orders")?;
    /// assert_eq!(key.zone(), ZoneHint::Kr);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn zone(&self) -> ZoneHint {
        self.zone
    }

    /// The id; for NCP KMS the key tag.
    ///
    /// ```
    /// # use ncp_envelope::wrap::{KeyId, Provider, ZoneHint};
    /// let key = KeyId::new(Provider::NcpKms, ZoneHint::Kr, "orders")?;
    /// assert_eq!(key.id(), "orders");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl PartialEq for KeyId {
    fn eq(&self, other: &Self) -> bool {
        self.provider == other.provider && self.id == other.id
    }
}

impl Eq for KeyId {}

impl std::hash::Hash for KeyId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.provider.hash(state);
        self.id.hash(state);
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({:?} {})", self.provider, self.id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_are_bounded_and_compare_without_the_hint() {
        assert!(KeyId::new(Provider::NcpKms, ZoneHint::None, "").is_err());
        assert!(KeyId::new(Provider::NcpKms, ZoneHint::None, "a b").is_err());
        assert!(KeyId::new(Provider::NcpKms, ZoneHint::None, "x".repeat(256)).is_err());
        let longest = "x".repeat(255);
        let key = |provider, zone| KeyId::new(provider, zone, &longest).unwrap();
        let global = key(Provider::NcpKms, ZoneHint::Global);
        assert_eq!(global, key(Provider::NcpKms, ZoneHint::Kr));
        assert_ne!(global, key(Provider::Local, ZoneHint::Global));
    }

    #[test]
    fn every_code_has_one_provider_and_reserved_ones_have_none() {
        let mut none = Vec::new();
        for code in 0..=255 {
            match Provider::from_code(code) {
                Some(provider) => assert_eq!(provider.code(), code),
                None => none.push(code),
            }
            let other = KeyId::new(Provider::Other(code), ZoneHint::None, "x");
            assert_eq!(other.is_ok(), (128..=254).contains(&code), "{code}");
        }
        assert_eq!(none, std::iter::once(0).chain(2..=127).collect::<Vec<_>>());
    }
}
