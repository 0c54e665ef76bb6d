//! What cache, pool, batches and recipients count. Plain numbers, and the names of the recipients'
//! keys; nothing else of any key.

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

    /// For what is a level and not a count.
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
        /// The numbers are read one after another while work goes on, so they need not fit each
        /// other exactly.
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
    /// What a cache of unwrapped data keys did. All fields but `keys` are counts since it was made.
    CacheStats, CacheCounters,
    /// Keys in it now.
    keys,
    /// Look-ups that found a key within its time.
    hits,
    /// Look-ups answered with a key past its time, within the stale window, because the service
    /// could not be reached.
    stale_hits,
    /// Look-ups that found nothing and asked the service.
    misses,
    /// Look-ups that found an unwrap of the same key in flight and waited for it (single flight).
    joins,
    /// Look-ups refused at once because the service had refused the same key less than a second
    /// before.
    refused_again,
    /// Unwraps in the background for keys in use.
    refreshes,
    /// Keys dropped at the end of their time.
    expired,
    /// Keys dropped because nobody used them.
    idle,
    /// Keys dropped because there was no room.
    crowded_out,
    /// Keys dropped because the service denied them, or one of their family.
    denied,
    /// Keys dropped because the caller said so.
    forgotten,
    /// Keys dropped because they did not open the message they were loaded for.
    wrong,
}

counters! {
    /// Calls to the key service of one kind. All fields are sums since the envelope was built, but
    /// for the largest.
    BatchStats, BatchCounters,
    /// Calls made.
    calls,
    /// Calls that failed.
    failed_calls,
    /// Keys that came back from calls that succeeded. Divided by `calls - failed_calls`: keys for
    /// each call.
    keys,
    /// Most keys in one call.
    largest,
    /// Batches cut into parts and tried again, because the service refused them whole.
    splits,
    /// Microseconds that all calls took together, from leaving the queue to the answer.
    micros,
}

impl BatchStats {
    /// Those of several services as one.
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
    pub fn keys_per_call(&self) -> f64 {
        self.keys as f64 / (self.calls.saturating_sub(self.failed_calls)).max(1) as f64
    }

    /// Mean time of a call, waiting for its turn under the client's rate limit included.
    pub fn mean_latency(&self) -> Duration {
        Duration::from_micros(self.micros / self.calls.max(1))
    }
}

counters! {
    /// Data keys for writing. All fields but the first two are counts since the envelope was built.
    PoolStats, PoolCounters,
    /// Keys ready now.
    ready,
    /// Keys on their way now.
    coming,
    /// Keys taken, each for one message or to be reused.
    taken,
    /// Times a caller found none ready and had to wait.
    dry,
    /// Keys wiped unused because they became too old.
    too_old,
    /// Keys wiped unused because the caller said so.
    forgotten,
    /// Messages written under a data key that had been used before.
    reused,
}

/// What one recipient of an [`Envelope`](crate::Envelope) was asked when messages were read.
///
/// The fields are counts since the envelope was built. They are read one after another while work
/// goes on, so they need not fit each other exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipientStats {
    /// The key-encryption key.
    pub key: KeyId,
    /// Data keys that it was asked to unwrap. A key from the cache is not asked for, and those who
    /// need the same key at the same time ask once.
    pub asked: u64,
    /// Those that it gave.
    pub opened: u64,
    /// Those that it could not be asked for: its service was out of reach or too busy.
    pub outages: u64,
    /// Those that it denied: the key-encryption key is disabled, or not for this caller. A read
    /// that another recipient served all the same counts here too.
    pub denials: u64,
    /// Reads in which another recipient was asked before it, or in its place, because its service
    /// was out of reach shortly before.
    pub passed_over: u64,
    /// Reads in which another one was asked later and answered sooner.
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
    /// What became of a key that was asked for.
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

/// What an [`Envelope`](crate::Envelope) and its clones did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EnvelopeStats {
    /// Unwrapped keys for reading; those of all who share the cache.
    pub cache: CacheStats,
    /// Keys for writing.
    pub pool: PoolStats,
    /// Calls that wrap, those of all recipients together.
    pub wrap: BatchStats,
    /// Calls that unwrap, those that verify what was wrapped not among them.
    pub unwrap: BatchStats,
    /// Calls that rewrap.
    pub rewrap: BatchStats,
    /// What each recipient was asked when messages were read, in the order of the builder.
    pub recipients: Vec<RecipientStats>,
}
