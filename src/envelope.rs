//! Joins a key wrapper, a cache and the format: the type most callers use.

use crate::cache::{CacheId, CacheLimits, KeyCache};
use crate::context::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Decryptor, Encryptor, Header, PREAMBLE_LEN, SUITE_COBBLESTONE_256, SealedHeader, SlotTable, range};
use crate::policy::{DecryptPolicy, EncryptOptions};
use crate::secret::DataKey;
use crate::wrap::{KeyPayload, KeyWrapper, WrappedKey};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Encrypts and decrypts under one key-encryption key and one scope. Cheap to clone; clones share the cache.
///
/// Every message gets a data key of its own, made here and wrapped by one call to the key service.
///
/// ```
/// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// let envelope = Envelope::builder(LocalKeyWrapper::new("offline", &DataKey::generate()?)?).scope("tenant-42").build()?;
/// let context = EncryptionContext::new().with("kind", "note")?;
/// let message = envelope.encrypt(b"hello", &context).await?;
/// let plaintext = envelope.decrypt(&message, &DecryptPolicy::new().require("kind", "note")).await?;
/// assert_eq!(*plaintext, b"hello");
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Envelope {
    wrapper: Arc<dyn KeyWrapper>,
    scope: Scope,
    cache: Option<Arc<KeyCache>>,
}

impl Envelope {
    /// Starts from a key wrapper: [`LocalKeyWrapper`](crate::LocalKeyWrapper), a key of the KMS client, or an own one.
    pub fn builder(wrapper: impl KeyWrapper + 'static) -> EnvelopeBuilder {
        EnvelopeBuilder { wrapper: Arc::new(wrapper), scope: Scope::default(), cache: None }
    }

    /// Starts a message: makes a data key, has it wrapped, and returns the encryptor to push plaintext into.
    ///
    /// # Errors
    /// Those of the wrapper, and [`ErrorKind::LimitExceeded`] if context and slots do not fit a header.
    pub async fn encryptor(&self, options: impl Into<EncryptOptions>) -> Result<Encryptor> {
        let options = options.into();
        let key = DataKey::generate()?;
        let payload = [KeyPayload::encode(&key, SUITE_COBBLESTONE_256, &self.scope)];
        let wrapped = self.wrapper.wrap_keys(&payload).await?;
        let [wrapped] = <[WrappedKey; 1]>::try_from(wrapped)
            .map_err(|all| Error::new(ErrorKind::Internal, format!("the key wrapper returned {} wrapped keys for one", all.len())))?;
        let slots = SlotTable::new(vec![wrapped])?;
        let sealed = SealedHeader::new(options.profile, &options.context, !options.aad.is_empty(), &slots)?;
        Encryptor::new(&key, &sealed, &slots, &options.aad)
    }

    /// Opens the door to a message: checks `header` against `policy`, obtains the data key and verifies the commitment in `preamble`, the 56 bytes
    /// behind the header. Push everything after those into the decryptor.
    ///
    /// # Errors
    /// Before any call to the key service: what [`DecryptPolicy`] refuses. After it: those of the wrapper, and [`ErrorKind::Authentication`].
    pub async fn decryptor(&self, header: &Header, preamble: &[u8; PREAMBLE_LEN], policy: &DecryptPolicy) -> Result<Decryptor> {
        self.open_slots(header, policy, |key| Decryptor::new(key, header.sealed(), preamble, policy.aad_bytes())).await
    }

    /// Whether `policy` lets this reader go on to ask for a key; asks nobody.
    ///
    /// # Errors
    /// What [`DecryptPolicy`] refuses.
    pub fn admit(&self, header: &Header, policy: &DecryptPolicy) -> Result<()> {
        policy.admit(header, self.wrapper.key_id()).map(drop)
    }

    /// Encrypts a message that fits memory. The result is the plaintext's length, 16 bytes for every 16 KiB begun, and a few hundred bytes of header.
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn encrypt(&self, plaintext: &[u8], options: impl Into<EncryptOptions>) -> Result<Vec<u8>> {
        let mut encryptor = self.encryptor(options).await?;
        let start = encryptor.header().len();
        let update_len = encryptor.update_len(plaintext.len());
        let total = usize::try_from(range::body_len(plaintext.len() as u64)?)
            .ok()
            .and_then(|body| body.checked_add(start - PREAMBLE_LEN))
            .ok_or_else(|| Error::new(ErrorKind::LimitExceeded, "message does not fit this machine's memory"))?;
        let mut out = vec![0; total];
        out[..start].copy_from_slice(encryptor.header());
        encryptor.update(plaintext, &mut out[start..start + update_len])?;
        encryptor.finish(&mut out[start + update_len..])?;
        Ok(out)
    }

    /// Decrypts a message that fits memory. Returns nothing unless the whole message is authentic; the plaintext is wiped when dropped.
    ///
    /// # Errors
    /// Before any call to the key service: [`ErrorKind::Malformed`], [`ErrorKind::Truncated`], [`ErrorKind::UnsupportedVersion`],
    /// [`ErrorKind::LimitExceeded`] and [`ErrorKind::KeyNotAllowed`]. After it: those of the wrapper, and [`ErrorKind::Authentication`].
    pub async fn decrypt(&self, message: &[u8], policy: &DecryptPolicy) -> Result<Zeroizing<Vec<u8>>> {
        let header = Header::decode(message)?;
        self.admit(&header, policy)?;
        let body = &message[header.sealed().body_offset()..];
        let len = usize::try_from(range::plaintext_len(body.len() as u64)?)
            .map_err(|_| Error::new(ErrorKind::LimitExceeded, "message does not fit this machine's memory"))?;
        let Some((preamble, chunks)) = body.split_first_chunk::<PREAMBLE_LEN>() else {
            return Err(Error::new(ErrorKind::Truncated, "message is truncated: it ends before its first chunk"));
        };
        let mut decryptor = self.decryptor(&header, preamble, policy).await?;
        let mut out = Zeroizing::new(vec![0; len]);
        let progress = decryptor.update(chunks, &mut out)?;
        if progress.consumed < chunks.len() {
            // A chunk failed behind others; nothing of them leaves this call.
            return Err(Error::authentication());
        }
        decryptor.finish(&mut out[progress.written..])?;
        Ok(out)
    }

    /// Tries the slots that `policy` admits, in order, until the data key of one satisfies `open` (`F-33`).
    async fn open_slots<T>(&self, header: &Header, policy: &DecryptPolicy, open: impl Fn(&DataKey) -> Result<T>) -> Result<T> {
        let mut first_error = None;
        for slot in policy.admit(header, self.wrapper.key_id())? {
            match self.open_slot(slot, header.sealed().suite(), &open).await {
                Ok(opened) => return Ok(opened),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(Error::authentication))
    }

    async fn open_slot<T>(&self, slot: &WrappedKey, suite: u16, open: impl Fn(&DataKey) -> Result<T>) -> Result<T> {
        let Some(cache) = &self.cache else {
            return open(&self.unwrap(slot, suite).await?);
        };
        let id = CacheId::new(slot, &self.scope, suite);
        let (key, loaded_here) = cache.get_or_load(id, || self.unwrap(slot, suite)).await?;
        open(&key).inspect_err(|_| {
            // A service that once gives another key must not make the message unreadable for as long as keys are kept. A key that was there
            // already has opened the message it came with: a forged message that names its slot must not be able to drive it out.
            if loaded_here {
                cache.forget(&id, &key);
            }
        })
    }

    async fn unwrap(&self, slot: &WrappedKey, suite: u16) -> Result<DataKey> {
        let payloads = self.wrapper.unwrap_keys(std::slice::from_ref(slot)).await?;
        match &payloads[..] {
            [payload] => payload.decode(suite, &self.scope),
            _ => Err(Error::new(ErrorKind::Internal, format!("the key wrapper returned {} payloads for one key", payloads.len()))),
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("wrapper", &self.wrapper).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Builds an [`Envelope`].
#[derive(Debug)]
#[must_use]
pub struct EnvelopeBuilder {
    wrapper: Arc<dyn KeyWrapper>,
    scope: Scope,
    cache: Option<CacheLimits>,
}

impl EnvelopeBuilder {
    /// What the data keys are for; see [`Scope`]. Without it the empty scope is used.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Keeps unwrapped data keys in memory within these limits, so that reading many messages under one data key, or one message many
    /// times, makes one call. Without it every read makes a call.
    pub fn cache(mut self, limits: CacheLimits) -> Self {
        self.cache = Some(limits);
        self
    }

    /// The envelope.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the cache limits are of no use.
    pub fn build(self) -> Result<Envelope> {
        let cache = self.cache.map(KeyCache::new).transpose()?.map(Arc::new);
        Ok(Envelope { wrapper: self.wrapper, scope: self.scope, cache })
    }
}
