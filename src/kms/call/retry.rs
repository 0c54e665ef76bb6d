//! Whether a failed attempt is retried, and when.
//!
//! Encrypt, decrypt and re-encrypt calls are idempotent, so they are retried after any transient
//! failure. Other calls are retried only if the first attempt never reached the service. The
//! decision is a pure function of its arguments; it knows nothing of HTTP beyond the one header it
//! reads. Whether the retry budget allows it is decided elsewhere.

use crate::error::Error;
use crate::kms::call::outage::Outage;
use crate::random::fraction;
use std::time::{Duration, SystemTime};

/// How often attempts are retried, and with which backoff.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Attempts in all, the first included.
    pub(crate) max_attempts: u32,
    /// The upper bound of the first backoff; each later bound is twice the one before.
    pub(crate) base: Duration,
    /// The upper bound of every backoff.
    pub(crate) cap: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_attempts: 3, base: Duration::from_millis(100), cap: Duration::from_secs(2) }
    }
}

/// Which failures of a call permit a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Only those in which the service saw nothing.
    Unseen,
    /// All transient ones.
    Transient,
}

/// What a failure says about a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It would fail again.
    Lasting,
    /// The service may have seen the call, and may answer the next one.
    Transient,
    /// There was no connection, so the service saw nothing.
    Unseen,
    /// The service closed an idle connection, most likely before it read the call.
    Dropped,
    /// The timestamp was refused, and the correct time is known now.
    Timestamp,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Stop,
    /// Retry at once; nothing was wrong with the service or the call.
    AtOnce,
    /// Retry after a backoff, if the retry budget allows it.
    After(Duration),
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) class: Class,
    pub(crate) outage: Outage,
    /// How long the service asked to wait.
    pub(crate) wait: Option<Duration>,
    /// The HTTP status, where the failure is an answer.
    pub(crate) status: Option<u16>,
}

impl Failure {
    /// One that would fail again.
    pub(crate) fn lasting(error: Error) -> Self {
        Self { error, class: Class::Lasting, outage: Outage::No, wait: None, status: None }
    }
}

/// The most idle connections that one call may find closed. A restart or a timeout of the gateway
/// can close any number of them together, and each attempt removes one.
const MOST_DROPPED: u32 = 16;

/// What to do after `attempts` attempts, the last of which ended with `failure`. Attempts that
/// ended with a dropped connection are counted separately.
///
/// `left` remains until the call's deadline, and `random` is uniform over all of `u64`.
pub(crate) fn next(
    policy: &Policy,
    repeat: Repeat,
    failure: &Failure,
    attempts: u32,
    left: Duration,
    random: u64,
) -> Next {
    let permitted = match failure.class {
        // The caller knows whether the call was signed anew already.
        Class::Lasting | Class::Timestamp => false,
        Class::Transient | Class::Dropped => repeat == Repeat::Transient,
        Class::Unseen => true,
    };
    let dropped = failure.class == Class::Dropped;
    let most = if dropped { MOST_DROPPED } else { policy.max_attempts };
    if !permitted || attempts >= most {
        return Next::Stop;
    }
    if dropped {
        return if left.is_zero() { Next::Stop } else { Next::AtOnce };
    }
    let doublings = attempts.saturating_sub(1).min(16);
    let bound = policy.base.saturating_mul(1 << doublings).min(policy.cap);
    // Full jitter: clients that failed together must not retry together. What the service asked for
    // is a minimum.
    let pause = failure.wait.unwrap_or_default().saturating_add(fraction(bound, random));
    // An attempt that could not begin in time is not worth a wait.
    if pause < left { Next::After(pause) } else { Next::Stop }
}

/// What a `Retry-After` header asks for, given the time now: seconds, or a date.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const LONG: Duration = Duration::from_secs(30);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn failure(class: Class, wait: Option<Duration>) -> Failure {
        Failure {
            error: Error::new(ErrorKind::Unavailable, "test"),
            class,
            outage: Outage::No,
            wait,
            status: None,
        }
    }

    fn pause(
        policy: &Policy,
        repeat: Repeat,
        failure: &Failure,
        attempts: u32,
        left: Duration,
        random: u64,
    ) -> Option<Duration> {
        match next(policy, repeat, failure, attempts, left, random) {
            Next::After(pause) => Some(pause),
            Next::Stop | Next::AtOnce => None,
        }
    }

    #[test]
    fn class_and_kind_of_call_decide() {
        let policy = Policy::default();
        let again =
            |repeat, class| pause(&policy, repeat, &failure(class, None), 1, LONG, 0).is_some();
        let at_once = |repeat, attempts, left| {
            next(&policy, repeat, &failure(Class::Dropped, None), attempts, left, 0) == Next::AtOnce
        };
        assert!(again(Repeat::Transient, Class::Transient));
        assert!(again(Repeat::Transient, Class::Unseen));
        assert!(!again(Repeat::Transient, Class::Lasting));
        assert!(again(Repeat::Unseen, Class::Unseen));
        assert!(!again(Repeat::Unseen, Class::Transient));
        assert!(!again(Repeat::Unseen, Class::Lasting));
        assert!(at_once(Repeat::Transient, 1, LONG) && at_once(Repeat::Transient, 2, LONG));
        assert!(
            !at_once(Repeat::Unseen, 1, LONG)
                && !at_once(Repeat::Transient, MOST_DROPPED, LONG)
                && !at_once(Repeat::Transient, 1, Duration::ZERO)
        );
        let single = Policy { max_attempts: 1, ..policy };
        assert_eq!(
            next(&single, Repeat::Transient, &failure(Class::Dropped, None), 1, LONG, 0),
            Next::AtOnce
        );
        assert_eq!(
            next(&policy, Repeat::Transient, &failure(Class::Timestamp, None), 1, LONG, 0),
            Next::Stop
        );
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_end() {
        let policy = Policy { max_attempts: 40, ..Policy::default() };
        let longest = |attempts| {
            pause(
                &policy,
                Repeat::Transient,
                &failure(Class::Transient, None),
                attempts,
                LONG,
                u64::MAX,
            )
        };
        for (attempts, bound) in
            [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1600), (6, 2000), (39, 2000)]
        {
            let got = longest(attempts).unwrap();
            assert!(got <= MS(bound) && got > MS(bound - 1), "{attempts}: {got:?}");
        }
        assert_eq!(longest(40), None);
        let shortest =
            pause(&policy, Repeat::Transient, &failure(Class::Transient, None), 6, LONG, 0);
        assert_eq!(shortest, Some(Duration::ZERO));
        assert_eq!(
            pause(
                &Policy::default(),
                Repeat::Transient,
                &failure(Class::Transient, None),
                3,
                LONG,
                0
            ),
            None
        );
    }

    #[test]
    fn the_services_wish_is_a_minimum_within_the_time_left() {
        let policy = Policy::default();
        let asked = |wait, left| {
            pause(
                &policy,
                Repeat::Transient,
                &failure(Class::Transient, Some(wait)),
                1,
                left,
                u64::MAX / 2,
            )
        };
        assert_eq!(asked(MS(5000), LONG).map(|pause| pause.as_millis()), Some(5049));
        assert_eq!(asked(MS(5000), MS(5000)), None);
        assert_eq!(asked(Duration::MAX, LONG), None);
        assert_eq!(
            pause(
                &policy,
                Repeat::Transient,
                &failure(Class::Transient, None),
                1,
                Duration::ZERO,
                0
            ),
            None
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, want) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), want.map(Duration::from_secs), "{value}");
        }
    }
}
