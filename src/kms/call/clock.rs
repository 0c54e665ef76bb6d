//! The clock that calls are signed with: the system clock, corrected after the service refused a
//! timestamp.
//!
//! Promises: only a date that is far from the timestamp that was sent changes the clock, and never
//! by more than two days. Which responses may correct the clock is decided elsewhere. It knows
//! nothing of credentials.

use crate::error::{Error, ErrorKind, Result};
use crate::process::PerProcess;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A timestamp this far from the service's date counts as the reason of a refusal. The service
/// refuses 5 minutes; the rest is for dates in whole seconds and for servers that differ a little.
const REFUSED: i64 = 270_000;
/// The largest correction: a day for a wrong date or time zone, and a day of margin. A clock that
/// is further off is not used to sign.
const LARGEST: i64 = 48 * 3_600_000;
/// A step of the system clock that differs less than this from the correction means that the system
/// clock was corrected.
const SAME: i64 = 30_000;

/// A clock. All times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Clock {
    system: fn() -> SystemTime,
    learned: PerProcess<Mutex<Option<Learned>>>,
}

#[derive(Debug, Clone, Copy)]
struct Learned {
    offset: i64,
    /// The system clock and the steady clock when the offset was learned.
    system: i64,
    steady: Instant,
}

impl Clock {
    pub(crate) fn new(system: fn() -> SystemTime) -> Self {
        Self { system, learned: PerProcess::each(Mutex::default) }
    }

    /// The time to sign with.
    pub(crate) fn now(&self) -> Result<u64> {
        self.at(Instant::now())
    }

    /// Learns from a refusal of the timestamp `sent` whose response had the date `date`. Returns
    /// whether a retry with a new signature may help.
    pub(crate) fn learn(&self, sent: u64, date: SystemTime) -> bool {
        self.learn_at(sent, date, Instant::now())
    }

    fn at(&self, steady: Instant) -> Result<u64> {
        let system = self.system()?;
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = match *learned {
            None => 0,
            Some(Learned { offset, system: then, steady: since }) => {
                let step = system - then - millis(steady.saturating_duration_since(since));
                // The system clock was corrected meanwhile, so the correction would now make it
                // wrong.
                if step.abs_diff(offset) < SAME.unsigned_abs() {
                    *learned = None;
                    0
                } else {
                    offset
                }
            }
        };
        u64::try_from(system + offset).map_err(|_| before_1970())
    }

    fn learn_at(&self, sent: u64, date: SystemTime, steady: Instant) -> bool {
        let (Ok(system), Some(date), Ok(sent)) =
            (self.system(), since_1970(date), i64::try_from(sent))
        else {
            return false;
        };
        let offset = date - system;
        if sent.abs_diff(date) < REFUSED.unsigned_abs() || offset.abs() > LARGEST {
            return false;
        }
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Learned { offset, system, steady });
        true
    }

    fn system(&self) -> Result<i64> {
        since_1970((self.system)()).ok_or_else(before_1970)
    }
}

fn since_1970(time: SystemTime) -> Option<i64> {
    // A third of the range, so that sums of what passes cannot overflow.
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis())
        .ok()
        .filter(|time| *time < i64::MAX / 3)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 3)
}

fn before_1970() -> Error {
    Error::new(ErrorKind::Internal, "the system's clock is before 1970 or beyond any date")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const HOUR: u64 = 3_600_000;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_refused_timestamp_puts_the_clock_right() {
        for date in
            [NOW + 24 * HOUR, NOW - 24 * HOUR, NOW + 300_000, NOW - 300_000, NOW + 48 * HOUR]
        {
            let clock = Clock::new(|| at(NOW));
            let steady = Instant::now();
            assert_eq!(clock.at(steady).unwrap(), NOW);
            assert!(clock.learn_at(NOW, at(date), steady), "{date}");
            assert_eq!(clock.at(steady).unwrap(), date);
            // What is refused once more was refused for another reason.
            assert!(!clock.learn_at(date, at(date), steady));
            assert_eq!(clock.at(steady).unwrap(), date);
        }
    }

    #[test]
    fn dates_that_do_not_explain_a_refusal_change_nothing() {
        for date in [NOW, NOW + 269_000, NOW - 269_000, NOW + 49 * HOUR, 0] {
            let clock = Clock::new(|| at(NOW));
            assert!(!clock.learn_at(NOW, at(date), Instant::now()), "{date}");
            assert_eq!(clock.now().unwrap(), NOW);
        }
        let clock = Clock::new(|| at(NOW));
        assert!(!clock.learn_at(NOW, UNIX_EPOCH - Duration::from_secs(1), Instant::now()));
        assert!(!clock.learn_at(u64::MAX, at(NOW), Instant::now()));
        assert!(Clock::new(|| UNIX_EPOCH - Duration::from_secs(1)).now().is_err());
    }

    #[test]
    fn a_system_clock_that_was_put_right_needs_no_correction() {
        static SYSTEM: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(NOW);
        let set = |millis| SYSTEM.store(millis, std::sync::atomic::Ordering::Relaxed);
        let clock = Clock::new(|| at(SYSTEM.load(std::sync::atomic::Ordering::Relaxed)));
        let steady = Instant::now();
        assert!(clock.learn_at(NOW, at(NOW + 24 * HOUR), steady));
        // An hour on, and an hour of sleep in which only the system's clock went on.
        set(NOW + HOUR);
        let later = steady + Duration::from_millis(HOUR);
        assert_eq!(clock.at(later).unwrap(), NOW + 25 * HOUR);
        set(NOW + 2 * HOUR);
        assert_eq!(clock.at(later).unwrap(), NOW + 26 * HOUR);
        // The time service stepped in.
        set(NOW + 25 * HOUR + 5_000);
        assert_eq!(clock.at(later).unwrap(), NOW + 25 * HOUR + 5_000);
        set(NOW + 26 * HOUR);
        assert_eq!(clock.at(later).unwrap(), NOW + 26 * HOUR);
    }
}
