//! What a client counts. Plain numbers, without names, tags or anything else of the calls.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a [`Client`](crate::kms::Client) and its clones did since it was built. All fields
        /// are counts.
        ///
        /// The numbers are read one after another while calls go on, so they need not fit each
        /// other exactly.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// The counters behind [`Stats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn stats(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Calls begun, refreshes of tokens not among them.
    calls,
    /// Calls that ended with an error. Those that were dropped are not among them.
    failed_calls,
    /// Requests sent, those for tokens among them.
    attempts,
    /// Attempts that repeated a failed one after a pause.
    retries,
    /// Repetitions that were not made because the client's quota of them was spent.
    retries_denied,
    /// Attempts repeated at once because the server had closed an idle connection.
    dropped_connections,
    /// Attempts that the service refused because there were too many.
    throttled,
    /// Attempts that waited for their turn under the rate limit.
    queue_waits,
    /// Attempts not made because the queue was full or the turn would have come too late.
    queue_refusals,
    /// Times the circuit breaker opened, or stayed open after a failed probe.
    breaker_opens,
    /// Times it closed again.
    breaker_closes,
    /// Calls that failed at once because it was open.
    breaker_refusals,
    /// Times the service's date put the clock right.
    clock_corrections,
    /// Requests for new tokens.
    refreshes,
    /// Those that failed.
    failed_refreshes,
    /// Token sets that the account issued after others were refused; they count as refreshes too.
    issued_sets,
    /// Times the client went on with tokens that another had put into the token store.
    found_tokens,
    /// Times new tokens could not be written to the token store. They are in use nevertheless.
    failed_stores,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name() {
        let counters = Counters::default();
        counters.retries.add();
        counters.retries.add();
        assert_eq!(counters.stats(), Stats { retries: 2, ..Stats::default() });
    }
}
