//! The envelope itself: messages in and out of memory.

use crate::context::Scope;
use crate::crypto::CipherBackend;
use crate::datakey::{EnvelopeStats, Keys, Minted, in_parts};
use crate::envelope::recent::Recent;
use crate::error::Result;
use crate::format;
use crate::format::{BoundHeader, Encryptor, Engine, Header, SlotTable};
use crate::policy::{EncryptOptions, ToEncryptOptions};
use crate::secret::DataKey;
use crate::suite::SUITE;
use crate::wrap::{Binding, KeyId, WrappedKey};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Encrypts and decrypts for one recipient or several, and one scope. Cheap to clone; clones share
/// the cache, the pool and the calls to the key services.
///
/// Every message has a data key of its own, made here and wrapped by the key service, unless
/// [`reuse`](crate::EnvelopeBuilder::reuse) says otherwise. With several recipients it is wrapped
/// for each, and each alone can read; see [`and`](crate::EnvelopeBuilder::and). Concurrent callers
/// share calls: up to 256 keys go through one.
///
/// ```
/// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).scope("tenant-42").build()?;
/// let context = EncryptionContext::try_from([("kind", "note")])?;
/// let message = envelope.encrypt("hello", &context).await?;
/// let policy = DecryptPolicy::new().require("kind", "note");
/// let plaintext = envelope.decrypt(&message, &policy).await?;
/// assert_eq!(plaintext, "hello");
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
///
/// # Runtime
///
/// With the feature `kms`, `tokio` or `emulator`, calls to key services run on a thread and a
/// runtime of the crate's own, one for the process. A caller's future can be polled by any
/// executor, dropped at any time, or belong to a runtime that stops: the call that it shared with
/// others continues.
///
/// Without these features there is no such thread. Every waiter polls the calls in flight, so a
/// call makes progress as long as one of its waiters is polled or dropped.
#[derive(Clone)]
pub struct Envelope {
    pub(super) inner: Arc<Inner>,
    pub(super) engine: Engine,
}

pub(super) struct Inner {
    /// Whose keys are wrapped, and in this order.
    pub(super) recipients: Arc<[KeyId]>,
    scope: Scope,
    pub(super) keys: Keys,
    pub(super) recent: Recent,
}

impl Envelope {
    pub(crate) fn new(recipients: Arc<[KeyId]>, scope: Scope, keys: Keys, engine: Engine) -> Self {
        Self { inner: Arc::new(Inner { recipients, scope, keys, recent: Recent::new() }), engine }
    }

    /// The same, with `threads` threads for one message that is in memory or streamed; 0 stands for
    /// one a core. Everything else is shared with this one.
    ///
    /// 1, until this is called: a server that works on many messages has them share the cores, and
    /// more threads for each only add overhead. More than one are used by
    ///
    /// * [`encrypt`](Self::encrypt), [`decrypt`](Self::decrypt) and their relatives, each message
    ///   of a batch by itself, for a plaintext of 4 MiB or more;
    /// * [`encrypt_stream`](Self::encrypt_stream), [`decrypt_stream`](Self::decrypt_stream) and
    ///   [`writer`](Self::writer).
    ///
    /// Calls on files have an option of their own,
    /// [`FileOptions::threads`](crate::io::FileOptions::threads). Readers and what is asynchronous
    /// stay on the caller's thread.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let plaintext = vec![7; 5 << 20];
    /// let message = envelope.threads(0).encrypt(&plaintext, EncryptionContext::new())?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, plaintext);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn threads(&self, threads: usize) -> Self {
        let engine = Engine { threads, ..self.engine };
        Self { inner: self.inner.clone(), engine }
    }

    /// How many threads [`threads`](Self::threads) stands for.
    pub(crate) fn thread_count(&self) -> usize {
        self.engine.threads()
    }

    /// The library that encrypts and decrypts this envelope's messages.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).cipher(CipherBackend::AwsLc).build()?;
    /// assert_eq!(envelope.cipher(), CipherBackend::AwsLc);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn cipher(&self) -> CipherBackend {
        self.engine.backend
    }

    /// The same for another scope: shares the cache and the calls to the key service with this one,
    /// and has keys of its own.
    ///
    /// For a service with many tenants: keys for messages of different tenants are wrapped and
    /// unwrapped in one call. Each takes about 2 KiB of memory, and another 2 KiB with a data key
    /// that is [reused](crate::EnvelopeBuilder::reuse), without what the cache holds.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let (one, two) = (envelope.for_scope("tenant-1")?, envelope.for_scope("tenant-2")?);
    /// let message = one.encrypt("hello", EncryptionContext::new())?;
    /// assert!(one.decrypt(&message, DecryptPolicy::new()).is_ok());
    /// assert!(two.decrypt(&message, DecryptPolicy::new()).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// None that [`build`](crate::EnvelopeBuilder::build) did not have.
    pub fn for_scope(&self, scope: impl Into<Scope>) -> Result<Self> {
        let scope = scope.into();
        let keys = self.inner.keys.bound_to(Binding::message(SUITE, &scope))?;
        Ok(Self::new(self.inner.recipients.clone(), scope, keys, self.engine))
    }

    /// Starts a message under a data key of its own, and returns the encryptor to push plaintext
    /// into.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let encryptor = envelope.encryptor([("purpose", "greeting")])?;
    /// let mut message = encryptor.front().to_vec();
    /// let (start, len) = (message.len(), encryptor.finish_len());
    /// message.resize(start + len, 0);
    /// encryptor.finish(&mut message[start..])?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the wrapper, and [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if
    /// context and slots do not fit a header.
    pub async fn encryptor(&self, options: impl ToEncryptOptions) -> Result<Encryptor> {
        let options = options.to_options()?;
        encryptor(self.engine, &*self.inner.keys.supply.unique().await?, &options)
    }

    /// Starts a message for each of `options`, in their order, as [`encryptor`](Self::encryptor)
    /// does; the keys are wrapped together, hundreds in one call.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let encryptors = envelope.encryptors([[("part", "1")], [("part", "2")]])?;
    /// assert_eq!(encryptors.len(), 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor), the first one of any message; nothing is returned then.
    pub async fn encryptors<O: ToEncryptOptions>(
        &self,
        options: impl IntoIterator<Item = O>,
    ) -> Result<Vec<Encryptor>> {
        let options: Vec<_> = options.into_iter().collect();
        let options = all_options(&options)?;
        let supply = &self.inner.keys.supply;
        let mut encryptors = Vec::with_capacity(options.len());
        for (part, taken) in in_parts(&options, |part| supply.ask(part.len())) {
            for (options, taken) in part.iter().zip(taken) {
                encryptors.push(encryptor(self.engine, &*supply.wait(taken).await?, options)?);
            }
        }
        Ok(encryptors)
    }

    /// The key of the first recipient: the one given to [`builder`](Self::builder).
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?;
    /// assert_eq!(envelope.key_id().to_string(), "offline");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_id(&self) -> &KeyId {
        // A builder starts with one.
        &self.inner.recipients[0]
    }

    /// The keys of the recipients, in the order in which the builder was given them: what is
    /// written has a slot for each in this order.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// let wrapper = |id: &str| LocalKeyWrapper::new(id, &DataKey::generate()?);
    /// let envelope = Envelope::builder(wrapper("daily")?).and(wrapper("recovery")?).build()?;
    /// let ids: Vec<_> = envelope.key_ids().iter().map(|key| key.to_string()).collect();
    /// assert_eq!(ids, ["daily", "recovery"]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_ids(&self) -> &[KeyId] {
        &self.inner.recipients
    }

    /// Whether a message is for the recipients that this envelope writes for, and for no others.
    /// Slots that were changed since can have another order.
    pub(crate) fn is_for_same_recipients(&self, header: &Header) -> bool {
        let slots = header.slots().slots();
        slots.len() == self.key_ids().len()
            && slots.iter().all(|slot| self.key_ids().contains(slot.key_id()))
    }

    /// Encrypts a message that fits memory. The result is the plaintext's length, 16 bytes for
    /// every 16 KiB begun, and a few hundred bytes of header.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt("hello", [("purpose", "greeting")]).await?;
    /// assert!(message.len() < 500);
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor).
    pub async fn encrypt(
        &self,
        plaintext: impl AsRef<[u8]>,
        options: impl ToEncryptOptions,
    ) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.encrypt_into(plaintext, options, &mut out).await?;
        Ok(out)
    }

    /// As [`encrypt`](Self::encrypt), into a buffer in place of what was there. A buffer that is
    /// used again saves the allocation, which for large messages costs more than the encryption.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let (context, mut message) = (EncryptionContext::new(), Vec::new());
    /// for line in ["one", "two"] {
    ///     envelope.encrypt_into(line, &context, &mut message)?;
    ///     assert_eq!(envelope.decrypt(&message, &context)?, line);
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor); the buffer is empty then.
    pub async fn encrypt_into(
        &self,
        plaintext: impl AsRef<[u8]>,
        options: impl ToEncryptOptions,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let plaintext = plaintext.as_ref();
        let asked = async {
            let options = options.to_options()?;
            Ok((options, self.inner.keys.supply.for_message(plaintext.len()).await?))
        };
        match asked.await {
            Ok((options, minted)) => seal(self.engine, &minted, plaintext, &options, out),
            // Only now: bytes in the buffer are written over, and those of an emptied one would be
            // set to zero first, which is a pass over memory for nothing.
            Err(error) => {
                out.clear();
                Err(error)
            }
        }
    }

    /// Encrypts many messages that fit memory, each under a data key of its own; the keys are
    /// wrapped together, hundreds in one call.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let messages = envelope.encrypt_many(["one", "two"], [("kind", "line")])?;
    /// assert_eq!(envelope.decrypt(&messages[1], [("kind", "line")])?, "two");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`encryptor`](Self::encryptor), the first one of any message; nothing is returned then.
    pub async fn encrypt_many<P: AsRef<[u8]>>(
        &self,
        plaintexts: impl IntoIterator<Item = P>,
        options: impl ToEncryptOptions,
    ) -> Result<Vec<Vec<u8>>> {
        let options = options.to_options()?;
        let plaintexts: Vec<_> = plaintexts.into_iter().collect();
        self.encrypt_all(&plaintexts, |plaintext| (plaintext.as_ref(), &*options)).await
    }

    /// As [`encrypt_many`](Self::encrypt_many), each with options of its own.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let rows = [("1", "first"), ("2", "second")];
    /// let messages = envelope.encrypt_many_with(rows.map(|(id, text)| (text, [("row", id)])))?;
    /// assert_eq!(envelope.decrypt(&messages[1], [("row", "2")])?, "second");
    /// assert!(envelope.decrypt(&messages[1], [("row", "1")]).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn encrypt_many_with<P: AsRef<[u8]>, O: ToEncryptOptions>(
        &self,
        messages: impl IntoIterator<Item = (P, O)>,
    ) -> Result<Vec<Vec<u8>>> {
        let (plaintexts, options): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let messages: Vec<_> = plaintexts.into_iter().zip(all_options(&options)?).collect();
        self.encrypt_all(&messages, |(plaintext, options)| (plaintext.as_ref(), options)).await
    }

    async fn encrypt_all<'i, T>(
        &self,
        items: &'i [T],
        of: impl Fn(&'i T) -> (&'i [u8], &'i EncryptOptions),
    ) -> Result<Vec<Vec<u8>>> {
        let supply = &self.inner.keys.supply;
        let mut messages = Vec::with_capacity(items.len());
        if supply.reuses() {
            for (plaintext, options) in items.iter().map(of) {
                let mut out = Vec::new();
                self.encrypt_into(plaintext, options, &mut out).await?;
                messages.push(out);
            }
            return Ok(messages);
        }
        for (part, taken) in in_parts(items, |part| supply.ask(part.len())) {
            for (item, taken) in part.iter().zip(taken) {
                let ((plaintext, options), mut out) = (of(item), Vec::new());
                seal(self.engine, &*supply.wait(taken).await?, plaintext, options, &mut out)?;
                messages.push(out);
            }
        }
        Ok(messages)
    }

    /// Rewraps keys under the newest version of the key-encryption key that each is wrapped under,
    /// through the recipient that has that key. No data key is visible here; up to 256 go
    /// through one call. One that is refused does not stop the others.
    ///
    /// ```
    /// use ncp_envelope::format::Header;
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let old = Header::decode(&message)?.slots().slots().to_vec();
    /// for new in envelope.rewrap_keys(&old) {
    ///     assert_eq!(new?.key_id(), envelope.key_id());
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Each key has its own: those of the wrapper, and
    /// [`KeyNotAllowed`](crate::ErrorKind::KeyNotAllowed) for one under a key that no recipient
    /// has.
    pub async fn rewrap_keys(&self, keys: &[WrappedKey]) -> Vec<Result<WrappedKey>> {
        self.inner.keys.rewrap(keys).await
    }

    /// The version of the key that `wrapped` is under, where the wrapper of its recipient tells.
    pub(crate) fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        self.inner.keys.key_version(wrapped)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.inner.scope
    }

    /// Wraps a data key that exists under the keys of those recipients: all of them, or none.
    pub(crate) async fn wrap_existing(
        &self,
        key: &DataKey,
        under: &[KeyId],
    ) -> Result<Vec<WrappedKey>> {
        self.inner.keys.wrap(key, under).await
    }

    /// Wipes every data key in memory, for all envelopes that share the cache: those in it, and
    /// those kept for writing. Those that are in a call are wiped when it comes back, and those
    /// that a caller uses at this moment when it is done.
    ///
    /// ```
    /// use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let limits = CacheLimits::new(std::time::Duration::from_secs(300));
    /// # let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// # let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(envelope.stats().cache.keys, 1);
    /// envelope.forget_keys();
    /// assert_eq!(envelope.stats().cache.keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn forget_keys(&self) {
        self.inner.keys.cache().forget_keys();
    }

    /// Wipes every data key wrapped under the key-encryption key `tag`, as after it was disabled,
    /// for all envelopes that share the cache. The next use of one calls the key service.
    ///
    /// ```
    /// use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let limits = CacheLimits::new(std::time::Duration::from_secs(300));
    /// # let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// # let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(envelope.stats().cache.keys, 1);
    /// envelope.invalidate("offline");
    /// assert_eq!(envelope.stats().cache.keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn invalidate(&self, tag: &str) {
        self.inner.keys.cache().invalidate(tag);
    }

    /// Wipes every data key wrapped under a version of `tag` below `version`, for all envelopes
    /// that share the cache; keeps no such key from now on, and writes no message with one.
    ///
    /// ```
    /// # #[cfg(all(feature = "kms", feature = "emulator"))] {
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # use ncp_envelope::{CacheLimits, DecryptPolicy, EncryptionContext, Envelope};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let tag = emulator.key_tag();
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let limits = CacheLimits::new(std::time::Duration::from_secs(300));
    /// # let envelope = Envelope::builder(client.key(tag)?).cache(limits).build()?.blocking();
    /// # let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(envelope.stats().cache.keys, 1);
    /// // The key was rotated, and what version 1 wrapped was rewrapped.
    /// envelope.retire_below(tag, 2);
    /// assert_eq!(envelope.stats().cache.keys, 0);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn retire_below(&self, tag: &str, version: u32) {
        self.inner.keys.cache().retire_below(tag, version);
    }

    /// What cache, pool and calls did so far.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.encrypt_many(["one", "two", "three"], EncryptionContext::new())?;
    /// assert_eq!((envelope.stats().wrap.keys, envelope.stats().wrap.calls), (3, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn stats(&self) -> EnvelopeStats {
        self.inner.keys.stats()
    }
}

/// The options of many messages; an error says which one's.
fn all_options<O: ToEncryptOptions>(options: &[O]) -> Result<Vec<Cow<'_, EncryptOptions>>> {
    let whose = |at| format!("message {at} of the batch");
    let options = options.iter().enumerate();
    options.map(|(at, each)| each.to_options().map_err(|error| error.of(whose(at)))).collect()
}

fn encryptor(engine: Engine, minted: &Minted, options: &EncryptOptions) -> Result<Encryptor> {
    let slots = SlotTable::new(minted.slots.clone())?;
    let bound =
        BoundHeader::new(options.layout, &options.context, !options.aad.is_empty(), &slots)?;
    Encryptor::on(engine.backend, &minted.key, &bound, &slots, &options.aad)
}

fn seal(
    engine: Engine,
    minted: &Minted,
    plaintext: &[u8],
    options: &EncryptOptions,
    out: &mut Vec<u8>,
) -> Result<()> {
    format::seal(
        engine,
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
            .field("recipients", &self.inner.keys.wrappers().collect::<Vec<_>>())
            .field("scope", &self.inner.scope)
            .finish_non_exhaustive()
    }
}
