//! Statistics of cache, pool, batches and recipients: plain numbers and the ids of the recipients'
//! keys, and no secret.

use crate::datakey::failure::Failure;
use crate::datakey::sync::atomic::{AtomicU64, Ordering};
use crate::error::Error;
use crate::wrap::KeyId;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.by(1);
    }

    pub(crate) fn by(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn at_least(&self, value: usize) {
        self.0.fetch_max(value as u64, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[doc = $about:literal])+ $public:ident, $private:ident,
        $($(#[doc = $doc:literal])+ $name:ident,)+) => {
        $(#[doc = $about])+
        ///
        /// The numbers are read one after another while calls are in flight, so they may not match
        /// each other exactly.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct $public {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(crate) struct $private {
            $(pub(crate) $name: Counter,)+
        }

        impl $private {
            pub(crate) fn stats(&self) -> $public {
                $public { $($name: self.$name.read(),)+ }
            }
        }
    };
}

counters! {
    /// What a cache of unwrapped data keys did. All fields but `keys` are counts since it was
    /// created.
    ///
    /// ```
    /// # use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let limits = CacheLimits::new(std::time::Duration::from_secs(300));
    /// # let envelope = Envelope::builder(wrapper).cache(limits).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// for _ in 0..10 {
    ///     envelope.decrypt(&message, DecryptPolicy::new())?;
    /// }
    /// let cache = envelope.stats().cache;
    /// assert_eq!((cache.misses, cache.hits, cache.keys), (1, 9, 1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    CacheStats, CacheCounters,
    /// Keys in the cache now.
    keys,
    /// Lookups that found a fresh key.
    hits,
    /// Lookups answered with a stale key because the service was unreachable.
    stale_hits,
    /// Lookups that found no key and called the service.
    misses,
    /// Lookups that found an unwrap of the same key in flight and waited for it (single flight).
    joins,
    /// Lookups refused at once because the service had refused the same key less than a second
    /// before.
    refused_again,
    /// Refreshes in the background.
    refreshes,
    /// Keys dropped because they expired.
    expired,
    /// Keys dropped because they were not used for the idle time.
    idle,
    /// Keys evicted because the cache was full.
    evicted,
    /// Keys dropped because the service denied them, or another key of the same key-encryption key.
    denied,
    /// Keys dropped by the caller.
    forgotten,
    /// Keys dropped because they did not open the message they were loaded for.
    wrong,
}

counters! {
    /// Calls to the key service of one kind. All fields but `largest` are sums since the envelope
    /// was built.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.encrypt_many(&["one", "two", "three"], [("kind", "note")])?;
    /// let wrap = envelope.stats().wrap;
    /// assert_eq!((wrap.calls, wrap.keys, wrap.largest), (1, 3, 3));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    BatchStats, BatchCounters,
    /// Calls made.
    calls,
    /// Calls that failed.
    failed_calls,
    /// Keys of calls that succeeded.
    keys,
    /// The most keys in one call.
    largest,
    /// Batches split and retried because the service refused them.
    splits,
    /// Microseconds of all calls together, from leaving the queue to the answer.
    micros,
}

impl BatchStats {
    /// The sum over several services.
    pub(crate) fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            calls: sum.calls + one.calls,
            failed_calls: sum.failed_calls + one.failed_calls,
            keys: sum.keys + one.keys,
            largest: sum.largest.max(one.largest),
            splits: sum.splits + one.splits,
            micros: sum.micros + one.micros,
        })
    }

    /// Mean number of keys in a call that succeeded.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.encrypt_many(&["one", "two", "three"], [("kind", "note")])?;
    /// envelope.encrypt("four", [("kind", "note")])?;
    /// assert_eq!(envelope.stats().wrap.keys_per_call(), 2.0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn keys_per_call(&self) -> f64 {
        self.keys as f64 / (self.calls.saturating_sub(self.failed_calls)).max(1) as f64
    }

    /// Mean latency of a call, including the wait for the client's rate limit.
    ///
    /// ```
    /// use ncp_envelope::BatchStats;
    /// use std::time::Duration;
    ///
    /// let mut stats = BatchStats::default();
    /// (stats.calls, stats.micros) = (4, 10_000);
    /// assert_eq!(stats.mean_latency(), Duration::from_micros(2_500));
    /// ```
    pub fn mean_latency(&self) -> Duration {
        Duration::from_micros(self.micros / self.calls.max(1))
    }
}

counters! {
    /// Data keys for writing. All fields but the first two are counts since the envelope was built.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.encrypt("hello", [("kind", "note")])?;
    /// let pool = envelope.stats().pool;
    /// // Without a pool every message waits for its data key.
    /// assert_eq!((pool.taken, pool.dry, pool.ready), (1, 1, 0));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    PoolStats, PoolCounters,
    /// Keys ready now.
    ready,
    /// Keys being wrapped now.
    coming,
    /// Keys taken, each for one message or to be reused.
    taken,
    /// Times a caller found no key ready and had to wait.
    dry,
    /// Keys wiped unused because they expired.
    too_old,
    /// Keys wiped unused because the caller dropped them.
    forgotten,
    /// Messages written under a data key that had been used before.
    reused,
}

/// Unwraps by one recipient of an [`Envelope`](crate::Envelope) when messages are read.
///
/// The fields are counts since the envelope was built. They are read one after another while calls
/// are in flight, so they may not match each other exactly.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
/// let first = LocalKeyWrapper::new("first", &DataKey::generate()?)?;
/// let second = LocalKeyWrapper::new("second", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(first).and(second).build()?.blocking();
/// let message = envelope.encrypt("hello", [("kind", "note")])?;
/// envelope.decrypt(&message, DecryptPolicy::new())?;
/// let opened: Vec<_> = envelope.stats().recipients.iter().map(|one| one.opened).collect();
/// assert_eq!(opened, [1, 0]);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipientStats {
    /// The key-encryption key.
    pub key: KeyId,
    /// Unwraps requested. Cached keys need none, and concurrent requests of the same key count once
    /// (single flight).
    pub asked: u64,
    /// Unwraps that succeeded.
    pub opened: u64,
    /// Unwraps that failed because the service was unreachable or too busy.
    pub outages: u64,
    /// Unwraps that the service denied: the key-encryption key is disabled, or not for this caller.
    /// They count even if another recipient served the read.
    pub denials: u64,
    /// Reads that called another recipient first, or instead, because this one's service was
    /// unreachable shortly before.
    pub passed_over: u64,
    /// Reads in which another recipient was called later and answered sooner.
    pub overtaken: u64,
}

#[derive(Debug, Default)]
pub(crate) struct RecipientCounters {
    pub(crate) asked: Counter,
    opened: Counter,
    outages: Counter,
    denials: Counter,
    pub(crate) passed_over: Counter,
    pub(crate) overtaken: Counter,
}

impl RecipientCounters {
    /// Counts the outcome of an unwrap.
    pub(crate) fn unwrapped<T>(&self, outcome: Option<Result<T, &Error>>) {
        match outcome.map(|outcome| outcome.map_err(|error| Failure::of(error.kind()))) {
            Some(Ok(_)) => self.opened.add(),
            Some(Err(Failure::Outage)) => self.outages.add(),
            Some(Err(Failure::OfFamily)) => self.denials.add(),
            Some(Err(Failure::Own | Failure::OfKey)) | None => {}
        }
    }

    pub(crate) fn stats(&self, key: &KeyId) -> RecipientStats {
        RecipientStats {
            key: key.clone(),
            asked: self.asked.read(),
            opened: self.opened.read(),
            outages: self.outages.read(),
            denials: self.denials.read(),
            passed_over: self.passed_over.read(),
            overtaken: self.overtaken.read(),
        }
    }
}

/// Statistics of an [`Envelope`](crate::Envelope) and its clones.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt("hello", [("kind", "note")])?;
/// envelope.decrypt(&message, DecryptPolicy::new())?;
/// let stats = envelope.stats();
/// assert_eq!((stats.wrap.calls, stats.unwrap.calls), (1, 1));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EnvelopeStats {
    /// Unwrapped keys for reading, of all envelopes that share the cache.
    pub cache: CacheStats,
    /// Keys for writing.
    pub pool: PoolStats,
    /// Calls that wrap, of all recipients together.
    pub wrap: BatchStats,
    /// Calls that unwrap, without those that verify wrapped keys.
    pub unwrap: BatchStats,
    /// Calls that rewrap.
    pub rewrap: BatchStats,
    /// Unwraps by each recipient, in the order of the builder.
    pub recipients: Vec<RecipientStats>,
}
