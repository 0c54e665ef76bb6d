//! The attempts of one call: through the gate, to the service, and again after a backoff where a
//! retry is allowed.
//!
//! Promises: no attempt bypasses the circuit breaker or the rate limit; a refused timestamp is
//! corrected once; a retry is paid for from the retry budget; a call that may not be sent fails at
//! once. This module knows nothing of what is sent.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::call::attempt::Attempt;
use crate::kms::call::breaker::Change;
use crate::kms::call::client::{Client, Shared};
use crate::kms::call::gate::{Admission, Entry, NotEntered};
use crate::kms::call::limit::Denied;
use crate::kms::call::observe;
use crate::kms::call::outage::Outage;
use crate::kms::call::quota::Spent;
use crate::kms::call::request::{Call, Pass, Plan};
use crate::kms::call::retry::{self, Class, Failure, Next, Repeat};
use crate::kms::call::transport::Connection;
use crate::random;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// An attempt that had this long without a response when its call timed out counts as a failure of
/// the service.
const TELLING: Duration = Duration::from_secs(1);

impl Client {
    /// Attempts `call` until it succeeds, must not be retried or times out. The error comes with
    /// what was refused.
    pub(crate) async fn attempts(
        &self,
        call: &Call<'_>,
        plan: Plan,
        pass: impl Fn() -> Result<Pass>,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, (Pass, Error)> {
        let shared = &*self.0;
        let no_pass = |error| (Pass::None, error);
        let path = call.options.path.clone().unwrap_or_else(|| self.path(&call.tag, &call.action));
        let url = shared.base.join(&path).map_err(no_pass)?;
        let limiter = shared.gate.limiter(&call.tag);
        let (mut attempts, mut dropped) = (0, 0);
        let mut signed_anew = false;
        let mut connection = match call.options.repeat {
            Repeat::Transient => Connection::Pooled,
            // Whether the service saw what was lost with an idle connection is not known.
            Repeat::Unseen => Connection::Fresh,
        };
        let mut spent: Option<Spent<'_>> = None;
        let mut before = None;
        loop {
            let entry = shared.gate.enter(&call.tag, limiter.as_deref(), plan).await;
            let (admission, place) = match entry {
                Ok(Entry { admission, place, waited }) => {
                    if waited {
                        shared.counters.queue_waits.add();
                    }
                    (admission, place)
                }
                // The failure of the last attempt says more than why there is no other.
                Err(refused) => {
                    let error = not_entered(self, call, refused);
                    return Err(before.unwrap_or((Pass::None, error)));
                }
            };
            let pass = pass().map_err(no_pass)?;
            if let Some(spent) = spent.take() {
                spent.used();
                shared.counters.retries.add();
            }
            attempts += 1;
            shared.counters.attempts.add();
            let begun = Instant::now();
            let end = plan.deadline.min(begun + shared.attempt_timeout);
            let attempt = Attempt { shared, call, url: &url, pass: &pass, connection };
            let outcome = timeout_at(end, attempt.make()).await;
            if let (Some(place), Ok(answer)) = (&place, &outcome) {
                match answer {
                    Err(failure) if failure.error.kind() == ErrorKind::Throttled => {
                        place.refused(failure.wait);
                    }
                    Err(failure) if failure.status.is_none() => {}
                    Ok(_) | Err(_) => place.served(),
                }
            }
            drop(place);
            let failure = match outcome {
                Ok(Ok(body)) => {
                    observe::attempt_ended(attempts, Some(200), None);
                    shared.quota.earn();
                    report(shared, admission, Outage::No);
                    return Ok(body);
                }
                Ok(Err(failure)) => failure,
                Err(_) if end == plan.deadline => {
                    let telling = begun.elapsed() >= TELLING.min(shared.attempt_timeout);
                    report(shared, admission, if telling { Outage::Host } else { Outage::Unknown });
                    return Err((pass, late(self, call)));
                }
                Err(_) => {
                    // The connection may be dead, and the other idle ones with it.
                    connection = Connection::Fresh;
                    slow(shared, call)
                }
            };
            observe::attempt_ended(attempts, failure.status, Some(failure.error.kind()));
            report(shared, admission, failure.outage);
            if failure.error.kind() == ErrorKind::Throttled {
                shared.counters.throttled.add();
            }
            if failure.class == Class::Timestamp && !signed_anew {
                signed_anew = true;
                attempts -= 1;
                shared.counters.clock_corrections.add();
                observe::clock_corrected();
                before = Some((pass, failure.error));
                continue;
            }
            let left = plan.deadline.saturating_duration_since(Instant::now());
            let random = random::number().map_err(no_pass)?;
            // An attempt that found its connection closed does not count.
            let made = if failure.class == Class::Dropped {
                attempts -= 1;
                dropped += 1;
                dropped
            } else {
                attempts
            };
            match retry::next(&shared.policy, call.options.repeat, &failure, made, left, random) {
                Next::Stop => return Err((pass, failure.error)),
                Next::AtOnce => {
                    shared.counters.dropped_connections.add();
                    observe::dropped_connection(attempts);
                }
                Next::After(pause) => {
                    spent = shared.quota.spend();
                    if spent.is_none() {
                        shared.counters.retries_denied.add();
                        observe::retry_denied(attempts);
                        return Err((pass, failure.error));
                    }
                    observe::retry(attempts, pause);
                    tokio::time::sleep(pause).await;
                }
            }
            before = Some((pass, failure.error));
        }
    }
}

fn report(shared: &Shared, admission: Admission<'_>, outage: Outage) {
    match admission.report(outage) {
        Change::Nothing => {}
        Change::Opened => {
            shared.counters.breaker_opens.add();
            observe::breaker_opened();
        }
        Change::Closed => {
            shared.counters.breaker_closes.add();
            observe::breaker_closed();
        }
    }
}

/// The error of a call that the gate does not let through.
pub(crate) fn not_entered(client: &Client, call: &Call<'_>, refused: NotEntered) -> Error {
    let Client(shared) = client;
    match refused {
        NotEntered::Breaker(left) => {
            shared.counters.breaker_refusals.add();
            let next = match left {
                Duration::ZERO => "one call is on its way to see whether it is back".to_owned(),
                left => format!("no call is sent for another {} ms", left.as_millis().max(1)),
            };
            let error = Error::new(
                ErrorKind::Unavailable,
                format!("{call}: the key service failed many times in a row; {next}"),
            );
            // When the probe in flight is answered is not known.
            if left.is_zero() { error } else { error.with_retry_after(left) }
        }
        NotEntered::Queue(denied) => {
            shared.counters.queue_refusals.add();
            let why = match denied {
                Denied::QueueFull => {
                    "too many calls wait for their turn under the rate limit already".to_owned()
                }
                Denied::TooLate(_) => format!(
                    "its turn under the rate limit does not come within {:?}, the call timeout",
                    shared.call_timeout
                ),
            };
            let error = Error::new(ErrorKind::Throttled, format!("{call}: not sent: {why}"));
            match denied {
                Denied::TooLate(Some(at)) => {
                    error.with_retry_after(at.saturating_duration_since(Instant::now()))
                }
                Denied::TooLate(None) | Denied::QueueFull => error,
            }
        }
    }
}

/// The call timed out.
pub(crate) fn late(Client(shared): &Client, call: &Call<'_>) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{call}: no success within {:?}, the call timeout", shared.call_timeout),
    )
}

fn slow(shared: &Shared, call: &Call<'_>) -> Failure {
    let message =
        format!("{call}: the key service did not answer within {:?}", shared.attempt_timeout);
    Failure {
        error: Error::new(ErrorKind::Unavailable, message),
        class: Class::Transient,
        outage: Outage::Host,
        wait: None,
        status: None,
    }
}
