//! The attempts of one call: through the gate, to the service, and again after a pause if that is
//! of use.
//!
//! Promises: no attempt is made past the circuit breaker or the rate limit; a refused timestamp is
//! put right once; a repetition is paid for from the quota; whoever may not call is told so at
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

/// An attempt that had this long without an answer when its call ran out of time says something
/// about the service.
const TELLING: Duration = Duration::from_secs(1);

impl Client {
    /// Attempts `call` until it succeeds, must not be repeated or is out of time. With the error
    /// goes what was refused.
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
                // How the last attempt failed says more than why there is no other.
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
            // One that found its connection closed is none of the call's attempts.
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

/// What is said to a call that the gate is closed to.
pub(crate) fn not_entered(client: &Client, call: &Call<'_>, refused: NotEntered) -> Error {
    let Client(shared) = client;
    match refused {
        NotEntered::Breaker(left) => {
            shared.counters.breaker_refusals.add();
            let next = match left {
                Duration::ZERO => "one call is on its way to see whether it is back".to_owned(),
                left => format!("no call is sent for another {} ms", left.as_millis().max(1)),
            };
            Error::new(
                ErrorKind::Unavailable,
                format!("{call}: the key service failed many times in a row; {next}"),
            )
        }
        NotEntered::Queue(denied) => {
            shared.counters.queue_refusals.add();
            let why = match denied {
                Denied::QueueFull => {
                    "too many calls wait for their turn under the rate limit already".to_owned()
                }
                Denied::TooLate => format!(
                    "its turn under the rate limit does not come within {:?}, the time for a call",
                    shared.call_timeout
                ),
            };
            Error::new(ErrorKind::Throttled, format!("{call}: not sent: {why}"))
        }
    }
}

/// The call is out of time.
pub(crate) fn late(Client(shared): &Client, call: &Call<'_>) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{call}: no success within {:?}, the time for a call", shared.call_timeout),
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
