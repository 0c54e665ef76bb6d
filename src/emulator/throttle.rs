//! Rate limits.
//!
//! Token buckets: each holds the calls of one second and refills evenly. The service documents its
//! rates, but not how it counts.

use crate::emulator::answer::{Generation, Kind, Refusal};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Calls a second. `None` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rates {
    /// API 1.0, all keys together.
    pub(crate) shared: Option<u32>,
    /// API 2.0, each key on its own.
    pub(crate) per_key: Option<u32>,
}

impl Rates {
    /// What the service documents.
    pub(crate) const DOCUMENTED: Self = Self { shared: Some(200), per_key: Some(300) };
    pub(crate) const UNLIMITED: Self = Self { shared: None, per_key: None };
}

pub(crate) struct Throttle {
    rates: Rates,
    buckets: Mutex<HashMap<Option<u64>, Bucket>>,
}

struct Bucket {
    /// In thousandths of a call, so that each millisecond adds the rate.
    level: i64,
    filled_at: i64,
}

impl Throttle {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates, buckets: Mutex::default() }
    }

    /// Fills all buckets.
    pub(crate) fn reset(&self) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a call of `generation` on the key with this id at `now` milliseconds, or refuses it.
    pub(crate) fn take(&self, generation: Generation, key: u64, now: i64) -> Result<(), Refusal> {
        let (rate, bucket) = match generation {
            Generation::One => (self.rates.shared, None),
            Generation::Two => (self.rates.per_key, Some(key)),
        };
        let Some(rate) = rate.map(i64::from) else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(bucket).or_insert(Bucket { level: rate * 1000, filled_at: now });
        // After the clock is set back, nothing is added, and refilling starts from the new time.
        let passed = now.saturating_sub(bucket.filled_at).clamp(0, 1000);
        bucket.level = (bucket.level + passed * rate).min(rate * 1000);
        bucket.filled_at = now;
        if bucket.level < 1000 {
            return Err(Refusal::new(Kind::Throttled, "more calls than the rate limit permits"));
        }
        bucket.level -= 1000;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_one_second_and_fills_evenly() {
        let throttle = Throttle::new(Rates { shared: Some(200), per_key: Some(300) });
        let let_through = |generation, key, now| {
            (0..1_000).take_while(|_| throttle.take(generation, key, now).is_ok()).count()
        };
        assert_eq!(let_through(Generation::One, 1, 0), 200);
        assert_eq!(let_through(Generation::One, 2, 0), 0);
        assert_eq!(let_through(Generation::Two, 1, 0), 300);
        assert_eq!(let_through(Generation::Two, 2, 0), 300);
        assert_eq!(let_through(Generation::One, 1, 4), 0);
        assert_eq!(let_through(Generation::One, 1, 5), 1);
        assert_eq!(let_through(Generation::One, 1, 105), 20);
        assert_eq!(let_through(Generation::One, 1, 99_999), 200);
        assert_eq!(let_through(Generation::One, 1, 0), 0);
        assert_eq!(let_through(Generation::One, 1, 1_000), 200);
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let throttle = Throttle::new(Rates::UNLIMITED);
        assert!((0..10_000).all(|_| throttle.take(Generation::One, 1, 0).is_ok()));
        let none = Throttle::new(Rates { shared: Some(0), per_key: None });
        assert!(none.take(Generation::One, 1, 0).is_err());
    }
}
