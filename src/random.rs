//! Randomness for jitter: it spreads retries, refreshes and expiries in time. From the operating
//! system's random bytes. Not for secrets.

use crate::error::Result;
use std::time::Duration;

/// A random number, uniform over all of `u64`.
pub(crate) fn number() -> Result<u64> {
    let mut bytes = [0; 8];
    crate::secret::random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Scales `random`, uniform over all of `u64`, to a duration below `bound`.
pub(crate) fn fraction(bound: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(((u128::from(nanos) * u128::from(random)) >> 64) as u64)
}
