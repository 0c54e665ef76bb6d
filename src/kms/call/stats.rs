//! What a client counts. Plain numbers, without names, tags or anything else of the calls.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counts of what a [`Client`](crate::kms::Client) and its clones did since it was built.
        ///
        /// The counters are read one after another while calls continue, so they may not match each
        /// other exactly.
        ///
        /// ```
        /// # #[cfg(feature = "emulator")] {
        /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
        /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
        /// # let emulator = Emulator::builder().start_blocking()?;
        /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
        /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
        /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
        /// # let key = client.key(emulator.key_tag())?;
        /// # wait(async {
        /// key.encrypt(b"hello").await?;
        /// let stats = client.stats();
        /// assert_eq!((stats.calls, stats.attempts, stats.retries), (1, 1, 0));
        /// # Ok::<(), ncp_envelope::Error>(())
        /// # })??;
        /// # }
        /// # Ok::<(), ncp_envelope::Error>(())
        /// ```
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
    /// Calls started, without token refreshes.
    calls,
    /// Calls that ended with an error, without cancelled ones.
    failed_calls,
    /// Requests sent, with those for tokens.
    attempts,
    /// Retries after a backoff.
    retries,
    /// Retries that were not made because the retry budget was spent.
    retries_denied,
    /// Retries at once because the server had closed an idle connection.
    dropped_connections,
    /// Attempts that the service throttled.
    throttled,
    /// Attempts that waited for the rate limit.
    queue_waits,
    /// Attempts not made because the queue was full or the deadline too close.
    queue_refusals,
    /// Times the circuit breaker opened, or stayed open after a failed probe.
    breaker_opens,
    /// Times it closed again.
    breaker_closes,
    /// Calls that failed at once because it was open.
    breaker_refusals,
    /// Clock corrections by the service's date.
    clock_corrections,
    /// Token refreshes.
    refreshes,
    /// Those that failed.
    failed_refreshes,
    /// Token sets that the account issued after others were refused; they count as refreshes too.
    issued_sets,
    /// Times the client used tokens that another program had stored.
    found_tokens,
    /// Times new tokens could not be stored. They are used all the same.
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
