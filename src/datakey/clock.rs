//! Time and chance, which tests put others in place of.

use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) now: fn() -> Instant,
    /// Uniform over all of `u64`. Spreads expiries, and protects nothing.
    pub(crate) random: fn() -> u64,
    /// Whether `now` is the machine's clock, so that the reaper can be asked to come at a time.
    pub(crate) real: bool,
}

impl Source {
    pub(crate) const REAL: Self = Self { now: Instant::now, random, real: !cfg!(shuttle) };

    /// `span` less up to a tenth, so that keys that came together do not go together.
    pub(crate) fn jittered(&self, span: Duration) -> Duration {
        let tenth = u64::try_from(span.as_nanos() / 10).unwrap_or(u64::MAX);
        let part = (u128::from(tenth) * u128::from((self.random)())) >> 64;
        span - Duration::from_nanos(u64::try_from(part).unwrap_or(tenth))
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness there is no jitter, and nothing else is lost.
    let _ = crate::secret::random(&mut bytes);
    u64::from_ne_bytes(bytes)
}
