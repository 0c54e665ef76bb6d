//! The name of a key-encryption key.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;

/// Longest key id in bytes (`F-16`).
pub const MAX_KEY_ID_LEN: usize = 128;
/// Who wraps a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Provider {
    /// NAVER Cloud Platform Key Management Service.
    NcpKms,
    /// A key in this process's hands; see [`LocalKeyWrapper`](crate::LocalKeyWrapper).
    Local,
}

/// Where a key is said to live. A hint for people and tools: it never decides which host is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum ZoneHint {
    /// Nothing is said.
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

/// Names a key-encryption key: who holds it, a zone hint, and its id (for NCP KMS the *key tag*).
///
/// Two names are the same key when provider and id agree; the hint does not count.
#[derive(Clone)]
pub struct KeyId {
    provider: Provider,
    zone: ZoneHint,
    id: Arc<str>,
}

impl KeyId {
    /// A name from its parts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless `id` is 1 to 128 bytes of printable ASCII without spaces.
    pub fn new(provider: Provider, zone: ZoneHint, id: impl AsRef<str>) -> Result<Self> {
        let id = id.as_ref();
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

    /// Who holds the key.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Where the key is said to live.
    pub fn zone(&self) -> ZoneHint {
        self.zone
    }

    /// The id; for NCP KMS the key tag.
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
        assert!(KeyId::new(Provider::NcpKms, ZoneHint::None, "x".repeat(129)).is_err());
        let global = KeyId::new(Provider::NcpKms, ZoneHint::Global, "x".repeat(128)).unwrap();
        assert_eq!(global, KeyId::new(Provider::NcpKms, ZoneHint::Kr, "x".repeat(128)).unwrap());
        assert_ne!(global, KeyId::new(Provider::Local, ZoneHint::Global, "x".repeat(128)).unwrap());
    }
}
