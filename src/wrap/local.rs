//! A key wrapper whose key-encryption key is in this process (`F-31`): for tests, benchmarks and
//! offline use.

use super::{BoxFuture, KeyId, KeyPayload, KeyWrapper, Provider, WrappedKey, ZoneHint};
use crate::crypto::{Aes256Gcm, CipherBackend, NONCE_LEN, TAG_LEN};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::random;
use std::fmt;
use std::sync::Arc;

const FORMAT: u8 = 1;
const LABEL: &[u8] = b"ncp-envelope local v1\0";

/// Wraps data keys with AES-256-GCM under a key of the caller.
///
/// Nothing in the crate falls back to it: a locally wrapped message opens only with a wrapper of
/// the same key, and a reader that expects a KMS key refuses it. At most 2^32 keys may be wrapped
/// under one key, since nonces are random. Clones share the key.
///
/// ```
/// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
///
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt("hello", [("kind", "note")])?;
/// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalKeyWrapper {
    id: KeyId,
    key: Arc<Aes256Gcm>,
}

impl LocalKeyWrapper {
    /// A wrapper that wraps under `key` and names it `id`.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, ErrorKind, KeyWrapper, LocalKeyWrapper};
    ///
    /// let kek = DataKey::generate()?;
    /// assert_eq!(LocalKeyWrapper::new("offline", &kek)?.key_id().id(), "offline");
    ///
    /// let refused = LocalKeyWrapper::new("my key", &kek);
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `id` is not a valid key id.
    pub fn new(id: impl AsRef<str>, key: &crate::DataKey) -> Result<Self> {
        let id = KeyId::new(Provider::Local, ZoneHint::None, id)?;
        // For 80 bytes it makes no difference which library it is.
        let key = Aes256Gcm::new(CipherBackend::AwsLc, key.expose_secret())?;
        Ok(Self { id, key: Arc::new(key) })
    }

    // The key id is bound so that a wrapped key cannot be passed off as one of another local key
    // that shares its bytes.
    fn aad(&self) -> Vec<u8> {
        [LABEL, self.id.id().as_bytes()].concat()
    }

    fn wrap(&self, payload: &KeyPayload) -> Result<WrappedKey> {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let payload = payload.expose_secret();
        let mut wrapped = [&[FORMAT], &nonce[..], &vec![0; payload.len() + TAG_LEN]].concat();
        self.key.seal(nonce, &self.aad(), payload, &mut wrapped[1 + NONCE_LEN..])?;
        WrappedKey::new(self.id.clone(), wrapped)
    }

    fn unwrap(&self, wrapped: &WrappedKey) -> Result<KeyPayload> {
        if *wrapped.key_id() != self.id {
            return Err(Error::new(
                ErrorKind::KeyNotAllowed,
                format!(
                    "the wrapped key is under {}, this wrapper holds {}",
                    wrapped.key_id(),
                    self.id
                ),
            ));
        }
        let bytes = wrapped.as_bytes();
        if bytes.len() < 1 + NONCE_LEN + TAG_LEN || bytes[0] != FORMAT {
            return Err(self.not_ours());
        }
        let Some((nonce, sealed)) = bytes[1..].split_first_chunk::<NONCE_LEN>() else {
            return Err(self.not_ours());
        };
        let mut opened = vec![0; sealed.len() - TAG_LEN].into_boxed_slice();
        let result = self.key.open(*nonce, &self.aad(), sealed, &mut opened);
        result.map_err(|_| self.not_ours())?;
        Ok(KeyPayload::from_boxed(opened))
    }

    fn not_ours(&self) -> Error {
        Error::new(
            ErrorKind::Authentication,
            format!(
                "key {} (local) does not unwrap the message's data key: it was wrapped under \
                 another key of that name, or changed",
                self.id
            ),
        )
    }
}

impl KeyWrapper for LocalKeyWrapper {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move { payloads.iter().map(|payload| self.wrap(payload)).collect() })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move { wrapped.iter().map(|key| self.unwrap(key)).collect() })
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move { wrapped.iter().map(|key| self.wrap(&self.unwrap(key)?)).collect() })
    }
}

impl fmt::Debug for LocalKeyWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKeyWrapper({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataKey;

    const SECRET: [u8; 48] = [0x5C; 48];

    fn wrapper(id: &str) -> LocalKeyWrapper {
        LocalKeyWrapper::new(id, &DataKey::copy_from(&[7; 32])).unwrap()
    }

    fn wrapped(id: &str) -> WrappedKey {
        wrapper(id).wrap(&KeyPayload::copy_from(&SECRET)).unwrap()
    }

    fn kind(result: Result<KeyPayload>) -> ErrorKind {
        result.unwrap_err().kind()
    }

    // F-31
    #[test]
    fn a_key_opens_what_it_wrapped() {
        let (own, key) = (wrapper("own"), wrapped("own"));
        assert_eq!(own.unwrap(&key).unwrap().expose_secret(), SECRET);
        assert_eq!(key.as_bytes().len(), 1 + NONCE_LEN + SECRET.len() + TAG_LEN);
        assert_ne!(key, wrapped("own"), "with another nonce each time");
        let other = LocalKeyWrapper::new("own", &DataKey::copy_from(&[8; 32])).unwrap();
        assert_eq!(kind(other.unwrap(&key)), ErrorKind::Authentication);
    }

    // F-31: both the check and the binding, each alone.
    #[test]
    fn a_key_of_the_same_bytes_and_another_id_does_not_open_it() {
        let (own, key) = (wrapper("own"), wrapped("own"));
        for id in [
            KeyId::new(Provider::Local, ZoneHint::None, "other").unwrap(),
            KeyId::new(Provider::Local, ZoneHint::None, "own2").unwrap(),
            KeyId::new(Provider::NcpKms, ZoneHint::Kr, "own").unwrap(),
            KeyId::new(Provider::Other(200), ZoneHint::None, "own").unwrap(),
        ] {
            let of_another = WrappedKey::new(id.clone(), key.as_bytes()).unwrap();
            let error = own.unwrap(&of_another).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::KeyNotAllowed);
            assert!(error.to_string().contains(&format!("under {id}")), "{error}");
            if id.provider() == Provider::Local {
                // Passed off as the other's own.
                assert_eq!(kind(wrapper(id.id()).unwrap(&of_another)), ErrorKind::Authentication);
            }
        }
    }

    // F-31
    #[test]
    fn what_was_changed_or_is_too_short_is_not_authentic() {
        let (own, key) = (wrapper("own"), wrapped("own"));
        let with = |bytes: &[u8]| WrappedKey::new(key.key_id().clone(), bytes).unwrap();
        for at in 0..key.as_bytes().len() {
            let mut changed = key.as_bytes().to_vec();
            changed[at] ^= 1;
            assert_eq!(kind(own.unwrap(&with(&changed))), ErrorKind::Authentication, "{at}");
            if at > 0 {
                let cut = &key.as_bytes()[..at];
                assert_eq!(kind(own.unwrap(&with(cut))), ErrorKind::Authentication, "{at}");
            }
        }
        // The shortest there is: nothing, wrapped.
        let nothing = own.wrap(&KeyPayload::copy_from(b"")).unwrap();
        assert_eq!(own.unwrap(&nothing).unwrap().expose_secret(), b"");
    }
}
