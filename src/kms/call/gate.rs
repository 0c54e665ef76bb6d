//! Which calls may be sent now: circuit breakers and rate limits, of the host and of each key.
//!
//! Promises: while the host does not answer, or does not answer for one key, calls are refused at
//! once except for single probes; calls stay under the rate limit of the service; dropping a guard
//! of this module releases what it holds. This module knows that there are keys and what a failure
//! says about the host, and nothing of HTTP.

use crate::kms::call::breaker::{Breaker, Change, Ticket};
use crate::kms::call::limit::{Denied, Limiter, Place};
use crate::kms::call::outage::Outage;
use crate::kms::call::rate::Rate;
use crate::kms::call::request::Plan;
use crate::process::PerProcess;
use crate::random;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The most keys that are tracked individually. A program that uses more at the same time is
/// limited elsewhere.
const MAX_KEYS: usize = 1_024;

/// The gate of one client.
#[derive(Debug)]
pub(crate) struct Gate {
    /// `None` if the client has no circuit breaker.
    breakers: Option<PerProcess<Mutex<Breakers>>>,
    rate: Rate,
    longest_queue: usize,
    /// With a shared limit there is one, under the empty name.
    limiters: PerProcess<Mutex<HashMap<String, Arc<Limiter>>>>,
}

#[derive(Debug, Default)]
struct Breakers {
    host: Breaker,
    /// Those of keys with a recorded failure.
    keys: HashMap<String, Breaker>,
}

/// Permission to make one attempt. If dropped without a report, the attempt counts as cancelled.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    breakers: Option<&'a Mutex<Breakers>>,
    tag: &'a str,
    host: Ticket,
    key: Ticket,
}

/// What an attempt holds while it is made.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) admission: Admission<'a>,
    pub(crate) place: Option<Place<'a>>,
    /// Whether it waited in the queue.
    pub(crate) waited: bool,
}

/// Why an attempt may not be made.
#[derive(Debug)]
pub(crate) enum NotEntered {
    /// The circuit breaker stays open at least this long.
    Breaker(Duration),
    Queue(Denied),
}

impl Gate {
    pub(crate) fn new(breaker: bool, rate: Rate, longest_queue: usize) -> Self {
        Self {
            breakers: breaker.then(|| PerProcess::each(Mutex::default)),
            rate,
            longest_queue,
            limiters: PerProcess::each(Mutex::default),
        }
    }

    /// Waits until an attempt may be made: circuit breaker, queue, circuit breaker again.
    pub(crate) async fn enter<'a>(
        &'a self,
        tag: &'a str,
        limiter: Option<&'a Limiter>,
        plan: Plan,
    ) -> Result<Entry<'a>, NotEntered> {
        // Before the queue, so that no call waits in vain, and after it, because the wait may have
        // been long.
        if let Some(left) = self.refuses(tag) {
            return Err(NotEntered::Breaker(left));
        }
        let (place, waited) = match limiter {
            None => (None, false),
            Some(limiter) if plan.urgent => (Some(limiter.jump()), false),
            Some(limiter) => {
                let entered = limiter.enter(plan.deadline).await;
                let (place, waited) = entered.map_err(NotEntered::Queue)?;
                (Some(place), waited)
            }
        };
        let admission = self.admit(tag).map_err(NotEntered::Breaker)?;
        Ok(Entry { admission, place, waited })
    }

    /// How long calls with this key are refused at least; `None` if they are not.
    pub(crate) fn refuses(&self, tag: &str) -> Option<Duration> {
        let breakers = lock(self.breakers.as_ref()?);
        let now = Instant::now();
        breakers.host.refuses(now).or_else(|| breakers.keys.get(tag)?.refuses(now))
    }

    /// Permission to make an attempt now, or how long there is none at least.
    pub(crate) fn admit<'a>(&'a self, tag: &'a str) -> Result<Admission<'a>, Duration> {
        let Some(mutex) = &self.breakers else {
            return Ok(Admission {
                breakers: None,
                tag,
                host: Ticket::default(),
                key: Ticket::default(),
            });
        };
        let (now, mut breakers) = (Instant::now(), lock(mutex));
        let host = breakers.host.admit(now)?;
        match breakers.keys.get_mut(tag).map(|key| key.admit(now)) {
            None => Ok(Admission { breakers: Some(mutex), tag, host, key: Ticket::default() }),
            Some(Ok(key)) => Ok(Admission { breakers: Some(mutex), tag, host, key }),
            Some(Err(left)) => {
                breakers.host.abandoned(host, now);
                Err(left)
            }
        }
    }

    /// The limiter that calls with this key go through, if there is one.
    pub(crate) fn limiter(&self, tag: &str) -> Option<Arc<Limiter>> {
        let (limit, name) = match self.rate {
            Rate::Off => return None,
            Rate::Shared(limit) => (limit, ""),
            Rate::PerKey(limit) => (limit, tag),
        };
        let mut limiters = lock(&self.limiters);
        if let Some(limiter) = limiters.get(name) {
            return Some(Arc::clone(limiter));
        }
        if limiters.len() >= MAX_KEYS {
            // One that a call holds is in use even if nothing is in flight.
            limiters.retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle());
        }
        let limiter = Arc::new(Limiter::new(limit, self.longest_queue));
        limiters.insert(name.to_owned(), Arc::clone(&limiter));
        Some(limiter)
    }
}

impl Admission<'_> {
    /// Reports the outcome of the attempt.
    pub(crate) fn report(mut self, outage: Outage) -> Change {
        let Some(mutex) = self.breakers.take() else { return Change::Nothing };
        let (now, mut breakers) = (Instant::now(), lock(mutex));
        // Without randomness the pause is the shortest; nothing else depends on it.
        let random = || random::number().unwrap_or_default();
        match outage {
            Outage::Unknown => {
                breakers.abandoned(&self, now);
                Change::Nothing
            }
            Outage::No => {
                let key = breakers
                    .keys
                    .get_mut(self.tag)
                    .map(|key| (key.answered(self.key), key.is_new()));
                if let Some((_, true)) = key {
                    breakers.keys.remove(self.tag);
                }
                match breakers.host.answered(self.host) {
                    Change::Closed => {
                        // What was known of keys is from before the outage.
                        breakers.keys.clear();
                        Change::Closed
                    }
                    _ => key.map_or(Change::Nothing, |(change, _)| change),
                }
            }
            Outage::Service => {
                if breakers.keys.len() < MAX_KEYS || breakers.keys.contains_key(self.tag) {
                    let key = breakers.keys.entry(self.tag.to_owned()).or_default();
                    let change = key.failed(self.key, now, random());
                    match breakers.host.failed(self.host, now, random()) {
                        Change::Nothing => change,
                        host => host,
                    }
                } else {
                    breakers.host.failed(self.host, now, random())
                }
            }
            Outage::Host => {
                if let Some(key) = breakers.keys.get_mut(self.tag) {
                    key.abandoned(self.key, now);
                }
                breakers.host.failed(self.host, now, random())
            }
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some(mutex) = self.breakers {
            lock(mutex).abandoned(self, Instant::now());
        }
    }
}

impl Breakers {
    fn abandoned(&mut self, admission: &Admission<'_>, now: Instant) {
        self.host.abandoned(admission.host, now);
        if let Some(key) = self.keys.get_mut(admission.tag) {
            key.abandoned(admission.key, now);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: usize = 15;

    fn gate() -> Gate {
        Gate::new(true, Rate::PerKey(300), 10)
    }

    fn report(gate: &Gate, tag: &str, outage: Outage) -> Change {
        gate.admit(tag).unwrap().report(outage)
    }

    #[test]
    fn a_silent_host_closes_the_gate_to_all_keys() {
        let gate = gate();
        for round in 1..=RUN {
            let change = report(&gate, if round % 2 == 0 { "a" } else { "b" }, Outage::Host);
            assert_eq!(change == Change::Opened, round == RUN);
        }
        assert!(gate.refuses("a").is_some() && gate.admit("c").is_err());
    }

    #[test]
    fn a_key_that_is_not_served_closes_it_to_that_key_only() {
        let gate = gate();
        for _ in 0..RUN - 1 {
            assert_eq!(report(&gate, "bad", Outage::Service), Change::Nothing);
            assert_eq!(report(&gate, "good", Outage::No), Change::Nothing);
        }
        assert_eq!(report(&gate, "bad", Outage::Service), Change::Opened);
        assert!(gate.refuses("bad").is_some() && gate.admit("bad").is_err());
        assert!(gate.refuses("good").is_none());
        report(&gate, "good", Outage::No);
    }

    #[test]
    fn answers_and_what_is_not_known_close_nothing() {
        let gate = gate();
        for _ in 0..100 {
            report(&gate, "a", Outage::No);
            report(&gate, "a", Outage::Unknown);
            drop(gate.admit("a").unwrap());
        }
        assert!(gate.refuses("a").is_none());
        assert!(lock(gate.breakers.as_ref().unwrap()).keys.is_empty());
        let none = Gate::new(false, Rate::Off, 10);
        for _ in 0..100 {
            report(&none, "a", Outage::Host);
        }
        assert!(none.refuses("a").is_none() && none.limiter("a").is_none());
    }

    #[tokio::test]
    async fn a_probe_decides_for_the_host_and_all_its_keys_and_can_be_dropped() {
        let gate = gate();
        for _ in 0..RUN {
            report(&gate, "a", Outage::Service);
        }
        let left = gate.refuses("a").unwrap().max(gate.refuses("b").unwrap());
        tokio::time::sleep(left + Duration::from_millis(300)).await;
        let probe = gate.admit("a").unwrap();
        assert!(gate.admit("a").is_err() && gate.admit("b").is_err());
        drop(probe);
        let probe = gate.admit("a").unwrap();
        assert_eq!(probe.report(Outage::No), Change::Closed);
        assert!(gate.refuses("a").is_none() && gate.refuses("b").is_none());
    }

    #[test]
    fn limiters_are_one_for_each_key_and_not_kept_for_ever() {
        let gate = gate();
        let held = gate.limiter("held").unwrap();
        for index in 0..3 * MAX_KEYS {
            assert!(gate.limiter(&index.to_string()).is_some());
        }
        assert!(lock(&gate.limiters).len() <= MAX_KEYS + 1);
        assert!(Arc::ptr_eq(&held, &gate.limiter("held").unwrap()));
        let shared = Gate::new(true, Rate::Shared(200), 10);
        assert!(Arc::ptr_eq(&shared.limiter("a").unwrap(), &shared.limiter("b").unwrap()));
    }
}
