//! How long and how many.

use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

const DEFAULT_MAX_KEYS: usize = 1_000;
const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 3_600);

/// How long unwrapped data keys may be kept, and how many.
///
/// ```
/// use ncp_envelope::CacheLimits;
/// use std::time::Duration;
/// let limits = CacheLimits::new(Duration::from_secs(300)).with_max_keys(10_000);
/// ```
#[derive(Debug, Clone)]
pub struct CacheLimits {
    ttl: Duration,
    max_keys: usize,
}

impl CacheLimits {
    /// Keeps a key for at most `ttl`, which is more than zero and at most a year, counted from before the service was asked for it, and at most 1,000 keys.
    ///
    /// There is no default time: it is how long a key stays usable here after the service would refuse it.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, max_keys: DEFAULT_MAX_KEYS }
    }

    /// Keeps at most this many keys; the one used least recently goes first.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(super) fn max_keys(&self) -> usize {
        self.max_keys
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.ttl.is_zero() || self.ttl > MAX_TTL || self.max_keys == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a cache needs a time to live of more than zero and at most a year, and room for at least one key",
            ));
        }
        Ok(())
    }
}
