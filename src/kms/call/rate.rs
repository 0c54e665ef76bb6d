//! The rate limit of a client: as its user sets it, and as it is counted.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::endpoint::Api;

/// Beyond this a rate limits nothing, and sums of durations lose their meaning.
const MAX_RATE: u32 = 100_000;

/// How many calls per second a client makes at most. See
/// [`ClientBuilder::rate_limit`](crate::kms::ClientBuilder::rate_limit).
///
/// ```
/// use ncp_envelope::kms::{Client, Credentials, RateLimit};
/// # let account = Credentials::account("access-key", "secret-key")?;
/// let limit = RateLimit::PerSecond(100);
/// assert!(Client::builder().credentials(account).rate_limit(limit).build().is_ok());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RateLimit {
    /// What the service allows: 200 for all keys together with API 1.0, 300 for each key with API
    /// 2.0.
    #[default]
    Service,
    /// Another number, 1 to 100,000, for all keys together with API 1.0 and for each key with API
    /// 2.0: the share of a client that is not the only one, or a limit agreed with the provider.
    PerSecond(u32),
    /// No limit.
    Off,
}

impl RateLimit {
    /// Refuses a number that is out of its range.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::PerSecond(calls) if !(1..=MAX_RATE).contains(&calls) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a rate limit is 1 to {MAX_RATE} calls in a second"),
            )),
            _ => Ok(()),
        }
    }
}

/// How many calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    Off,
    /// In a second, by all calls together.
    Shared(u32),
    /// In a second, for each key.
    PerKey(u32),
}

impl Rate {
    /// What `limit` means to a client of `api`, which the service counts in its own way.
    pub(crate) fn of(api: Api, limit: RateLimit) -> Result<Self> {
        limit.check()?;
        let calls = match (limit, api) {
            (RateLimit::Off, _) => return Ok(Self::Off),
            (RateLimit::PerSecond(calls), _) => calls,
            (RateLimit::Service, Api::V1) => 200,
            (RateLimit::Service, Api::V2) => 300,
        };
        Ok(match api {
            Api::V1 => Self::Shared(calls),
            Api::V2 => Self::PerKey(calls),
        })
    }
}
