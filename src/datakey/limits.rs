//! Limits of the cache, the pool and of reuse.
//!
//! Every value is valid: values above a maximum are clamped to it, and zero turns the feature off.

use std::time::Duration;

const DEFAULT_MAX_KEYS: usize = 1_000;
const DEFAULT_POOL: usize = 4_096;
const MOST_POOLED: usize = 1 << 20;
/// Well below the 2^45 messages of 1 GiB at which random salts become a matter.
const MOST_MESSAGES: u64 = 1 << 32;
const MOST_BYTES: u64 = 1 << 60;
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Limits of a cache of unwrapped data keys: time to live, refresh, stale window and size.
///
/// ```
/// use ncp_envelope::{CacheLimits, KeyCache};
/// use std::time::Duration;
///
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let limits = CacheLimits::new(minutes(10)) // expires after 10 minutes
///     .with_idle(minutes(2)) //                 or after 2 without use
///     .with_refresh_after(minutes(5)) //        refreshed in the background, while in use
///     .with_stale_window(minutes(60)) //        served for another hour if unreachable
///     .with_max_keys(10_000);
/// let cache = KeyCache::new(limits)?;
/// assert_eq!(cache.stats().keys, 0);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CacheLimits {
    pub(crate) ttl: Duration,
    pub(crate) idle: Option<Duration>,
    pub(crate) refresh_after: Option<Duration>,
    pub(crate) stale: Duration,
    pub(crate) max_keys: usize,
}

impl CacheLimits {
    /// Caches a key for at most `ttl`, counted from before the call that unwrapped it, and at most
    /// 1,000 keys. At most a year; zero caches nothing.
    ///
    /// There is no default: the time to live is how long a key stays usable after the service would
    /// refuse it. Each key expires up to 10 % early (jitter), so that keys that were loaded
    /// together are not unwrapped again together. A key takes about 1.7 KiB.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = CacheLimits::new(Duration::from_secs(300));
    /// let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(envelope.stats().cache.hits, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl: ttl.min(LONGEST),
            idle: None,
            refresh_after: None,
            stale: Duration::ZERO,
            max_keys: DEFAULT_MAX_KEYS,
        }
    }

    /// Caches at most this many keys, none with 0. The least recently used key is evicted.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = CacheLimits::new(Duration::from_secs(300)).with_max_keys(1);
    /// let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// for note in ["one", "two"] {
    ///     let message = envelope.encrypt(note, [("kind", "note")])?;
    ///     envelope.decrypt(&message, DecryptPolicy::new())?;
    /// }
    /// assert_eq!((envelope.stats().cache.keys, envelope.stats().cache.evicted), (1, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Drops a key that was not used for this long; with zero, right after its use.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = CacheLimits::new(Duration::from_secs(300)).with_idle(Duration::ZERO);
    /// let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!(envelope.stats().cache.misses, 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle.min(LONGEST));
        self
    }

    /// Refreshes a key that is used at this age or later, in the background and in single flight.
    /// While the service answers, a key in use never expires. If the service denies the key, it is
    /// dropped at once; if the service is unreachable, the key stays until it expires. An age of at
    /// least the time to live has no effect.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # use std::time::Duration;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = CacheLimits::new(Duration::from_secs(300)).with_refresh_after(Duration::ZERO);
    /// let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// assert_eq!((envelope.stats().cache.hits, envelope.stats().cache.refreshes), (1, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_refresh_after(mut self, age: Duration) -> Self {
        self.refresh_after = Some(age);
        self
    }

    /// Keeps an expired key for this long, a year at most. Such a stale key is used only if the
    /// service was called and was unreachable or too busy.
    ///
    /// Off by default, since it extends what [`new`](Self::new) limits. For decryption only. A
    /// denial by the service ends it at once, for all keys under the same key-encryption key.
    ///
    /// ```
    /// # #[cfg(all(feature = "kms", feature = "emulator"))] {
    /// # use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # use ncp_envelope::{CacheLimits, DecryptPolicy, Envelope, blocking::wait};
    /// # use std::time::Duration;
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let key = client.max_attempts(1).build()?.key(emulator.key_tag())?;
    /// let limits = CacheLimits::new(Duration::from_secs(2));
    /// let limits = limits.with_stale_window(Duration::from_secs(3600));
    /// let envelope = Envelope::builder(key).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// envelope.decrypt(&message, DecryptPolicy::new())?;
    /// wait(emulator.inject(Fault::new(FaultKind::Refused)))??;
    /// while envelope.stats().cache.stale_hits == 0 {
    ///     envelope.decrypt(&message, DecryptPolicy::new())?; // never fails
    /// }
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_stale_window(mut self, window: Duration) -> Self {
        self.stale = window.min(LONGEST);
        self
    }

    /// Whether any key is cached.
    pub(crate) fn keeps(&self) -> bool {
        !self.ttl.is_zero() && self.max_keys > 0
    }
}

/// Limits of a pool of data keys that are ready for writing.
///
/// Keys are generated and wrapped ahead of need, hundreds in one call to the service; their number
/// follows the demand. Each is used for one message, then wiped. While the service is unreachable,
/// the ready keys are used until they expire.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// use ncp_envelope::PoolLimits;
///
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let limits = PoolLimits::new(std::time::Duration::from_secs(60)).with_max_keys(10_000);
/// let envelope = Envelope::builder(wrapper).pool(limits).build()?.blocking();
/// for _ in 0..100 {
///     envelope.encrypt("hello", [("kind", "note")])?;
/// }
/// assert!(envelope.stats().wrap.calls < 100);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PoolLimits {
    pub(crate) max_age: Duration,
    pub(crate) max_keys: usize,
}

impl PoolLimits {
    /// Keys expire at `max_age`, at most a year; at most 4,096 are ready. With zero there is no
    /// pool.
    ///
    /// There is no default: this is how long messages are still written after the service would
    /// refuse to wrap a key.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, PoolLimits};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = PoolLimits::new(std::time::Duration::from_secs(60));
    /// let envelope = Envelope::builder(wrapper).pool(limits).build()?.blocking();
    /// envelope.encrypt("hello", [("kind", "note")])?;
    /// let pool = envelope.stats().pool;
    /// assert!(pool.ready + pool.coming > 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(max_age: Duration) -> Self {
        Self { max_age: max_age.min(LONGEST), max_keys: DEFAULT_POOL }
    }

    /// Keeps at most this many keys ready, 1,048,576 at most; fewer if fewer are used. With 0 there
    /// is no pool. A key takes about 500 bytes.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, PoolLimits};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = PoolLimits::new(std::time::Duration::from_secs(60)).with_max_keys(8);
    /// let envelope = Envelope::builder(wrapper).pool(limits).build()?.blocking();
    /// envelope.encrypt("hello", [("kind", "note")])?;
    /// assert!(envelope.stats().pool.ready <= 8);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys.min(MOST_POOLED);
        self
    }

    /// Whether there is a pool.
    pub(crate) fn keeps(&self) -> bool {
        !self.max_age.is_zero() && self.max_keys > 0
    }
}

/// Limits within which messages may share a data key when writing.
///
/// For [`encrypt`](crate::Envelope::encrypt), `encrypt_into` and `encrypt_many`, whose length is
/// known in advance; streams and files always have a data key of their own. A message is as safe
/// under a shared data key as under its own, since its message key is derived with a random salt.
/// But anyone who obtains the data key of one message can read all messages that share it.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// use ncp_envelope::ReuseLimits;
///
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let limits = ReuseLimits::new(std::time::Duration::from_secs(60))
///     .with_max_messages(1_000)
///     .with_max_bytes(1 << 30);
/// let envelope = Envelope::builder(wrapper).reuse(limits).build()?.blocking();
/// for _ in 0..100 {
///     envelope.encrypt("hello", [("kind", "note")])?;
/// }
/// assert_eq!(envelope.stats().pool.reused, 99);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReuseLimits {
    pub(crate) max_age: Duration,
    pub(crate) max_messages: u64,
    pub(crate) max_bytes: u64,
}

impl ReuseLimits {
    /// Uses a data key for at most `max_age`, 2^20 messages and 2^40 bytes of plaintext. At most a
    /// year; with zero each message has a key of its own.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, ReuseLimits};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = ReuseLimits::new(std::time::Duration::from_secs(60));
    /// let envelope = Envelope::builder(wrapper).reuse(limits).build()?.blocking();
    /// envelope.encrypt("one", [("kind", "note")])?;
    /// envelope.encrypt("two", [("kind", "note")])?;
    /// assert_eq!((envelope.stats().pool.taken, envelope.stats().pool.reused), (1, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(max_age: Duration) -> Self {
        Self { max_age: max_age.min(LONGEST), max_messages: 1 << 20, max_bytes: 1 << 40 }
    }

    /// Uses a data key for at most this many messages, 2^32 at most. With 0 each message has a key
    /// of its own.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, ReuseLimits};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = ReuseLimits::new(std::time::Duration::from_secs(60)).with_max_messages(2);
    /// let envelope = Envelope::builder(wrapper).reuse(limits).build()?.blocking();
    /// for note in ["one", "two", "three"] {
    ///     envelope.encrypt(note, [("kind", "note")])?;
    /// }
    /// assert_eq!((envelope.stats().pool.taken, envelope.stats().pool.reused), (2, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_max_messages(mut self, messages: u64) -> Self {
        self.max_messages = messages.min(MOST_MESSAGES);
        self
    }

    /// Uses a data key for at most this many bytes of plaintext, 2^60 at most. A longer message has
    /// a data key of its own.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, ReuseLimits};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let limits = ReuseLimits::new(std::time::Duration::from_secs(60)).with_max_bytes(8);
    /// let envelope = Envelope::builder(wrapper).reuse(limits).build()?.blocking();
    /// envelope.encrypt("five!", [("kind", "note")])?;
    /// envelope.encrypt("five!", [("kind", "note")])?; // ten bytes are too many for one key
    /// assert_eq!(envelope.stats().pool.reused, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes.min(MOST_BYTES);
        self
    }

    /// Whether messages share keys.
    pub(crate) fn shares(&self) -> bool {
        !self.max_age.is_zero() && self.max_messages > 0 && self.max_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn more_than_the_most_is_the_most() {
        let cache = CacheLimits::new(Duration::MAX)
            .with_idle(Duration::MAX)
            .with_stale_window(Duration::MAX)
            .with_max_keys(usize::MAX);
        assert_eq!((cache.ttl, cache.idle, cache.stale), (LONGEST, Some(LONGEST), LONGEST));
        let pool = PoolLimits::new(Duration::MAX).with_max_keys(usize::MAX);
        assert_eq!((pool.max_age, pool.max_keys), (LONGEST, MOST_POOLED));
        let reuse =
            ReuseLimits::new(Duration::MAX).with_max_messages(u64::MAX).with_max_bytes(u64::MAX);
        assert_eq!(
            (reuse.max_age, reuse.max_messages, reuse.max_bytes),
            (LONGEST, MOST_MESSAGES, MOST_BYTES)
        );
        assert!(cache.keeps() && pool.keeps() && reuse.shares());
    }

    #[test]
    fn nothing_keeps_nothing() {
        assert!(!CacheLimits::new(Duration::ZERO).keeps());
        assert!(!CacheLimits::new(SECOND).with_max_keys(0).keeps());
        assert!(!PoolLimits::new(Duration::ZERO).keeps());
        assert!(!PoolLimits::new(SECOND).with_max_keys(0).keeps());
        assert!(!ReuseLimits::new(Duration::ZERO).shares());
        assert!(!ReuseLimits::new(SECOND).with_max_messages(0).shares());
        assert!(!ReuseLimits::new(SECOND).with_max_bytes(0).shares());
    }
}
