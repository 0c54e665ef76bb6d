//! How many calls may go, and when: the pure part of the rate limiter. Time is an argument.
//!
//! Two rules apply together. Calls are spaced, with a small burst, so that a service that counts in
//! short windows has no reason to throttle. And a call holds a slot from before it is sent until
//! one second after its response; there are fewer slots than the limit. However the network delays
//! and bunches calls, the service sees each call between those two moments. So in no second does it
//! see more calls than there are slots.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The window in which the service counts, with a margin for clock drift.
const WINDOW: Duration = Duration::from_millis(1_010);
/// Shares of the limit: the steady rate, the slots, and the burst after a pause.
const PACE: f64 = 0.95;
const PLACES: f64 = 0.98;
const BURST: f64 = 0.03;
/// The share of the rate that is left after a refusal, and the share of the whole that a second
/// without one restores.
const SLOWED: f64 = 0.5;
const RECOVERY: f64 = 0.1;
const SLOWEST: f64 = 0.02;
/// Refusals within this time count as one.
const TOGETHER: Duration = Duration::from_secs(1);
/// The longest stop of all calls for a `Retry-After`. If it is longer, one call at a time probes
/// after that.
const LONGEST_STOP: Duration = Duration::from_secs(10);
/// A longer `Retry-After` counts as this one.
const LONGEST_WISH: Duration = Duration::from_secs(3_600);

/// The pace of calls under one limit.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: f64,
    /// When the next call keeps its distance from those before.
    due: Instant,
    out: usize,
    /// When the slots of answered calls are free again, in order.
    free_at: VecDeque<Instant>,
    stopped_until: Instant,
    /// Until when the service asked not to be called; probed from `stopped_until` on.
    asked_until: Instant,
    probing: bool,
    /// The share of the rate at `share_at`; it grows from there.
    share: f64,
    share_at: Instant,
    refused_at: Option<Instant>,
}

/// Permission for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    WithOthers,
    /// As a probe, alone, to find out whether the service still throttles.
    AsProbe,
}

/// What the next call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Until(Instant),
    /// The end of a call in flight.
    ForAnswer,
}

impl Pace {
    /// At most `limit` calls in any second.
    pub(crate) fn new(limit: u32, now: Instant) -> Self {
        Self {
            limit: f64::from(limit.max(1)),
            due: now,
            out: 0,
            free_at: VecDeque::new(),
            stopped_until: now,
            asked_until: now,
            probing: false,
            share: 1.0,
            share_at: now,
            refused_at: None,
        }
    }

    /// Lets one call go now, or returns what it has to wait for.
    pub(crate) fn take(&mut self, now: Instant) -> Result<Go, Wait> {
        if now < self.stopped_until {
            return Err(Wait::Until(self.stopped_until));
        }
        let asked = now < self.asked_until;
        if asked && self.probing {
            return Err(Wait::ForAnswer);
        }
        while self.free_at.front().is_some_and(|free| *free <= now) {
            self.free_at.pop_front();
        }
        let share = self.share(now);
        let distance = Duration::from_secs_f64(1.0 / (self.limit * PACE * share));
        let ahead = distance.mul_f64((self.limit * BURST * share).max(1.0) - 1.0);
        let earliest = self.due.checked_sub(ahead).unwrap_or(now);
        if now < earliest {
            return Err(Wait::Until(earliest));
        }
        let places = ((self.limit * PLACES * share) as usize).max(1);
        if self.out + self.free_at.len() >= places {
            return Err(self.free_at.front().map_or(Wait::ForAnswer, |free| Wait::Until(*free)));
        }
        self.due = self.due.max(now) + distance;
        self.out += 1;
        if asked {
            self.probing = true;
            return Ok(Go::AsProbe);
        }
        Ok(Go::WithOthers)
    }

    /// Lets a call go regardless of the rate; it takes a slot from the others.
    pub(crate) fn force(&mut self, now: Instant) {
        self.due = self.due.max(now) + Duration::from_secs_f64(1.0 / self.limit);
        self.out += 1;
    }

    /// The service answered the probe and did not throttle it.
    pub(crate) fn probe_served(&mut self, now: Instant) {
        self.asked_until = now;
    }

    /// Until when the service asked not to be called, if that is not before `deadline`.
    pub(crate) fn asked_beyond(&self, deadline: Instant) -> Option<Instant> {
        (self.asked_until >= deadline).then_some(self.asked_until)
    }

    /// A call ended: answered, failed or cancelled.
    pub(crate) fn ended(&mut self, now: Instant, went: Go) {
        if went == Go::AsProbe {
            self.probing = false;
        }
        self.out = self.out.saturating_sub(1);
        self.free_at.push_back(now + WINDOW);
    }

    /// The service throttled a call, and asked for a pause of `wait`.
    pub(crate) fn refused(&mut self, now: Instant, wait: Option<Duration>) {
        if let Some(wait) = wait {
            self.stopped_until = self.stopped_until.max(now + wait.min(LONGEST_STOP));
            self.asked_until = self.asked_until.max(now + wait.min(LONGEST_WISH));
        }
        if self.refused_at.is_none_or(|before| now.saturating_duration_since(before) >= TOGETHER) {
            self.share = (self.share(now) * SLOWED).max(SLOWEST);
            self.share_at = now;
            self.refused_at = Some(now);
        }
    }

    /// Whether a new one would be the same, or only slightly fresher.
    pub(crate) fn is_idle(&mut self, now: Instant) -> bool {
        self.out == 0
            && self.free_at.back().is_none_or(|free| *free <= now)
            && now >= self.asked_until
            && self.share(now) >= 1.0
    }

    fn share(&self, now: Instant) -> f64 {
        (self.share + RECOVERY * now.saturating_duration_since(self.share_at).as_secs_f64())
            .min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// The most of `times` that lie in any one second.
    fn fullest_second(times: &mut [Instant]) -> usize {
        times.sort();
        let mut start = 0;
        let mut most = 0;
        for end in 0..times.len() {
            while times[end] - times[start] >= MS(1_000) {
                start += 1;
            }
            most = most.max(end + 1 - start);
        }
        most
    }

    /// Callers that always want more, and a network that delays each call and each answer as it
    /// likes, or all of them for a while.
    #[test]
    fn no_second_sees_more_than_the_limit_whatever_the_network_does() {
        for (limit, seed) in
            [(1_u32, 1_u64), (2, 2), (7, 3), (200, 4), (300, 5), (300, 6), (1_000, 7)]
        {
            let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed);
            let start = Instant::now();
            let mut now = start;
            let mut pace = Pace::new(limit, start);
            let mut seen = Vec::new();
            let mut answers: Vec<Instant> = Vec::new();
            let mut stalled_until = start;
            while now < start + MS(20_000) {
                now += MS(1);
                if random.below(1_500) == 0 {
                    stalled_until = now + MS(random.below(900));
                }
                answers.sort();
                while answers.first().is_some_and(|at| *at <= now) {
                    answers.remove(0);
                    pace.ended(now, Go::WithOthers);
                }
                while pace.take(now).is_ok() {
                    let arrival = (now + MS(random.below(40))).max(stalled_until);
                    seen.push(arrival);
                    answers.push(arrival + MS(1 + random.below(60)));
                }
            }
            let (total, most) = (seen.len(), fullest_second(&mut seen));
            assert!(most <= limit as usize, "limit {limit}: {most} in one second");
            assert!(total > limit as usize * 7, "limit {limit}: only {total} in 20 s");
        }
    }

    #[test]
    fn bursts_are_small_and_the_pace_is_close_to_the_limit() {
        let now = Instant::now();
        let mut pace = Pace::new(300, now);
        let mut at_once = 0;
        while pace.take(now).is_ok() {
            at_once += 1;
        }
        assert!((1..=15).contains(&at_once), "{at_once}");
        let mut count = at_once;
        for ms in 1..=1_000 {
            while pace.take(now + MS(ms)).is_ok() {
                count += 1;
                pace.ended(now + MS(ms), Go::WithOthers);
            }
        }
        assert!((280..=294).contains(&count), "{count}");
    }

    #[test]
    fn places_are_held_until_a_second_after_the_answer() {
        let start = Instant::now();
        let mut pace = Pace::new(2, start);
        pace.take(start).unwrap();
        assert_eq!(pace.take(start + MS(2_000)), Err(Wait::ForAnswer));
        pace.ended(start + MS(3_000), Go::WithOthers);
        assert_eq!(pace.take(start + MS(3_000)), Err(Wait::Until(start + MS(3_000) + WINDOW)));
        pace.take(start + MS(4_010)).unwrap();
    }

    #[test]
    fn refusals_slow_it_down_and_time_gives_the_pace_back() {
        let start = Instant::now();
        let in_a_second = |pace: &mut Pace, from: Instant| {
            let mut count = 0;
            for ms in 0..1_000 {
                while pace.take(from + MS(ms)).is_ok() {
                    pace.ended(from + MS(ms), Go::WithOthers);
                    count += 1;
                }
            }
            count
        };
        let mut pace = Pace::new(100, start);
        for _ in 0..50 {
            pace.refused(start, None);
        }
        let slow = in_a_second(&mut pace, start);
        assert!((40..=60).contains(&slow), "{slow}");
        assert!(!pace.is_idle(start + MS(3_000)));
        assert!(pace.is_idle(start + MS(6_000)));
        let again = in_a_second(&mut pace, start + MS(6_000));
        assert!((90..=98).contains(&again), "{again}");

        pace.refused(start + MS(8_000), Some(MS(2_000)));
        assert_eq!(pace.take(start + MS(8_000)), Err(Wait::Until(start + MS(10_000))));
        pace.refused(start + MS(9_500), Some(Duration::MAX));
        assert_eq!(
            pace.take(start + MS(10_000)),
            Err(Wait::Until(start + MS(9_500) + LONGEST_STOP))
        );
        for second in 0..100 {
            pace.refused(start + MS(20_000 + second * 1_000), None);
        }
        assert!(pace.share(start + MS(119_000)) >= SLOWEST);
    }

    /// A service that asks for an hour is probed within seconds, by one call at a time.
    #[test]
    fn a_long_stop_is_probed() {
        let start = Instant::now();
        let hour = Some(MS(3_600_000));
        let mut pace = Pace::new(100, start);
        pace.refused(start, hour);
        assert_eq!(pace.take(start + MS(9_999)), Err(Wait::Until(start + LONGEST_STOP)));
        let now = start + MS(20_000);
        assert!(pace.asked_beyond(now + MS(30_000)).is_some() && !pace.is_idle(now));
        // One goes, and while it is out no other.
        assert_eq!(pace.take(now), Ok(Go::AsProbe));
        assert_eq!(pace.take(now), Err(Wait::ForAnswer));
        // Abandoned, so another one goes; it is refused.
        pace.ended(now, Go::AsProbe);
        assert_eq!(pace.take(now + MS(100)), Ok(Go::AsProbe));
        pace.refused(now + MS(200), hour);
        pace.ended(now + MS(200), Go::AsProbe);
        let next = now + MS(200) + LONGEST_STOP;
        assert_eq!(pace.take(now + MS(300)), Err(Wait::Until(next)));
        // The next is served, and then all are.
        assert_eq!(pace.take(next), Ok(Go::AsProbe));
        pace.probe_served(next);
        pace.ended(next, Go::AsProbe);
        assert!(pace.asked_beyond(next + MS(1)).is_none());
        assert_eq!(pace.take(next + MS(100)), Ok(Go::WithOthers));
        assert_eq!(pace.take(next + MS(200)), Ok(Go::WithOthers));
    }
}
