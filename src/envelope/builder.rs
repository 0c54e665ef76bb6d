//! How an envelope is set up.

use crate::context::Scope;
use crate::crypto::CipherBackend;
use crate::datakey::{CacheLimits, KeyCache, KeySettings, Keys, PoolLimits, ReuseLimits};
use crate::envelope::handle::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Engine, MAX_SLOTS};
use crate::suite::SUITE;
use crate::wrap::{Binding, KeyId, KeyWrapper};
use std::sync::Arc;
use std::time::Duration;

/// The hedge delay unless set: longer than a healthy service takes for nearly all calls, and short
/// for a caller.
const HEDGE_DELAY: Duration = Duration::from_millis(100);

impl Envelope {
    /// Starts from a key wrapper: [`LocalKeyWrapper`](crate::LocalKeyWrapper), a key of the KMS
    /// client, or one of your own. [`and`](EnvelopeBuilder::and) adds others.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?;
    /// assert_eq!(envelope.key_id().to_string(), "offline");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn builder(wrapper: impl KeyWrapper + 'static) -> EnvelopeBuilder {
        EnvelopeBuilder {
            wrappers: vec![Arc::new(wrapper)],
            scope: Scope::default(),
            cache: Cache::None,
            pool: None,
            reuse: None,
            verify: false,
            hedge: HEDGE_DELAY,
            cipher: None,
        }
    }
}

/// Builds an [`Envelope`].
///
/// ```
/// use ncp_envelope::{CacheLimits, DataKey, Envelope, LocalKeyWrapper, PoolLimits};
/// use std::time::Duration;
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper)
///     .scope("tenant-42")
///     .cache(CacheLimits::new(Duration::from_secs(300)))
///     .pool(PoolLimits::new(Duration::from_secs(60)))
///     .build()?;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct EnvelopeBuilder {
    wrappers: Vec<Arc<dyn KeyWrapper>>,
    scope: Scope,
    cache: Cache,
    pool: Option<PoolLimits>,
    reuse: Option<ReuseLimits>,
    verify: bool,
    hedge: Duration,
    /// None for the process's choice.
    cipher: Option<CipherBackend>,
}

#[derive(Debug)]
enum Cache {
    None,
    Own(CacheLimits),
    Shared(KeyCache, String),
}

impl EnvelopeBuilder {
    /// Adds a recipient: every message is also encrypted for this key, and each key alone opens it.
    /// At most 16, and no two with the same [`KeyId`](crate::KeyId).
    ///
    /// Use it for a key in another region, to read through an outage; for an offline recovery key;
    /// or while one key replaces another.
    ///
    /// **Writing** calls all key services at the same time and needs all of them: a message is
    /// written for every recipient or not at all, and the error names the recipient that failed.
    ///
    /// **Reading** needs one. A cached key of any recipient is used first. Otherwise the recipients
    /// are tried in this builder's order, each one when the one before it failed or took longer
    /// than the [hedge delay](Self::hedge_delay). A recipient whose service was unreachable, or
    /// was overtaken, is tried last for the next 10 seconds, or until it answers. A denial evicts
    /// the cached keys under that key, and [`RecipientStats`](crate::RecipientStats) counts it even
    /// if another recipient served the read.
    ///
    /// Anyone who holds one of the keys can read everything: protect a recovery key as well as the
    /// others.
    ///
    /// A reader whose envelope has fewer recipients than messages have slots may have to raise
    /// [`DecryptPolicy::max_slots`](crate::DecryptPolicy::max_slots).
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// let wrapper = |id: &str, key| LocalKeyWrapper::new(id, key);
    /// let (daily, recovery) = (DataKey::generate()?, DataKey::generate()?);
    /// let both = Envelope::builder(wrapper("daily", &daily)?)
    ///     .and(wrapper("recovery", &recovery)?)
    ///     .build()?;
    /// let message = both.encrypt(b"hello", EncryptOptions::new()).await?;
    /// let later = Envelope::builder(wrapper("recovery", &recovery)?).build()?;
    /// assert_eq!(later.decrypt(&message, &DecryptPolicy::new()).await?, b"hello");
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    pub fn and(mut self, wrapper: impl KeyWrapper + 'static) -> Self {
        self.wrappers.push(Arc::new(wrapper));
        self
    }

    /// How long a read waits for one recipient's service before it also calls the next one's; 100
    /// ms unless set. The first data key that opens the message is used, and the other calls are no
    /// longer waited for.
    ///
    /// A longer delay makes fewer calls; a shorter one hides a slow service better. With zero, all
    /// recipients are called at once. [`decrypt_many`](Envelope::decrypt_many) waits once for many
    /// messages, not for each.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// use std::time::Duration;
    /// let wrapper = |id: &str| LocalKeyWrapper::new(id, &DataKey::generate()?);
    /// let envelope = Envelope::builder(wrapper("korea")?)
    ///     .and(wrapper("japan")?)
    ///     .hedge_delay(Duration::from_millis(250))
    ///     .build()?;
    /// assert_eq!(envelope.key_ids().len(), 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn hedge_delay(mut self, delay: Duration) -> Self {
        self.hedge = delay;
        self
    }

    /// What the data keys are for; see [`Scope`]. Without it the empty scope is used.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let notes = Envelope::builder(wrapper.clone()).scope("notes").build()?.blocking();
    /// let mails = Envelope::builder(wrapper).scope("mails").build()?.blocking();
    /// let message = notes.encrypt("hello", EncryptionContext::new())?;
    /// assert!(mails.decrypt(&message, DecryptPolicy::new()).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Keeps unwrapped data keys in memory within these limits, so that reading many messages under
    /// one data key, or one message many times, makes one call. Without it no key is kept, but
    /// concurrent readers of one key still share a call (single flight).
    ///
    /// ```
    /// use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = CacheLimits::new(Duration::from_secs(300));
    /// let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// for _ in 0..3 {
    ///     envelope.decrypt(&message, DecryptPolicy::new())?;
    /// }
    /// let stats = envelope.stats();
    /// assert_eq!((stats.cache.hits, stats.unwrap.calls), (2, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn cache(mut self, limits: CacheLimits) -> Self {
        self.cache = Cache::Own(limits);
        self
    }

    /// Keeps unwrapped data keys in a cache that others use too. Keys are shared with those of the
    /// same `partition`, scope and endpoint zone; see [`KeyCache`] for what that means.
    ///
    /// ```
    /// use ncp_envelope::{CacheLimits, DataKey, Envelope, KeyCache, LocalKeyWrapper};
    /// use std::time::Duration;
    /// let cache = KeyCache::new(CacheLimits::new(Duration::from_secs(300)))?;
    /// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let web = Envelope::builder(wrapper.clone()).shared_cache(&cache, "web").build()?;
    /// let jobs = Envelope::builder(wrapper).shared_cache(&cache, "jobs").build()?;
    /// // Wipes the keys of both.
    /// web.forget_keys();
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn shared_cache(mut self, cache: &KeyCache, partition: impl Into<String>) -> Self {
        self.cache = Cache::Shared(cache.clone(), partition.into());
        self
    }

    /// Keeps data keys for writing ready, made and wrapped ahead of need. Without it each is made
    /// when it is needed.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper, PoolLimits};
    /// use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = PoolLimits::new(Duration::from_secs(60));
    /// let envelope = Envelope::builder(wrapper).pool(limits).build()?.blocking();
    /// envelope.encrypt("hello", EncryptionContext::new())?;
    /// let pool = envelope.stats().pool;
    /// assert_eq!(pool.taken, 1);
    /// assert!(pool.ready + pool.coming > 0, "the next ones are ready, or on their way");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn pool(mut self, limits: PoolLimits) -> Self {
        self.pool = Some(limits);
        self
    }

    /// Uses one data key for many small messages. Without it each message has its own.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper, ReuseLimits};
    /// use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = ReuseLimits::new(Duration::from_secs(60));
    /// let envelope = Envelope::builder(wrapper).reuse(limits).build()?.blocking();
    /// for note in ["one", "two", "three"] {
    ///     envelope.encrypt(note, EncryptionContext::new())?;
    /// }
    /// assert_eq!(envelope.stats().wrap.keys, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn reuse(mut self, limits: ReuseLimits) -> Self {
        self.reuse = Some(limits);
        self
    }

    /// Has every batch of wrapped keys unwrapped again and compared before one of them is used: one
    /// more call for each batch, and no message that turns out to be unreadable because the key
    /// service wrapped something else. Off unless set.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).verify_wrapped(true).build()?.blocking();
    /// // The data key was unwrapped again before the message was encrypted.
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// assert_eq!(envelope.decrypt(&message, [("kind", "note")])?, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn verify_wrapped(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// The library that encrypts and decrypts chunks. Messages are the same with each.
    ///
    /// If this is not called, [`CipherBackend::chosen`] decides.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).cipher(CipherBackend::AwsLc).build()?;
    /// # assert_eq!(envelope.cipher(), CipherBackend::AwsLc);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn cipher(mut self, backend: CipherBackend) -> Self {
        self.cipher = Some(backend);
        self
    }

    /// The envelope.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, ErrorKind, LocalKeyWrapper};
    /// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let twice = Envelope::builder(wrapper.clone()).and(wrapper);
    /// assert_eq!(twice.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if there are more than 16
    /// recipients, or two with the same key.
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the system has no thread for wiping
    /// expired keys.
    pub fn build(self) -> Result<Envelope> {
        let recipients = recipients(&self.wrappers)?;
        let (cache, partition) = match self.cache {
            Cache::None => (KeyCache::none(), String::new()),
            Cache::Own(limits) => (KeyCache::new(limits)?, String::new()),
            Cache::Shared(cache, partition) => (cache, partition),
        };
        let settings = KeySettings {
            cache,
            partition: partition.into_bytes(),
            pool: self.pool,
            reuse: self.reuse,
            verify: self.verify,
            hedge: self.hedge,
        };
        let keys = Keys::new(self.wrappers, Binding::message(SUITE, &self.scope), settings)?;
        let backend = self.cipher.map_or_else(CipherBackend::chosen, Ok)?;
        Ok(Envelope::new(recipients, self.scope, keys, Engine { backend, threads: 1 }))
    }
}

/// The recipients' keys, if these can be together.
fn recipients(wrappers: &[Arc<dyn KeyWrapper>]) -> Result<Arc<[KeyId]>> {
    let refused = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
    if wrappers.len() > MAX_SLOTS {
        let count = wrappers.len();
        return refused(format!("an envelope has at most {MAX_SLOTS} recipients, not {count}"));
    }
    let keys: Arc<[KeyId]> = wrappers.iter().map(|wrapper| wrapper.key_id().clone()).collect();
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].contains(key) {
            let provider = key.provider();
            return refused(format!(
                "two recipients have the same key {key} ({provider}): give each key once"
            ));
        }
    }
    Ok(keys)
}
