//! The retry budget that all calls of a client share.
//!
//! Promises: in a lasting outage the retries of all calls together are bounded by a constant,
//! however many calls there are; while most attempts succeed, no call is denied its retry. This
//! module knows nothing of what is retried, or why.

use std::sync::atomic::{AtomicU32, Ordering};

/// The cost of one retry, and what one success earns, in the same unit: a success pays for half a
/// retry. At 30 % random failures a success comes with 0.43 retries, so the balance still grows; at
/// 34 % and more retries become scarce.
const RETRY: u32 = 2;
const SUCCESS: u32 = 1;
/// The initial retries, which are also the most that are saved up: few enough that 100 calls in an
/// outage cost at most 1.2 requests each even without a circuit breaker.
const SAVED: u32 = 20;

/// A balance of retries.
#[derive(Debug)]
pub(crate) struct Quota(AtomicU32);

impl Default for Quota {
    fn default() -> Self {
        Self(AtomicU32::new(SAVED * RETRY))
    }
}

impl Quota {
    /// Takes one retry, if there is one. It goes back unless it is made.
    pub(crate) fn spend(&self) -> Option<Spent<'_>> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
            balance.checked_sub(RETRY)
        });
        spent.is_ok().then(|| Spent(self))
    }

    /// Notes a success.
    pub(crate) fn earn(&self) {
        self.add(SUCCESS);
    }

    fn add(&self, amount: u32) {
        // Almost always full, and then nothing is written.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
            (balance < SAVED * RETRY).then(|| (balance + amount).min(SAVED * RETRY))
        });
    }
}

/// A retry that is still to be made; if dropped, it goes back to the budget.
#[derive(Debug)]
#[must_use]
pub(crate) struct Spent<'a>(&'a Quota);

impl Spent<'_> {
    /// The retry is made now.
    pub(crate) fn used(self) {
        std::mem::forget(self);
    }
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        self.0.add(RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_spends_what_was_saved_and_no_more() {
        let quota = Quota::default();
        let spend = || quota.spend().map(Spent::used).is_some();
        assert_eq!((0..1_000).filter(|_| spend()).count(), 20);
        quota.earn();
        assert!(!spend());
        quota.earn();
        drop(quota.spend().unwrap());
        assert!(spend() && !spend());
        for _ in 0..1_000 {
            quota.earn();
        }
        assert_eq!((0..1_000).filter(|_| spend()).count(), 20);
    }

    #[test]
    fn random_failures_of_30_percent_never_exhaust_it() {
        let quota = Quota::default();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut fails = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % 100 < 30
        };
        let mut denied = 0;
        for _ in 0..100_000 {
            for attempt in 1..=3 {
                if !fails() {
                    quota.earn();
                    break;
                }
                if attempt < 3 {
                    match quota.spend() {
                        Some(spent) => spent.used(),
                        None => {
                            denied += 1;
                            break;
                        }
                    }
                }
            }
        }
        assert!(denied < 100, "{denied}");
    }
}
