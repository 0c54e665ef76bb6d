//! The envelope itself: messages in and out of memory.

use crate::context::Scope;
use crate::datakey::{EnvelopeStats, Keys, Minted, in_parts};
use crate::envelope::recent::Recent;
use crate::error::Result;
use crate::format;
use crate::format::{BoundHeader, Encryptor, SlotTable};
use crate::policy::EncryptOptions;
use crate::secret::DataKey;
use crate::wrap::{KeyId, WrappedKey};
use std::fmt;
use std::sync::Arc;

/// Encrypts and decrypts for one recipient or several, and one scope. Cheap to clone; clones share
/// the cache, the pool and the calls to the key services.
///
/// Every message has a data key of its own, made here and wrapped by the key service, unless
/// [`reuse`](crate::EnvelopeBuilder::reuse) says otherwise. With several recipients it is wrapped
/// for each, and each alone can read; see [`and`](crate::EnvelopeBuilder::and). Callers that need
/// keys at the same time share calls: up to 256 keys go through one. With a feature that brings
/// tokio, calls run on a thread of the crate's own, so they go on whatever the callers' runtimes
/// do; without, whoever waits polls all calls.
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
pub struct Envelope(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// Whose keys are wrapped, and in this order.
    pub(super) recipients: Arc<[KeyId]>,
    scope: Scope,
    pub(super) keys: Keys,
    pub(super) recent: Recent,
}

impl Envelope {
    pub(crate) fn new(recipients: Arc<[KeyId]>, scope: Scope, keys: Keys) -> Self {
        Self(Arc::new(Inner { recipients, scope, keys, recent: Recent::new() }))
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
        Ok(Self::new(self.0.recipients.clone(), scope, keys))
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
        let slots = SlotTable::new(minted.slots.clone())?;
        let bound =
            BoundHeader::new(options.layout, &options.context, !options.aad.is_empty(), &slots)?;
        Encryptor::new(&minted.key, &bound, &slots, &options.aad)
    }

    /// The keys of the recipients, in the order in which the builder was given them: what is
    /// written has a slot for each in this order.
    pub fn key_ids(&self) -> &[KeyId] {
        &self.0.recipients
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

    /// Wraps keys anew under the newest version of the key-encryption key that each is wrapped
    /// under, by the recipient who has that key. Nobody on this side sees a data key; up to 256 go
    /// through one call. One that is refused does not stop the others.
    ///
    /// # Errors
    /// Each key has its own: those of the wrapper, and
    /// [`KeyNotAllowed`](crate::ErrorKind::KeyNotAllowed) for one under a key that no recipient
    /// has.
    pub async fn rewrap_keys(&self, keys: &[WrappedKey]) -> Vec<Result<WrappedKey>> {
        self.0.keys.rewrap(keys).await
    }

    /// The version of the key that `wrapped` is under, where the wrapper of its recipient tells.
    pub(crate) fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        self.0.keys.key_version(wrapped)
    }

    /// Wraps a data key that exists under the keys of those recipients: all of them, or none.
    // What adds slots to stored messages is not here yet.
    #[allow(dead_code)]
    pub(crate) async fn wrap_existing(
        &self,
        key: &DataKey,
        under: &[KeyId],
    ) -> Result<Vec<WrappedKey>> {
        self.0.keys.wrap(key, under).await
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
}

fn seal(
    minted: &Minted,
    plaintext: &[u8],
    options: &EncryptOptions,
    out: &mut Vec<u8>,
) -> Result<()> {
    format::seal(
        &minted.key,
        &minted.slots,
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
            .field("recipients", &self.0.keys.wrappers().collect::<Vec<_>>())
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}
