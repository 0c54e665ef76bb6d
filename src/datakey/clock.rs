//! Time and chance, which tests put others in place of.

use crate::random::{fraction, number};
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
        span - fraction(span / 10, (self.random)())
    }
}

fn random() -> u64 {
    // Without randomness there is no jitter, and nothing else is lost.
    number().unwrap_or_default()
}
