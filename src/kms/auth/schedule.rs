//! When tokens are due for a refresh, by what they say about themselves.
//!
//! Promises: a token without an expiry is never due; a wrong clock causes one early refresh, not
//! many, because tokens issued to this client are timed by the steady clock from their issue. This
//! module reads tokens and knows nothing of how they are replaced.

use crate::kms::auth::claims::TokenClaims;
use crate::kms::time::Timestamp;
use crate::random::{fraction, number};
use secrecy::{ExposeSecret, SecretString};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// A token is due in the last tenth of its life, and no earlier than these times before it expires.
/// Half of that is jittered.
const EARLY: u32 = 10;
const EARLIEST_ACCESS: Duration = Duration::from_secs(3_600);
const EARLIEST_REFRESH: Duration = Duration::from_secs(7 * 24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);
/// How far clocks may differ: as far as the service accepts for signatures.
const WRONG: Duration = Duration::from_secs(300);

/// How urgent a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The token is still valid.
    Soon,
    /// The service is about to refuse it.
    Now,
}

/// When the tokens of a set are due. What is `None` is not known and never due.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Schedule {
    access: Option<Life>,
    refresh: Option<Life>,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    whole: Duration,
    due: Instant,
    end: Instant,
}

impl Schedule {
    /// Of tokens whose age only the system's clock can tell.
    pub(crate) fn of_given(access: &SecretString, refresh: Option<&SecretString>) -> Self {
        let (now, steady) = (Timestamp::from(SystemTime::now()), Instant::now());
        let life = |token, earliest| Life::read(token, Some(now), earliest, steady);
        Self {
            access: life(access, EARLIEST_ACCESS),
            refresh: refresh.and_then(|token| life(token, EARLIEST_REFRESH)),
        }
    }

    /// After these tokens were issued just now; without a refresh token the old one stays.
    pub(crate) fn after(&self, access: &SecretString, refresh: Option<&SecretString>) -> Self {
        let steady = Instant::now();
        let refresh =
            refresh.map_or(self.refresh, |token| Life::read(token, None, EARLIEST_REFRESH, steady));
        Self { access: Life::read(access, None, EARLIEST_ACCESS, steady), refresh }
    }

    /// Whether new tokens are due. With the refresh token as their only source (not `helped`),
    /// nothing is due once that has expired.
    pub(crate) fn due(&self, now: Instant, helped: bool) -> Option<Due> {
        let expired = self.refresh.is_some_and(|life| now >= life.end);
        if expired && !helped {
            return None;
        }
        if self.access.is_some_and(|life| now >= life.end) {
            return Some(Due::Now);
        }
        let refresh_is_due = !expired && self.refresh_is_due(now);
        (self.access.is_some_and(|life| now >= life.due) || refresh_is_due).then_some(Due::Soon)
    }

    /// Whether the access token has expired or is about to, by its own claims and a clock that may
    /// be [`WRONG`].
    pub(crate) fn may_have_ended(&self, now: Instant) -> bool {
        self.access.is_some_and(|life| now >= life.due || now + WRONG >= life.end)
    }

    /// Whether the refresh token is about to expire.
    pub(crate) fn refresh_is_due(&self, now: Instant) -> bool {
        self.refresh.is_some_and(|life| now >= life.due)
    }

    /// The hours that the access and the refresh token were issued for.
    pub(crate) fn hours(&self) -> (Option<u64>, Option<u64>) {
        let hours = |life: Life| life.whole.as_secs().div_ceil(HOUR.as_secs()).max(1);
        (self.access.map(hours), self.refresh.map(hours))
    }
}

impl Life {
    /// The life of `token`, at `now` by the system's clock, or else just issued.
    fn read(
        token: &SecretString,
        now: Option<Timestamp>,
        earliest: Duration,
        steady: Instant,
    ) -> Option<Self> {
        let claims = TokenClaims::peek(token.expose_secret());
        let end = claims.expires_at?.millis();
        let begin = claims.issued_at.map(Timestamp::millis).filter(|begin| *begin < end);
        let left = end.saturating_sub(now.map(Timestamp::millis).or(begin)?);
        let left = Duration::from_millis(left);
        let whole = begin.map_or(left, |begin| Duration::from_millis(end - begin));
        let early = (whole / EARLY).min(earliest);
        // Clients that were given the same token must not refresh it together.
        let early = early / 2 + fraction(early / 2, number().unwrap_or_default());
        // A time that clocks cannot represent is never reached.
        Some(Self {
            whole,
            due: steady.checked_add(left.saturating_sub(early))?,
            end: steady.checked_add(left)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const SECOND: Duration = Duration::from_secs(1);

    fn token(issued: Option<i64>, ends: Option<i64>) -> SecretString {
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
        let claim = |name, time: Option<i64>| time.map(|time| format!("\"{name}\":{}", now + time));
        let claims: Vec<_> = claim("iat", issued).into_iter().chain(claim("exp", ends)).collect();
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(format!("{{{}}}", claims.join(",")))).into()
    }

    #[test]
    fn tokens_are_due_in_the_last_part_of_their_lives() {
        let (access, refresh) = (token(Some(-100), Some(900)), token(Some(-100), Some(99_900)));
        let schedule = Schedule::of_given(&access, Some(&refresh));
        let now = Instant::now();
        assert_eq!(schedule.due(now + 790 * SECOND, false), None);
        assert_eq!(schedule.due(now + 852 * SECOND, false), Some(Due::Soon));
        assert_eq!(schedule.due(now + 901 * SECOND, false), Some(Due::Now));
        assert_eq!(schedule.due(now + 99_901 * SECOND, false), None);
        assert!(
            !schedule.refresh_is_due(now + 89_000 * SECOND)
                && schedule.refresh_is_due(now + 95_000 * SECOND)
        );
        assert_eq!(schedule.hours(), (Some(1), Some(28)));
        // What ended can be helped by another than the refresh token.
        assert_eq!(schedule.due(now + 99_901 * SECOND, true), Some(Due::Now));
        assert!(!schedule.may_have_ended(now + 590 * SECOND));
        assert!(schedule.may_have_ended(now + 610 * SECOND));
    }

    #[test]
    fn long_lives_are_not_cut_short_by_much() {
        let schedule = Schedule::of_given(
            &token(Some(0), Some(730 * 86_400)),
            Some(&token(Some(0), Some(730 * 86_400))),
        );
        let (now, day) = (Instant::now(), 86_400 * SECOND);
        assert_eq!(schedule.due(now + 722 * day, false), None);
        assert_eq!(schedule.due(now + 727 * day, false), Some(Due::Soon));
        assert_eq!(schedule.hours(), (Some(17_520), Some(17_520)));
    }

    #[test]
    fn what_a_token_does_not_say_is_never_due() {
        for odd in
            [token(Some(0), None), token(None, None), "".into(), "opaque".into(), "a.b.c".into()]
        {
            let schedule = Schedule::of_given(&odd, Some(&odd));
            assert_eq!(schedule.due(Instant::now() + 86_400 * SECOND, false), None);
            assert_eq!(schedule.hours(), (None, None));
        }
        let schedule = Schedule::of_given(&token(None, Some(100)), None);
        assert_eq!(schedule.due(Instant::now() + 99 * SECOND, false), Some(Due::Soon));
        let backwards = Schedule::of_given(&token(Some(200), Some(100)), None);
        assert_eq!(backwards.due(Instant::now(), false), None);
    }

    #[test]
    fn new_tokens_are_timed_from_their_issue_whatever_the_clock_says() {
        let expired = token(Some(-90_000), Some(-86_400));
        let schedule = Schedule::of_given(&expired, Some(&token(None, None)));
        assert_eq!(schedule.due(Instant::now(), false), Some(Due::Now));
        // A clock that is a day ahead sees a new token as expired, too.
        let schedule = schedule.after(&expired, None);
        assert_eq!(schedule.due(Instant::now(), false), None);
        assert_eq!(schedule.due(Instant::now() + 3_599 * SECOND, false), Some(Due::Soon));
    }
}
