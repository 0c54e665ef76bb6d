//! Time and randomness, which tests can replace.
//!
//! Promises: keys expire even while the machine sleeps, on systems with a clock that keeps running
//! (Linux, Android and Apple's): a laptop that was closed for a day has no key of the day before.

use crate::random::{fraction, number};
use std::ops::{Add, Sub};
use std::time::Duration;

#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) now: fn() -> Instant,
    /// Uniform over all of `u64`. For jitter only, not for secrets.
    pub(crate) random: fn() -> u64,
    /// Whether `now` is the machine's clock, so that the reaper's timers can be used.
    pub(crate) real: bool,
}

impl Source {
    pub(crate) const REAL: Self = Self { now: Instant::now, random, real: !cfg!(shuttle) };

    /// `span` less up to 10 % (jitter), so that keys that were loaded together do not expire
    /// together.
    pub(crate) fn jittered(&self, span: Duration) -> Duration {
        span - fraction(span / 10, (self.random)())
    }
}

fn random() -> u64 {
    // Without randomness there is no jitter, which is all that is lost.
    number().unwrap_or_default()
}

/// A point in time, as the duration since a fixed one in the past. The standard library's clock
/// stops while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instant(Duration);

impl Instant {
    #[cfg(test)]
    pub(crate) const START: Self = Self(Duration::ZERO);

    pub(crate) fn now() -> Self {
        Self(since_start())
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn since_start() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(not(target_vendor = "apple"))]
    const CLOCK: ClockId = ClockId::Boottime;
    // On Apple's systems this one keeps running during sleep.
    #[cfg(target_vendor = "apple")]
    const CLOCK: ClockId = ClockId::Monotonic;
    let time = clock_gettime(CLOCK);
    let whole = u64::try_from(time.tv_sec).unwrap_or_default();
    let rest = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(whole, rest)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn since_start() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}
