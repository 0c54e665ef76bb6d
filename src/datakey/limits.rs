//! How long, how many, how often.

use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

const DEFAULT_MAX_KEYS: usize = 1_000;
const DEFAULT_POOL: usize = 4_096;
const MOST_POOLED: usize = 1 << 20;
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
    /// Keeps a key for at most `ttl`, which is more than zero and at most a year, counted from
    /// before the service was asked for it; and at most 1,000 keys.
    ///
    /// There is no default time: it is how long a key stays usable here after the service would
    /// refuse it. Each key goes up to a tenth of the time earlier, by chance, so that keys that
    /// came together are not asked for together. A key with what is derived from it takes about 2
    /// KiB.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            idle: None,
            refresh_after: None,
            stale: Duration::ZERO,
            max_keys: DEFAULT_MAX_KEYS,
        }
    }

    /// Keeps at most this many keys; the one used least recently goes first.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Drops a key that nobody has used for this long.
    #[must_use]
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Asks the service again for a key that is used after this much of its time, in the background
    /// and once. While the service agrees, a key in use is never waited for; when it denies the
    /// key, the key is gone at once; when it cannot be reached, the key stays until its time.
    #[must_use]
    pub fn with_refresh_after(mut self, age: Duration) -> Self {
        self.refresh_after = Some(age);
        self
    }

    /// Keeps a key for this long past its time, and hands it out then only if the service was asked
    /// and could not be reached or was too busy.
    ///
    /// Off unless set, as it lengthens what [`new`](Self::new) limits. For decryption only. A
    /// denial by the service ends it at once, for all keys under the same key-encryption key.
    #[must_use]
    pub fn with_stale_window(mut self, window: Duration) -> Self {
        self.stale = window;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let odd = |time: Duration| time.is_zero() || time > LONGEST;
        if odd(self.ttl) || self.max_keys == 0 {
            return Err(invalid(
                "a cache needs a time to live of more than zero and at most a year, and room for \
                 at least one key",
            ));
        }
        if self.idle.is_some_and(odd) || self.refresh_after.is_some_and(odd) || self.stale > LONGEST
        {
            return Err(invalid(
                "a cache's idle time and refresh age are more than zero, and none of its times is \
                 longer than a year",
            ));
        }
        if self.refresh_after.is_some_and(|age| age >= self.ttl) {
            return Err(invalid("a cache's refresh age has to be less than its time to live"));
        }
        Ok(())
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
    /// Uses no key that was made longer than `max_age` ago, which is more than zero and at most a
    /// year, and keeps at most 4,096 ready.
    ///
    /// There is no default age: it is how long messages go on being written after the service would
    /// refuse to wrap.
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, max_keys: DEFAULT_POOL }
    }

    /// Keeps at most this many keys ready, 1 to 1,048,576; fewer are kept where fewer are used. A
    /// key takes about 500 bytes.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.max_age.is_zero()
            || self.max_age > LONGEST
            || !(1..=MOST_POOLED).contains(&self.max_keys)
        {
            return Err(invalid(
                "a pool needs a key age of more than zero and at most a year, and room for 1 to \
                 1,048,576 keys",
            ));
        }
        Ok(())
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
    /// Uses a data key for at most `max_age`, which is more than zero and at most a year, for 2^20
    /// messages and for 2^40 bytes of plaintext.
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, max_messages: 1 << 20, max_bytes: 1 << 40 }
    }

    /// Uses it for at most this many messages, 1 to 2^32.
    #[must_use]
    pub fn with_max_messages(mut self, messages: u64) -> Self {
        self.max_messages = messages;
        self
    }

    /// Uses it for at most this many bytes of plaintext, 1 to 2^60. A message that is longer has a
    /// data key of its own.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        // Well below the 2^45 messages of 1 GiB at which random salts become a matter.
        let fits =
            (1..=1 << 32).contains(&self.max_messages) && (1..=1 << 60).contains(&self.max_bytes);
        if self.max_age.is_zero() || self.max_age > LONGEST || !fits {
            return Err(invalid(
                "a data key is reused for more than zero time and at most a year, for 1 to 2^32 \
                 messages, and for 1 to 2^60 bytes",
            ));
        }
        Ok(())
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_limits_are_refused() {
        let second = Duration::from_secs(1);
        let cache = |ttl| CacheLimits::new(ttl);
        assert!(cache(second).with_max_keys(usize::MAX).check().is_ok());
        for odd in [
            cache(Duration::ZERO),
            cache(Duration::MAX),
            cache(second).with_max_keys(0),
            cache(second).with_idle(Duration::ZERO),
            cache(second).with_refresh_after(second),
            cache(second).with_stale_window(Duration::MAX),
        ] {
            assert_eq!(odd.check().unwrap_err().kind(), ErrorKind::InvalidInput, "{odd:?}");
        }
        for odd in [
            PoolLimits::new(Duration::ZERO),
            PoolLimits::new(second).with_max_keys(0),
            PoolLimits::new(second).with_max_keys(1 << 21),
        ] {
            assert!(odd.check().is_err(), "{odd:?}");
        }
        for odd in [
            ReuseLimits::new(Duration::ZERO),
            ReuseLimits::new(second).with_max_messages(0),
            ReuseLimits::new(second).with_max_messages(1 << 33),
            ReuseLimits::new(second).with_max_bytes(0),
        ] {
            assert!(odd.check().is_err(), "{odd:?}");
        }
        assert!(
            ReuseLimits::new(second).check().is_ok() && PoolLimits::new(second).check().is_ok()
        );
    }
}
