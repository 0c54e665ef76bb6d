//! The time the emulator believes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that a test can move. Clones share one time, so a test keeps one and gives the other to
/// the emulator.
///
/// ```
/// use ncp_envelope::emulator::EmulatorClock;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
/// let seen_by_the_emulator = clock.clone();
/// clock.advance(Duration::from_secs(300));
/// assert_eq!(seen_by_the_emulator.now(), UNIX_EPOCH + Duration::from_secs(1_700_000_300));
/// ```
#[derive(Debug, Clone)]
pub struct EmulatorClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Milliseconds since the Unix epoch; `None` follows the system.
    fixed: Option<i64>,
    offset: AtomicI64,
}

impl EmulatorClock {
    /// A clock that follows the system's.
    pub fn system() -> Self {
        Self(Arc::new(Inner { fixed: None, offset: AtomicI64::new(0) }))
    }

    /// A clock that stands still at `at`, to the millisecond, until it is moved.
    pub fn fixed(at: SystemTime) -> Self {
        Self(Arc::new(Inner { fixed: Some(millis(at)), offset: AtomicI64::new(0) }))
    }

    /// Moves the clock forward, to the millisecond.
    pub fn advance(&self, by: Duration) {
        self.shift(by_millis(by));
    }

    /// Moves the clock back, to the millisecond.
    pub fn rewind(&self, by: Duration) {
        self.shift(-by_millis(by));
    }

    /// The time it shows.
    pub fn now(&self) -> SystemTime {
        let now = self.unix_millis();
        let distance = Duration::from_millis(now.unsigned_abs());
        let moved = if now >= 0 {
            UNIX_EPOCH.checked_add(distance)
        } else {
            UNIX_EPOCH.checked_sub(distance)
        };
        moved.unwrap_or(UNIX_EPOCH)
    }

    /// Whether time passes by itself.
    pub(crate) fn runs(&self) -> bool {
        self.0.fixed.is_none()
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn unix_millis(&self) -> i64 {
        let base = self.0.fixed.unwrap_or_else(|| millis(SystemTime::now()));
        base.saturating_add(self.0.offset.load(Ordering::Relaxed))
    }

    fn shift(&self, by: i64) {
        // The closure always gives a value, so there is no failure to look at.
        let _ = self.0.offset.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |offset| {
            Some(offset.saturating_add(by))
        });
    }
}

impl Default for EmulatorClock {
    fn default() -> Self {
        Self::system()
    }
}

fn millis(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => by_millis(after),
        Err(before) => -by_millis(before.duration()),
    }
}

fn by_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_both_ways_and_never_overflows() {
        let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(5));
        clock.rewind(Duration::from_millis(7));
        assert_eq!(clock.unix_millis(), -2);
        assert_eq!(clock.now(), UNIX_EPOCH - Duration::from_millis(2));
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.unix_millis(), i64::MAX);
    }
}
