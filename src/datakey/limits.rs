//! How long, how many, how often.
//!
//! Every value means something, so none can be wrong: more than the most counts as the most, and
//! nothing, of whatever it is, keeps nothing.

use std::time::Duration;

const DEFAULT_MAX_KEYS: usize = 1_000;
const DEFAULT_POOL: usize = 4_096;
const MOST_POOLED: usize = 1 << 20;
/// Well below the 2^45 messages of 1 GiB at which random salts become a matter.
const MOST_MESSAGES: u64 = 1 << 32;
const MOST_BYTES: u64 = 1 << 60;
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// How long unwrapped data keys may be kept for reading, and how many.
///
/// ```
/// use ncp_envelope::CacheLimits;
/// use std::time::Duration;
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let limits = CacheLimits::new(minutes(10)) // gone after 10 minutes, whatever happens
///     .with_idle(minutes(2)) //                 or after 2 without use
///     .with_refresh_after(minutes(5)) // asked for again in the background, while in use
///     .with_stale_window(minutes(60)) // good for another hour while the service is out of reach
///     .with_max_keys(10_000);
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
    /// Keeps a key for at most `ttl`, counted from before the service was asked for it; and at most
    /// 1,000 keys. More than a year counts as a year, and zero keeps no key.
    ///
    /// There is no default time: it is how long a key stays usable here after the service would
    /// refuse it. Each key goes up to a tenth of the time earlier, by chance, so that keys that
    /// came together are not asked for together. A key with what is derived from it takes about 2
    /// KiB.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl: ttl.min(LONGEST),
            idle: None,
            refresh_after: None,
            stale: Duration::ZERO,
            max_keys: DEFAULT_MAX_KEYS,
        }
    }

    /// Keeps at most this many keys, none with 0; the one used least recently goes first.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Drops a key that nobody has used for this long; with zero, as soon as it was used.
    #[must_use]
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle.min(LONGEST));
        self
    }

    /// Asks the service again for a key that is used after this much of its time, in the background
    /// and once. While the service agrees, a key in use is never waited for; when it denies the
    /// key, the key is gone at once; when it cannot be reached, the key stays until its time. An
    /// age of the time to live or more is never reached.
    #[must_use]
    pub fn with_refresh_after(mut self, age: Duration) -> Self {
        self.refresh_after = Some(age);
        self
    }

    /// Keeps a key for this long past its time, a year at most, and hands it out then only if the
    /// service was asked and could not be reached or was too busy.
    ///
    /// Off unless set, as it lengthens what [`new`](Self::new) limits. For decryption only. A
    /// denial by the service ends it at once, for all keys under the same key-encryption key.
    #[must_use]
    pub fn with_stale_window(mut self, window: Duration) -> Self {
        self.stale = window.min(LONGEST);
        self
    }

    /// Whether any key is kept.
    pub(crate) fn keeps(&self) -> bool {
        !self.ttl.is_zero() && self.max_keys > 0
    }
}

/// How many data keys are kept ready for writing, and for how long.
///
/// Keys are made and wrapped ahead of need, hundreds in one call to the service, as many as the
/// demand seen so far asks for. Each is used for one message, then wiped. While the service cannot
/// be reached, the keys that are ready go on being used within their age.
///
/// ```
/// use ncp_envelope::PoolLimits;
/// let limits = PoolLimits::new(std::time::Duration::from_secs(60)).with_max_keys(10_000);
/// ```
#[derive(Debug, Clone)]
pub struct PoolLimits {
    pub(crate) max_age: Duration,
    pub(crate) max_keys: usize,
}

impl PoolLimits {
    /// Uses no key that was made longer than `max_age` ago, and keeps at most 4,096 ready. More
    /// than a year counts as a year; with zero no key is kept ready.
    ///
    /// There is no default age: it is how long messages go on being written after the service would
    /// refuse to wrap.
    pub fn new(max_age: Duration) -> Self {
        Self { max_age: max_age.min(LONGEST), max_keys: DEFAULT_POOL }
    }

    /// Keeps at most this many keys ready, and never more than 1,048,576; fewer are kept where
    /// fewer are used, and none with 0. A key takes about 500 bytes.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys.min(MOST_POOLED);
        self
    }

    /// Whether any key is kept ready.
    pub(crate) fn keeps(&self) -> bool {
        !self.max_age.is_zero() && self.max_keys > 0
    }
}

/// How long one data key may be used for many messages when writing.
///
/// For [`encrypt`](crate::Envelope::encrypt), `encrypt_into` and `encrypt_many`, whose length is
/// known beforehand; streams and files have a data key of their own in any case. A message is as
/// safe under a shared data key as under its own, since its own key is derived from a random salt;
/// but whoever obtains the data key of one message can read all that share it.
///
/// ```
/// use ncp_envelope::ReuseLimits;
/// let limits = ReuseLimits::new(std::time::Duration::from_secs(60))
///     .with_max_messages(1_000)
///     .with_max_bytes(1 << 30);
/// ```
#[derive(Debug, Clone)]
pub struct ReuseLimits {
    pub(crate) max_age: Duration,
    pub(crate) max_messages: u64,
    pub(crate) max_bytes: u64,
}

impl ReuseLimits {
    /// Uses a data key for at most `max_age`, for 2^20 messages and for 2^40 bytes of plaintext.
    /// More than a year counts as a year; with zero each message has a key of its own.
    pub fn new(max_age: Duration) -> Self {
        Self { max_age: max_age.min(LONGEST), max_messages: 1 << 20, max_bytes: 1 << 40 }
    }

    /// Uses it for at most this many messages, and never for more than 2^32. With 0 each message
    /// has a key of its own.
    #[must_use]
    pub fn with_max_messages(mut self, messages: u64) -> Self {
        self.max_messages = messages.min(MOST_MESSAGES);
        self
    }

    /// Uses it for at most this many bytes of plaintext, and never for more than 2^60. A message
    /// that is longer has a data key of its own.
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
