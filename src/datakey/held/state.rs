//! What is held, and until when. Pure: time is an argument.

use crate::datakey::clock::{Instant, Source};
use crate::datakey::held::fetch::Origin;
use crate::datakey::limits::CacheLimits;
use crate::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Backoff after a failed load.
pub(crate) const QUIET: Duration = Duration::from_secs(1);
/// The time to live beside a cache that keeps nothing: without waiting, keys that are not kept
/// could not be used at all.
const TTL: Duration = Duration::from_secs(300);

/// How long keys are held.
#[derive(Clone)]
pub(crate) struct Limits {
    ttl: Duration,
    /// The soft time: when keys in use are unwrapped again.
    refresh_after: Duration,
    stale: Duration,
    idle: Option<Duration>,
}

impl Limits {
    /// Those of the cache. Without a soft time half of the time to live: callers that cannot wait
    /// would otherwise find nothing each time that it is over.
    pub(crate) fn of(cache: Option<CacheLimits>) -> Self {
        let cache = cache.unwrap_or_else(|| CacheLimits::new(TTL));
        Self {
            ttl: cache.ttl,
            refresh_after: cache.refresh_after.unwrap_or(cache.ttl / 2),
            stale: cache.stale,
            idle: cache.idle,
        }
    }

    /// Whether what was asked for then would have expired when it comes.
    pub(crate) fn would_be_expired(&self, asked: Instant, now: Instant) -> bool {
        now.saturating_duration_since(asked) >= self.ttl
    }
}

/// Keys that are held.
pub(crate) struct Kept<T> {
    pub(crate) keys: Arc<T>,
    pub(crate) origins: Vec<Origin>,
    refresh_at: Instant,
    expires: Instant,
    /// The end of the stale window; the same as `expires` without one.
    gone: Instant,
    used: Instant,
    /// Whether they were used since they were loaded: only such keys are refreshed by a timer.
    in_use: bool,
    /// Why they could not be refreshed, if the service was unreachable.
    outage: Option<Error>,
    /// Whether a refresh that began within the time to live is not answered yet.
    unanswered: bool,
}

/// The result of a look.
pub(crate) enum Look<T> {
    Found {
        keys: Arc<T>,
        /// Whether it is time to load them again.
        refresh: bool,
    },
    Missing,
}

impl<T> Kept<T> {
    /// None if keys that were asked for at that time are over already.
    pub(crate) fn new(
        keys: Arc<T>,
        origins: Vec<Origin>,
        asked: Instant,
        now: Instant,
        limits: &Limits,
        source: Source,
    ) -> Option<Self> {
        let expires = asked.checked_add(source.jittered(limits.ttl))?;
        let gone = expires.checked_add(limits.stale)?;
        let refresh_at = asked.checked_add(source.jittered(limits.refresh_after))?;
        let kept = Self {
            keys,
            origins,
            refresh_at,
            expires,
            gone,
            used: now,
            in_use: false,
            outage: None,
            unanswered: false,
        };
        (now < expires).then_some(kept)
    }

    /// Whether they must not be used any more, nor be in memory.
    pub(crate) fn is_over(&self, now: Instant, limits: &Limits) -> bool {
        let idle = |idle| now.saturating_duration_since(self.used) >= idle;
        self.gone <= now || limits.idle.is_some_and(idle)
    }

    /// The keys, for a use: fresh, or stale while the service is unreachable, or does not answer a
    /// refresh that began in time.
    pub(crate) fn look(&mut self, now: Instant) -> Look<T> {
        if now >= self.expires && self.outage.is_none() && !self.unanswered {
            return Look::Missing;
        }
        (self.used, self.in_use) = (now, true);
        Look::Found { keys: self.keys.clone(), refresh: self.refresh_at <= now }
    }

    /// Whether the time to live is not over.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now < self.expires
    }

    /// Whether a timer refreshes them now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.in_use && self.refresh_at <= now
    }

    /// The next time at which something may have to be done.
    pub(crate) fn next(&self, now: Instant, limits: &Limits) -> Instant {
        let end = match limits.idle.and_then(|idle| self.used.checked_add(idle)) {
            Some(idle) => idle.min(self.gone),
            None => self.gone,
        };
        if now < self.refresh_at { self.refresh_at.min(end) } else { end }
    }

    /// A load failed for a reason that says nothing of the keys; `outage` if the service was
    /// unreachable.
    pub(crate) fn failed(&mut self, outage: Option<&Error>, now: Instant) {
        if let Some(error) = outage {
            self.outage = Some(error.clone());
        }
        self.refresh_at = now + QUIET;
        self.unanswered = false;
    }

    /// A load has begun, whose outcome sets the next.
    pub(crate) fn refreshing(&mut self, now: Instant) {
        self.refresh_at = self.gone;
        self.unanswered = self.is_fresh(now);
    }
}
