//! The way of an attempt through the gate: circuit breaker, queue, circuit breaker again; and what
//! is said to whom it is closed.
//!
//! Promises: a call that may not be made is told so at once, and without a request. This module
//! knows nothing of what is sent.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::call::breaker::Change;
use crate::kms::call::client::Inner;
use crate::kms::call::gate::Admission;
use crate::kms::call::limit::{Denied, Limiter, Place};
use crate::kms::call::observe;
use crate::kms::call::outage::Outage;
use crate::kms::call::request::{Call, Plan};
use std::time::Duration;

impl Inner {
    /// Waits until an attempt may be made, or says why none may.
    pub(crate) async fn enter<'a>(
        &'a self,
        call: &Call<'a>,
        plan: Plan,
        limiter: Option<&'a Limiter>,
    ) -> Result<(Admission<'a>, Option<Place<'a>>)> {
        let closed = |left: Duration| {
            self.counters.breaker_refusals.add();
            let next = match left {
                Duration::ZERO => "one call is on its way to see whether it is back".to_owned(),
                left => format!("no call is sent for another {} ms", left.as_millis().max(1)),
            };
            Error::new(
                ErrorKind::Unavailable,
                format!("{call}: the key service failed many times in a row; {next}"),
            )
        };
        // Before the queue, so that nobody waits for nothing, and after it, because the wait may
        // have been long.
        if let Some(left) = self.gate.refuses(call.tag) {
            return Err(closed(left));
        }
        let place = match limiter {
            None => None,
            Some(limiter) if plan.urgent => Some(limiter.jump()),
            Some(limiter) => match limiter.enter(plan.deadline).await {
                Ok((place, waited)) => {
                    if waited {
                        self.counters.queue_waits.add();
                    }
                    Some(place)
                }
                Err(denied) => {
                    self.counters.queue_refusals.add();
                    return Err(self.not_in_turn(call, denied));
                }
            },
        };
        let admission = self.gate.admit(call.tag).map_err(closed)?;
        Ok((admission, place))
    }

    pub(crate) fn report(&self, admission: Admission<'_>, outage: Outage) {
        match admission.report(outage) {
            Change::Nothing => {}
            Change::Opened => {
                self.counters.breaker_opens.add();
                observe::breaker_opened();
            }
            Change::Closed => {
                self.counters.breaker_closes.add();
                observe::breaker_closed();
            }
        }
    }

    fn not_in_turn(&self, call: &Call<'_>, denied: Denied) -> Error {
        let why = match denied {
            Denied::QueueFull => {
                "too many calls wait for their turn under the rate limit already".to_owned()
            }
            Denied::TooLate => format!(
                "its turn under the rate limit does not come within {:?}, the time for a call",
                self.call_timeout
            ),
        };
        Error::new(ErrorKind::Throttled, format!("{call}: not sent: {why}"))
    }

    pub(crate) fn late(&self, call: &Call<'_>) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("{call}: no success within {:?}, the time for a call", self.call_timeout),
        )
    }
}
