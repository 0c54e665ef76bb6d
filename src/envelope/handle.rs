//! The envelope itself: messages in and out of memory.

use crate::context::Scope;
use crate::datakey::{Asked, CacheId, EnvelopeStats, Keys, Minted, Outbox, in_parts};
use crate::envelope::recent::{Read, Recent};
use crate::error::{Error, Result};
use crate::format;
use crate::format::{BoundHeader, Decryptor, Encryptor, Header, PREAMBLE_LEN, Parts, SlotTable};
use crate::policy::{DecryptPolicy, EncryptOptions};
use crate::secret::DataKey;
use crate::wrap::{KeyId, KeyWrapper, WrappedKey};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Encrypts and decrypts under one key-encryption key and one scope. Cheap to clone; clones share
/// the cache, the pool and the calls to the key service.
///
/// Every message has a data key of its own, made here and wrapped by the key service, unless
/// [`reuse`](crate::EnvelopeBuilder::reuse) says otherwise. Callers that need keys at the same time
/// share calls: up to 256 keys go through one. With a feature that brings tokio, calls run on a
/// thread of the crate's own, so they go on whatever the callers' runtimes do; without, whoever
/// waits polls all calls.
///
/// ```
/// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).scope("tenant-42").build()?;
/// let context = EncryptionContext::new().with("kind", "note")?;
/// let message = envelope.encrypt(b"hello", &context).await?;
/// let policy = DecryptPolicy::new().require("kind", "note");
/// let plaintext = envelope.decrypt(&message, &policy).await?;
/// assert_eq!(*plaintext, b"hello");
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Envelope(Arc<Inner>);

struct Inner {
    wrapper: Arc<dyn KeyWrapper>,
    scope: Scope,
    keys: Keys,
    recent: Recent,
}

/// A message whose header was read, and the key that was asked for.
type Ask = (Arc<Read>, Option<Asked>);

impl Envelope {
    pub(crate) fn new(wrapper: Arc<dyn KeyWrapper>, scope: Scope, keys: Keys) -> Self {
        Self(Arc::new(Inner { wrapper, scope, keys, recent: Recent::new() }))
    }

    /// The same for another scope: shares the cache and the calls to the key service with this one,
    /// and has keys of its own.
    ///
    /// For a service with many tenants: keys for messages of different tenants are wrapped and
    /// unwrapped in one call.
    ///
    /// # Errors
    /// None that [`build`](crate::EnvelopeBuilder::build) did not have.
    pub fn for_scope(&self, scope: impl Into<Scope>) -> Result<Self> {
        let scope = scope.into();
        let keys = self.0.keys.for_scope(&scope)?;
        Ok(Self::new(self.0.wrapper.clone(), scope, keys))
    }

    /// Starts a message under a data key of its own, and returns the encryptor to push plaintext
    /// into.
    ///
    /// # Errors
    /// Those of the wrapper, and [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if
    /// context and slots do not fit a header.
    pub async fn encryptor(&self, options: impl Into<EncryptOptions>) -> Result<Encryptor> {
        let options = options.into();
        let minted = self.0.keys.supply.unique().await?;
        let slots = SlotTable::new(vec![minted.wrapped.clone()])?;
        let bound =
            BoundHeader::new(options.layout, &options.context, !options.aad.is_empty(), &slots)?;
        Encryptor::new(&minted.key, &bound, &slots, &options.aad)
    }

    /// Opens the door to a message: checks `header` against `policy`, obtains the data key and
    /// verifies the commitment in `preamble`, the 56 bytes behind the header. Push everything after
    /// those into the decryptor.
    ///
    /// # Errors
    /// Before any call to the key service: what [`DecryptPolicy`] refuses. After it: those of the
    /// wrapper, and [`ErrorKind::Authentication`](crate::ErrorKind::Authentication).
    pub async fn decryptor(
        &self,
        header: &Header,
        preamble: &[u8; PREAMBLE_LEN],
        policy: &DecryptPolicy,
    ) -> Result<Decryptor> {
        let loader = &self.0.keys.loader;
        let slots =
            policy.admit(header, self.0.wrapper.key_id())?.map(|(_, slot)| (loader.id(slot), slot));
        let open =
            |key: &DataKey| Decryptor::new(key, header.bound(), preamble, policy.aad_bytes());
        self.open_slots(slots, policy, None, open).await
    }

    /// Whether `policy` lets this reader go on to ask for a key; asks nobody.
    ///
    /// # Errors
    /// What [`DecryptPolicy`] refuses.
    pub fn admit(&self, header: &Header, policy: &DecryptPolicy) -> Result<()> {
        policy.admit(header, self.0.wrapper.key_id()).map(drop)
    }

    /// Encrypts a message that fits memory. The result is the plaintext's length, 16 bytes for
    /// every 16 KiB begun, and a few hundred bytes of header.
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn encrypt(
        &self,
        plaintext: &[u8],
        options: impl Into<EncryptOptions>,
    ) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.encrypt_into(plaintext, &options.into(), &mut out).await?;
        Ok(out)
    }

    /// As [`encrypt`](Self::encrypt), into a buffer in place of what was there. A buffer that is
    /// used again saves the allocation, which for large messages costs more than the encryption.
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor); the buffer is empty then.
    pub async fn encrypt_into(
        &self,
        plaintext: &[u8],
        options: &EncryptOptions,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match self.0.keys.supply.for_message(plaintext.len()).await {
            Ok(minted) => seal(&minted, plaintext, options, out),
            Err(error) => {
                out.clear();
                Err(error)
            }
        }
    }

    /// Encrypts many messages that fit memory, each under a data key of its own; the keys are
    /// wrapped together, hundreds in one call.
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor), the first one of any message; nothing is returned then.
    pub async fn encrypt_many<P: AsRef<[u8]>>(
        &self,
        plaintexts: &[P],
        options: impl Into<EncryptOptions>,
    ) -> Result<Vec<Vec<u8>>> {
        let (options, supply) = (options.into(), &self.0.keys.supply);
        let mut messages = Vec::with_capacity(plaintexts.len());
        if supply.reuses() {
            for plaintext in plaintexts {
                let mut out = Vec::new();
                self.encrypt_into(plaintext.as_ref(), &options, &mut out).await?;
                messages.push(out);
            }
            return Ok(messages);
        }
        for (part, taken) in in_parts(plaintexts, |part| supply.ask(part.len())) {
            for (plaintext, taken) in part.iter().zip(taken) {
                let mut out = Vec::new();
                seal(&*supply.wait(taken).await?, plaintext.as_ref(), &options, &mut out)?;
                messages.push(out);
            }
        }
        Ok(messages)
    }

    /// Decrypts a message that fits memory. Returns nothing unless the whole message is authentic;
    /// the plaintext is wiped when dropped.
    ///
    /// # Errors
    /// Before any call to the key service: [`Malformed`](crate::ErrorKind::Malformed),
    /// [`Truncated`](crate::ErrorKind::Truncated),
    /// [`UnsupportedVersion`](crate::ErrorKind::UnsupportedVersion),
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded),
    /// [`NotAccepted`](crate::ErrorKind::NotAccepted) and
    /// [`KeyNotAllowed`](crate::ErrorKind::KeyNotAllowed). After it: those of the wrapper, and
    /// [`Authentication`](crate::ErrorKind::Authentication).
    pub async fn decrypt(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(Vec::new());
        self.decrypt_into(message, policy, &mut out).await?;
        Ok(out)
    }

    /// As [`decrypt`](Self::decrypt), into a buffer in place of what was there. The plaintext is
    /// the caller's to wipe: a `Zeroizing<Vec<u8>>` does that.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt); the buffer is wiped and empty then.
    pub async fn decrypt_into(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let result = self.open_into(message, policy, out).await;
        if result.is_err() {
            zeroize::Zeroize::zeroize(out);
        }
        result
    }

    async fn open_into(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let read = self.0.recent.read(message, &self.0.keys.loader)?;
        let slots = policy.admit(&read.header, self.0.wrapper.key_id())?;
        let parts = Parts::of(message, &read.header)?;
        let slots = slots.map(|(at, slot)| (read.ids[at], slot));
        self.open_slots(slots, policy, None, |key| parts.open(key, policy.aad_bytes(), out)).await?
    }

    /// Decrypts many messages that fit memory; the keys that are not in the cache are unwrapped
    /// together, hundreds in one call. One that cannot be opened does not stop the others.
    ///
    /// # Errors
    /// Each message has its own, as [`decrypt`](Self::decrypt).
    pub async fn decrypt_many<M: AsRef<[u8]>>(
        &self,
        messages: &[M],
        policy: &DecryptPolicy,
    ) -> Vec<Result<Zeroizing<Vec<u8>>>> {
        let mut opened = Vec::with_capacity(messages.len());
        for (part, asked) in in_parts(messages, |part| self.ask_for(part, policy)) {
            for (message, asked) in part.iter().zip(asked) {
                opened.push(self.open_asked(message.as_ref(), policy, asked).await);
            }
        }
        opened
    }

    /// Reads the headers, and asks for the key in the first slot of each that is admitted.
    fn ask_for<M: AsRef<[u8]>>(&self, messages: &[M], policy: &DecryptPolicy) -> Vec<Result<Ask>> {
        let (inner, mut outbox) = (&*self.0, Outbox::default());
        let ask = |message: &M| {
            let read = inner.recent.read(message.as_ref(), &inner.keys.loader)?;
            let first = policy.admit(&read.header, inner.wrapper.key_id())?.next();
            Parts::of(message.as_ref(), &read.header)?;
            let first = first.map(|(at, slot)| {
                inner.keys.loader.ask(slot, read.ids[at], policy.key_age_limit(), &mut outbox)
            });
            Ok((read, first))
        };
        let asked = messages.iter().map(ask).collect();
        inner.keys.loader.send(outbox);
        asked
    }

    async fn open_asked(
        &self,
        message: &[u8],
        policy: &DecryptPolicy,
        asked: Result<Ask>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let (read, first) = asked?;
        let parts = Parts::of(message, &read.header)?;
        let slots = policy.admit(&read.header, self.0.wrapper.key_id())?;
        let slots = slots.map(|(at, slot)| (read.ids[at], slot));
        let mut out = Zeroizing::new(Vec::new());
        let open = |key: &DataKey| parts.open(key, policy.aad_bytes(), &mut out);
        self.open_slots(slots, policy, first, open).await??;
        Ok(out)
    }

    /// Wraps keys anew under the newest version of the key-encryption key that each is wrapped
    /// under. Nobody on this side sees a data key; up to 256 go through one call. One that is
    /// refused does not stop the others.
    ///
    /// # Errors
    /// Each key has its own, those of the wrapper.
    pub async fn rewrap_keys(&self, keys: &[WrappedKey]) -> Vec<Result<WrappedKey>> {
        self.0.keys.rewrap(keys).await
    }

    /// The keys whose wrapped keys [`rewrap_keys`](Self::rewrap_keys) takes.
    pub(crate) fn key_ids(&self) -> Vec<KeyId> {
        vec![self.0.wrapper.key_id().clone()]
    }

    /// The version of the key that `wrapped` is under, where its wrapper tells.
    pub(crate) fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        self.0.wrapper.key_version(wrapped)
    }

    /// Wipes every data key in memory, for all envelopes that share the cache: those in it, and
    /// those kept for writing. Those that are in a call are wiped when it comes back, and those
    /// that a caller uses at this moment when it is done.
    pub fn forget_keys(&self) {
        self.0.keys.cache().forget_keys();
    }

    /// Wipes every data key wrapped under the key-encryption key `tag`, as after it was disabled,
    /// for all envelopes that share the cache. Whoever needs one next asks the key service.
    pub fn invalidate(&self, tag: &str) {
        self.0.keys.cache().invalidate(tag);
    }

    /// Wipes every data key wrapped under a version of `tag` below `version`, for all envelopes
    /// that share the cache; keeps no such key from now on, and writes no message with one.
    pub fn retire_below(&self, tag: &str, version: u32) {
        self.0.keys.cache().retire_below(tag, version);
    }

    /// What cache, pool and calls did so far.
    pub fn stats(&self) -> EnvelopeStats {
        self.0.keys.stats()
    }

    /// Tries `slots` in order, until the data key of one satisfies `open` (`F-33`). The first may
    /// have been asked for already.
    async fn open_slots<T>(
        &self,
        slots: impl Iterator<Item = (CacheId, &WrappedKey)>,
        policy: &DecryptPolicy,
        mut asked: Option<Asked>,
        mut open: impl FnMut(&DataKey) -> Result<T>,
    ) -> Result<T> {
        let (loader, max_age) = (&self.0.keys.loader, policy.key_age_limit());
        let mut first_error = None;
        for (id, slot) in slots {
            let asked = asked.take().unwrap_or_else(|| {
                let mut outbox = Outbox::default();
                let asked = loader.ask(slot, id, max_age, &mut outbox);
                loader.send(outbox);
                asked
            });
            let opened = match loader.wait(asked, slot, max_age).await {
                Ok(cached) => {
                    let opened = open(&cached.key);
                    loader.tried(&id, &cached, opened.is_ok());
                    opened
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(Error::authentication))
    }
}

fn seal(
    minted: &Minted,
    plaintext: &[u8],
    options: &EncryptOptions,
    out: &mut Vec<u8>,
) -> Result<()> {
    format::seal(
        &minted.key,
        std::slice::from_ref(&minted.wrapped),
        options.layout,
        &options.context,
        &options.aad,
        plaintext,
        out,
    )
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("wrapper", &self.0.wrapper)
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}
