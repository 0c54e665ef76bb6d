//! The emulator's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that a test can move. Clones share one time: a test keeps one and gives the other to the
/// emulator.
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
    /// Milliseconds since the Unix epoch; `None` follows the system clock.
    fixed: Option<i64>,
    offset: AtomicI64,
}

impl EmulatorClock {
    /// A clock that follows the system's.
    ///
    /// ```
    /// use ncp_envelope::emulator::EmulatorClock;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let clock = EmulatorClock::system();
    /// clock.advance(Duration::from_secs(3600));
    /// assert!(clock.now() > SystemTime::now());
    /// ```
    pub fn system() -> Self {
        Self(Arc::new(Inner { fixed: None, offset: AtomicI64::new(0) }))
    }

    /// A clock that stands still at `at`, to the millisecond, until it is moved.
    ///
    /// ```
    /// # use ncp_envelope::emulator::EmulatorClock;
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    /// assert_eq!(EmulatorClock::fixed(at).now(), at);
    /// ```
    pub fn fixed(at: SystemTime) -> Self {
        Self(Arc::new(Inner { fixed: Some(millis(at)), offset: AtomicI64::new(0) }))
    }

    /// Moves the clock forward, to the millisecond.
    ///
    /// ```
    /// # use ncp_envelope::emulator::EmulatorClock;
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// let clock = EmulatorClock::fixed(UNIX_EPOCH);
    /// clock.advance(Duration::from_secs(90));
    /// assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(90));
    /// ```
    pub fn advance(&self, by: Duration) {
        self.shift(by_millis(by));
    }

    /// Moves the clock back, to the millisecond.
    ///
    /// ```
    /// # use ncp_envelope::emulator::EmulatorClock;
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_secs(90));
    /// clock.rewind(Duration::from_secs(60));
    /// assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(30));
    /// ```
    pub fn rewind(&self, by: Duration) {
        self.shift(-by_millis(by));
    }

    /// Sets the clock to `at`, to the millisecond. A fixed clock stands there; one that follows the
    /// system keeps running from there.
    ///
    /// ```
    /// # use ncp_envelope::emulator::EmulatorClock;
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// let (clock, at) = (EmulatorClock::fixed(UNIX_EPOCH), UNIX_EPOCH + Duration::from_secs(7));
    /// clock.set(at);
    /// assert_eq!(clock.now(), at);
    /// ```
    pub fn set(&self, at: SystemTime) {
        self.set_millis(millis(at));
    }

    /// The clock's time.
    ///
    /// ```
    /// # use ncp_envelope::emulator::EmulatorClock;
    /// # use std::time::UNIX_EPOCH;
    /// assert_eq!(EmulatorClock::fixed(UNIX_EPOCH).now(), UNIX_EPOCH);
    /// ```
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
        self.base().saturating_add(self.offset())
    }

    pub(crate) fn set_millis(&self, at: i64) {
        self.0.offset.store(at.saturating_sub(self.base()), Ordering::Relaxed);
    }

    /// The distance from the time at which it was created, or from the system clock, in
    /// milliseconds.
    pub(crate) fn offset(&self) -> i64 {
        self.0.offset.load(Ordering::Relaxed)
    }

    pub(crate) fn set_offset(&self, offset: i64) {
        self.0.offset.store(offset, Ordering::Relaxed);
    }

    fn base(&self) -> i64 {
        self.0.fixed.unwrap_or_else(|| millis(SystemTime::now()))
    }

    fn shift(&self, by: i64) {
        // The closure always returns a value, so this cannot fail.
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

    #[test]
    fn a_set_clock_stands_or_runs_on_from_there() {
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let fixed = EmulatorClock::fixed(UNIX_EPOCH);
        fixed.set(at);
        assert_eq!(fixed.now(), at);
        fixed.advance(Duration::from_millis(1));
        assert_eq!(fixed.unix_millis(), 1_700_000_000_124);
        let running = EmulatorClock::system();
        running.set(at);
        assert!((0..3_600_000).contains(&(running.unix_millis() - 1_700_000_000_123)));
        running.set_millis(i64::MIN);
        assert!(running.unix_millis() < 0);
    }
}
