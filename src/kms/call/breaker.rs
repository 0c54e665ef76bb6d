//! The circuit breaker: after a run of failures no call is sent until a probe succeeds.
//!
//! Promises: while open, calls are refused without waiting; after a jittered pause exactly one call
//! is let through as a probe, and its outcome decides for all; if a probe is cancelled, the next
//! call is the probe. A pure state machine: time and randomness are arguments. It knows nothing of
//! hosts, keys or HTTP.

use crate::random::fraction;
use std::time::Duration;
use tokio::time::Instant;

/// Consecutive failures that open it. A service that fails 30 % of all attempts at random has such
/// a run once in 100 million attempts.
const RUN: u32 = 15;
/// The pause before the first probe, and what it grows to by doubling. Half of it is jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One circuit breaker.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: BreakerState,
    /// Incremented with every change of state, so that the outcome of a call from before the change
    /// does not count after it.
    epoch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed { run: u32 },
    Open { until: Instant, times: u32 },
    Probing { times: u32 },
}

/// The epoch in which a call was let through. Its outcome is reported with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticket(u64);

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing to report.
    Nothing,
    /// It opened, or stays open after a failed probe.
    Opened,
    /// The probe was answered.
    Closed,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: BreakerState::Closed { run: 0 }, epoch: 0 }
    }
}

impl Breaker {
    /// How long calls are refused at least; `None` if they are not.
    pub(crate) fn refuses(&self, now: Instant) -> Option<Duration> {
        match self.state {
            BreakerState::Open { until, .. } if now < until => Some(until - now),
            BreakerState::Probing { .. } => Some(Duration::ZERO),
            BreakerState::Closed { .. } | BreakerState::Open { .. } => None,
        }
    }

    /// Lets a call through, as the probe if one is due; or returns how long calls are refused at
    /// least.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        if let Some(left) = self.refuses(now) {
            return Err(left);
        }
        if let BreakerState::Open { times, .. } = self.state {
            self.change(BreakerState::Probing { times });
        }
        Ok(Ticket(self.epoch))
    }

    /// Whether no failure is recorded, so that a new breaker would be the same.
    pub(crate) fn is_new(&self) -> bool {
        self.state == BreakerState::Closed { run: 0 }
    }

    /// The call was answered, whatever the answer was.
    pub(crate) fn answered(&mut self, ticket: Ticket) -> Change {
        if ticket.0 != self.epoch {
            return Change::Nothing;
        }
        match &mut self.state {
            BreakerState::Closed { run } => *run = 0,
            BreakerState::Probing { .. } => {
                self.change(BreakerState::Closed { run: 0 });
                return Change::Closed;
            }
            BreakerState::Open { .. } => {}
        }
        Change::Nothing
    }

    /// The call failed as calls do in an outage. `random` is uniform over all of `u64`.
    pub(crate) fn failed(&mut self, ticket: Ticket, now: Instant, random: u64) -> Change {
        if ticket.0 != self.epoch {
            return Change::Nothing;
        }
        let times = match &mut self.state {
            BreakerState::Closed { run } => {
                *run += 1;
                if *run < RUN {
                    return Change::Nothing;
                }
                0
            }
            BreakerState::Probing { times } => times.saturating_add(1),
            BreakerState::Open { .. } => return Change::Nothing,
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE);
        // Clients that saw the outage begin together must not probe together.
        let pause = pause / 2 + fraction(pause / 2, random);
        self.change(BreakerState::Open { until: now + pause, times });
        Change::Opened
    }

    /// The call was cancelled, so its outcome is unknown. If it was the probe, the next call is the
    /// probe.
    pub(crate) fn abandoned(&mut self, ticket: Ticket, now: Instant) {
        if let (true, BreakerState::Probing { times }) = (ticket.0 == self.epoch, self.state) {
            self.change(BreakerState::Open { until: now, times });
        }
    }

    fn change(&mut self, state: BreakerState) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for round in 1..=RUN {
            let ticket = breaker.admit(now).unwrap();
            let change = breaker.failed(ticket, now, u64::MAX);
            assert_eq!(change == Change::Opened, round == RUN);
        }
        breaker
    }

    #[test]
    fn a_run_of_failures_opens_it_and_an_answer_breaks_the_run() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..RUN {
                let ticket = breaker.admit(now).unwrap();
                assert_eq!(breaker.failed(ticket, now, 0), Change::Nothing);
            }
            let ticket = breaker.admit(now).unwrap();
            assert_eq!(breaker.answered(ticket), Change::Nothing);
        }
        assert!(breaker.is_new());
        let breaker = open(now);
        assert!(!breaker.is_new() && breaker.refuses(now).is_some());
    }

    #[test]
    fn one_probe_at_a_time_after_pauses_that_double() {
        let mut now = Instant::now();
        let mut breaker = open(now);
        for bound in [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            let left = breaker.admit(now).unwrap_err();
            assert!(left <= MS(bound) && left > MS(bound - 1), "{left:?}");
            now += left;
            let probe = breaker.admit(now).unwrap();
            assert_eq!(breaker.admit(now), Err(Duration::ZERO));
            assert_eq!(breaker.failed(probe, now, u64::MAX), Change::Opened);
        }
        now += LONGEST_PAUSE;
        let probe = breaker.admit(now).unwrap();
        assert_eq!(breaker.answered(probe), Change::Closed);
        assert!(breaker.admit(now).is_ok() && breaker.admit(now).is_ok());
    }

    #[test]
    fn the_pause_is_jittered_over_its_second_half() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..RUN {
            let ticket = breaker.admit(now).unwrap();
            breaker.failed(ticket, now, 0);
        }
        assert_eq!(breaker.admit(now), Err(MS(250)));
    }

    #[test]
    fn an_abandoned_probe_leaves_its_place_and_late_news_count_for_nothing() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        let before = breaker.admit(now).unwrap();
        for _ in 0..RUN {
            breaker.failed(before, now, 0);
        }
        assert_eq!(breaker.answered(before), Change::Nothing);
        assert_eq!(breaker.failed(before, now, 0), Change::Nothing);
        breaker.abandoned(before, now);
        assert!(breaker.admit(now).is_err());
        now += FIRST_PAUSE;
        let probe = breaker.admit(now).unwrap();
        assert_eq!(breaker.answered(before), Change::Nothing);
        breaker.abandoned(probe, now);
        let probe = breaker.admit(now).unwrap();
        assert_eq!(breaker.answered(probe), Change::Closed);
    }

    /// Whatever happens in whatever order, at most one call is in flight while it is not closed,
    /// and it never sticks.
    #[test]
    fn random_histories_keep_the_promises() {
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for _ in 0..300 {
            let mut now = Instant::now();
            let mut breaker = Breaker::default();
            let mut out: Vec<Ticket> = Vec::new();
            let mut probe = None;
            for _ in 0..400 {
                match next() % 5 {
                    0 => now += MS(next() % 700),
                    1 | 2 => {
                        let closed = matches!(breaker.state, BreakerState::Closed { .. });
                        match breaker.admit(now) {
                            Ok(ticket) => {
                                if !closed {
                                    assert_eq!(probe, None, "two probes");
                                    probe = Some(ticket);
                                }
                                out.push(ticket);
                            }
                            Err(left) => assert!(!closed && left <= LONGEST_PAUSE),
                        }
                    }
                    what if !out.is_empty() => {
                        let ticket = out.swap_remove(next() as usize % out.len());
                        if probe == Some(ticket) {
                            probe = None;
                        }
                        match (what, next() % 4) {
                            (3, 0) => drop(breaker.answered(ticket)),
                            (3, _) => drop(breaker.failed(ticket, now, next())),
                            _ => breaker.abandoned(ticket, now),
                        }
                    }
                    _ => {}
                }
            }
            for ticket in out {
                breaker.abandoned(ticket, now);
            }
            let ticket = breaker.admit(now + LONGEST_PAUSE).unwrap();
            breaker.answered(ticket);
            assert!(breaker.is_new());
        }
    }
}
