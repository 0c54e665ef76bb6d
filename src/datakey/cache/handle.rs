//! The public handle of a cache.

use crate::datakey::cache::shared::Shared;
use crate::datakey::cache::store::Store;
use crate::datakey::clock::Source;
use crate::datakey::ends::{End, Ends};
use crate::datakey::limits::CacheLimits;
use crate::datakey::reaper;
use crate::datakey::stats::CacheStats;
use crate::error::Result;
use std::fmt;
use std::sync::Arc;

/// A cache of unwrapped data keys that several envelopes can share. Cheap to clone; clones are the
/// same cache.
///
/// An [`Envelope`](crate::Envelope) with [limits](crate::EnvelopeBuilder::cache) has a cache of its
/// own. A shared cache bounds the keys of all its envelopes together. Envelopes that share a cache
/// *and* a partition name use keys that the others unwrapped, without a call to the service: give
/// the same name only to envelopes whose credentials may use the same keys.
///
/// ```
/// use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, KeyCache, LocalKeyWrapper};
///
/// let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
/// # let kek = DataKey::generate()?;
/// let envelope = || -> ncp_envelope::Result<_> {
///     let wrapper = LocalKeyWrapper::new("offline", &kek)?;
///     Ok(Envelope::builder(wrapper).shared_cache(&cache, "readers").build()?.blocking())
/// };
/// let message = envelope()?.encrypt("hello", [("kind", "note")])?;
/// envelope()?.decrypt(&message, DecryptPolicy::new())?;
/// envelope()?.decrypt(&message, DecryptPolicy::new())?;
/// assert_eq!((cache.stats().misses, cache.stats().hits), (1, 1));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyCache(pub(crate) Arc<Shared>);

impl KeyCache {
    /// An empty cache.
    ///
    /// ```
    /// use ncp_envelope::{CacheLimits, KeyCache};
    ///
    /// let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
    /// assert_eq!(cache.stats().keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the thread that wipes expired keys
    /// cannot be started.
    pub fn new(limits: CacheLimits) -> Result<Self> {
        if !limits.keeps() {
            return Ok(Self::none());
        }
        reaper::start()?;
        Ok(Self::with(Some(Store::new(limits)), Source::REAL))
    }

    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self::with(None, Source::REAL)
    }

    pub(crate) fn with(store: Option<Store>, source: Source) -> Self {
        Self(Shared::new(store, source, Arc::default(), Ends::new()))
    }

    /// One that keeps nothing, and shares its calls and invalidations with this one.
    pub(crate) fn beside(&self) -> Self {
        let (driver, ends) = (self.0.driver.clone(), self.0.ends.clone());
        Self(Shared::new(None, self.0.source, driver, ends))
    }

    /// Drops every key, in all partitions: those in the cache, and those that its envelopes have
    /// ready for writing. The results of calls in flight are not cached.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, KeyCache};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// # let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let builder = Envelope::builder(wrapper).shared_cache(&cache, "readers");
    /// # let envelope = builder.build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(cache.stats().keys, 1);
    /// cache.forget_keys();
    /// assert_eq!(cache.stats().keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn forget_keys(&self) {
        self.0.ends.tell(End::All);
    }

    /// Drops every key wrapped under the key-encryption key `tag`, in all partitions and in every
    /// envelope that shares this cache, as after it was disabled. The next use of such a key calls
    /// the service.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, KeyCache};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// # let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let builder = Envelope::builder(wrapper).shared_cache(&cache, "readers");
    /// # let envelope = builder.build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// cache.invalidate("another-key");
    /// assert_eq!(cache.stats().forgotten, 0);
    /// cache.invalidate("offline");
    /// assert_eq!(cache.stats().forgotten, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn invalidate(&self, tag: &str) {
        self.0.ends.tell(End::Key(tag));
    }

    /// Drops every key wrapped under a version of `tag` below `version`, in every envelope that
    /// shares this cache. From now on no such key is cached, each use of one calls the service, and
    /// no message is written with one.
    ///
    /// ```
    /// # #[cfg(all(feature = "kms", feature = "emulator"))] {
    /// # use ncp_envelope::{CacheLimits, DecryptPolicy, Envelope, KeyCache, blocking::wait};
    /// # use ncp_envelope::{emulator::Emulator, kms::{Client, Credentials, Endpoint}};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
    /// # let builder = Envelope::builder(client.key(emulator.key_tag())?);
    /// # let envelope = builder.shared_cache(&cache, "readers").build()?.blocking();
    /// let old = envelope.encrypt("hello", [("kind", "note")])?;
    /// let version = wait(emulator.rotate_key(emulator.key_tag()))??;
    /// cache.retire_below(emulator.key_tag(), version);
    /// envelope.decrypt(&old, DecryptPolicy::new())?;
    /// assert_eq!(cache.stats().keys, 0);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn retire_below(&self, tag: &str, version: u32) {
        self.0.ends.tell(End::Below(tag, version));
    }

    /// What the cache did so far.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, KeyCache};
    /// # use ncp_envelope::LocalKeyWrapper;
    /// # let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let builder = Envelope::builder(wrapper).shared_cache(&cache, "readers");
    /// # let envelope = builder.build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(cache.stats().misses, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn stats(&self) -> CacheStats {
        self.0.stats()
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("stats", &self.stats()).finish()
    }
}
