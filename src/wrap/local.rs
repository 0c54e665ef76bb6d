//! A key wrapper whose key-encryption key is in this process (`F-31`): for tests, benchmarks and
//! offline use.

use super::{BoxFuture, KeyId, KeyPayload, KeyWrapper, Provider, WrappedKey, ZoneHint};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::random;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const TAG_LEN: usize = 16;
const LABEL: &[u8] = b"ncp-envelope local v1\0";

/// Wraps data keys with AES-256-GCM under a key given by the caller.
///
/// Nothing in the crate falls back to it: a message wrapped locally opens only with a wrapper made
/// from the same key, and a reader that expects a KMS key refuses it. At most 2^32 keys may be
/// wrapped under one key, as the nonces are random.
///
/// ```
/// use ncp_envelope::{DataKey, LocalKeyWrapper};
/// let wrapper = LocalKeyWrapper::new("my-offline-key", &DataKey::generate()?)?;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct LocalKeyWrapper {
    id: KeyId,
    key: LessSafeKey,
}

impl LocalKeyWrapper {
    /// A wrapper that names its key `id` and wraps under `key`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `id` is not a valid key id.
    pub fn new(id: impl AsRef<str>, key: &crate::DataKey) -> Result<Self> {
        let id = KeyId::new(Provider::Local, ZoneHint::None, id)?;
        let key = UnboundKey::new(&AES_256_GCM, key.expose_secret())
            .map_err(|_| Error::new(ErrorKind::Internal, "the local key could not be set up"))?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    // The key id is bound so that a wrapped key cannot be passed off as one of another local key
    // that shares its bytes.
    fn aad(&self) -> Aad<Vec<u8>> {
        Aad::from([LABEL, self.id.id().as_bytes()].concat())
    }

    fn wrap(&self, payload: &KeyPayload) -> Result<WrappedKey> {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let mut sealed = Zeroizing::new(payload.expose_secret().to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                self.aad(),
                &mut sealed,
            )
            .map_err(|_| Error::new(ErrorKind::Internal, "local wrapping failed"))?;
        WrappedKey::new(self.id.clone(), [&[FORMAT], &nonce[..], &sealed, tag.as_ref()].concat())
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
            return Err(Error::authentication());
        }
        let (nonce, rest) = bytes[1..].split_at(NONCE_LEN);
        let (sealed, tag) = rest.split_at(rest.len() - TAG_LEN);
        let mut opened = vec![0; sealed.len()].into_boxed_slice();
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::authentication())?;
        let result = self.key.open_separate_gather(nonce, self.aad(), sealed, tag, &mut opened);
        // Taken over before the result is looked at, so that a failure wipes it too.
        let payload = KeyPayload::from_boxed(opened);
        result.map_err(|_| Error::authentication())?;
        Ok(payload)
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
