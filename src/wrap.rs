//! The joint between this crate and a key service: who wraps data keys, and what a wrapped key is.
//!
//! [`KeyWrapper`] is the only thing the rest of the crate knows of a key service. Batches are its
//! primitive because the service takes arrays; a batch succeeds or fails as a whole, and whoever
//! built the batch decides how to split it. A wrapper knows nothing of the message format, of
//! caches or of policy. Every implementation has to pass [`conformance::check`].

pub mod conformance;
mod local;
mod payload;

pub use local::LocalKeyWrapper;
pub use payload::{KeyPayload, PAYLOAD_LEN};

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Longest key id in bytes (`F-16`).
pub const MAX_KEY_ID_LEN: usize = 128;
/// Longest wrapped key in bytes (`F-16`).
pub const MAX_WRAPPED_LEN: usize = 1_024;

/// A boxed future, so that [`KeyWrapper`] can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who wraps a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Provider {
    /// NAVER Cloud Platform Key Management Service.
    NcpKms,
    /// A key in this process's hands; see [`LocalKeyWrapper`].
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
                    "a key id (key tag) has 1 to {MAX_KEY_ID_LEN} printable ASCII characters without spaces"
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
        if self.key_id.provider != Provider::NcpKms {
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

/// Wraps and unwraps data keys. Object-safe; the one extension point of the crate.
///
/// Contract, checked by [`conformance::check`]: results are as many as the inputs and in their
/// order; an empty batch gives an empty result without a call; a batch that cannot be done whole
/// fails whole; what `unwrap_keys` returns is what was wrapped, to the byte; no error or `Debug`
/// output shows a payload.
pub trait KeyWrapper: fmt::Debug + Send + Sync {
    /// The key that [`wrap_keys`](Self::wrap_keys) wraps under.
    fn key_id(&self) -> &KeyId;

    /// Wraps each payload under [`key_id`](Self::key_id).
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>>;

    /// Unwraps each wrapped key. A wrapper may refuse keys that are not under
    /// [`key_id`](Self::key_id) with [`ErrorKind::KeyNotAllowed`].
    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>>;

    /// Wraps each key anew under the newest version of the key it is wrapped under, without showing
    /// any payload to the caller.
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>>;
}

impl<T: KeyWrapper + ?Sized> KeyWrapper for Arc<T> {
    fn key_id(&self) -> &KeyId {
        (**self).key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        (**self).wrap_keys(payloads)
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        (**self).unwrap_keys(wrapped)
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        (**self).rewrap_keys(wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
