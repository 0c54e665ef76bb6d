//! The rate limiter: a bounded FIFO queue of calls that stays under the limit of the service.
//!
//! Promises: the service never sees more calls in a second than the limit, whatever window it
//! counts in and whatever the network delays; calls go in FIFO order; a call that cannot go before
//! its deadline fails at once; a cancelled waiter leaves no trace. If the service throttles all the
//! same, because others share the limit, the rate is halved and recovers in seconds. A
//! `Retry-After` is respected; a long one is probed by one call every few seconds, and calls whose
//! turn does not come fail at once. This module knows nothing of what a call is.

mod pace;

use pace::{Go, Pace, Wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The queue of one limit.
#[derive(Debug)]
pub(crate) struct Limiter {
    pace: Mutex<Pace>,
    /// Held by the caller at the head of the queue. Its waiters are served in order.
    head: tokio::sync::Mutex<()>,
    answered: Notify,
    queued: AtomicUsize,
    longest_queue: usize,
}

/// Why a call may not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The queue is full.
    QueueFull,
    /// The deadline passes before its turn, which comes at this time, if that is known.
    TooLate(Option<Instant>),
}

/// A call's slot; free again one second after it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    limiter: &'a Limiter,
    went: Go,
}

impl Limiter {
    /// At most `limit` calls in any second, and `longest_queue` waiters.
    pub(crate) fn new(limit: u32, longest_queue: usize) -> Self {
        Self {
            pace: Mutex::new(Pace::new(limit, Instant::now())),
            head: tokio::sync::Mutex::new(()),
            answered: Notify::new(),
            queued: AtomicUsize::new(0),
            longest_queue,
        }
    }

    /// Waits for its turn. The flag is true if that took any time.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<(Place<'_>, bool), Denied> {
        let _queued = Queued::join(self)?;
        let mut waited = false;
        let _head = match self.head.try_lock() {
            Ok(head) => head,
            Err(_) => {
                // The caller at the head finds out for all.
                let asked = self.pace().asked_beyond(deadline);
                if let Some(asked) = asked {
                    return Err(Denied::TooLate(Some(asked)));
                }
                waited = true;
                let late = |_| Denied::TooLate(None);
                timeout_at(deadline, self.head.lock()).await.map_err(late)?
            }
        };
        loop {
            let wait = match self.pace().take(Instant::now()) {
                Ok(went) => return Ok((Place { limiter: self, went }, waited)),
                Err(wait) => wait,
            };
            waited = true;
            match wait {
                // Known already, so the call need not wait for it.
                Wait::Until(at) if at >= deadline => return Err(Denied::TooLate(Some(at))),
                Wait::Until(at) => sleep_until(at).await,
                Wait::ForAnswer => timeout_at(deadline, self.answered.notified())
                    .await
                    .map_err(|_| Denied::TooLate(None))?,
            }
        }
    }

    /// A slot at once, before all waiters: for the rare request on which all others depend.
    pub(crate) fn jump(&self) -> Place<'_> {
        self.pace().force(Instant::now());
        Place { limiter: self, went: Go::WithOthers }
    }

    /// Whether a new limiter would be the same.
    pub(crate) fn is_idle(&self) -> bool {
        self.queued.load(Ordering::Relaxed) == 0 && self.pace().is_idle(Instant::now())
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// The service throttled the call, and asked for a pause of `wait`.
    pub(crate) fn refused(&self, wait: Option<Duration>) {
        self.limiter.pace().refused(Instant::now(), wait);
    }

    /// The service answered, and did not throttle.
    pub(crate) fn served(&self) {
        if self.went == Go::AsProbe {
            self.limiter.pace().probe_served(Instant::now());
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limiter.pace().ended(Instant::now(), self.went);
        self.limiter.answered.notify_one();
    }
}

/// Counts one caller in the queue while it lives.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn join(limiter: &'a Limiter) -> Result<Self, Denied> {
        // The caller at the head does not wait for others, so it does not count.
        let joined = limiter.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |queued| {
            (queued <= limiter.longest_queue).then_some(queued + 1)
        });
        joined.map(|_| Self(&limiter.queued)).map_err(|_| Denied::QueueFull)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const SECOND: Duration = Duration::from_secs(1);

    fn soon() -> Instant {
        Instant::now() + 60 * SECOND
    }

    #[tokio::test]
    async fn callers_go_in_the_order_in_which_they_came() {
        let limiter = Arc::new(Limiter::new(50, 100));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for index in 0..30 {
            let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _place = limiter.enter(soon()).await.unwrap();
                order.lock().unwrap().push(index);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..30).collect::<Vec<_>>());
        assert_eq!(limiter.queued.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_whoever_gives_up_leaves_it() {
        let limiter = Limiter::new(1, 2);
        let (place, waited) = limiter.enter(soon()).await.unwrap();
        assert!(!waited);
        {
            let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(limiter.enter(soon()))).collect();
            for waiter in &mut waiting {
                assert!(tokio::time::timeout(Duration::from_millis(1), waiter).await.is_err());
            }
            assert_eq!(limiter.enter(soon()).await.unwrap_err(), Denied::QueueFull);
            // The head of the queue goes away; the next takes its place.
            drop(waiting.remove(0));
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut waiting[0]).await.is_err());
        }
        assert_eq!(limiter.queued.load(Ordering::Relaxed), 0);
        assert!(!limiter.is_idle());
        drop(place);
        assert!(limiter.enter(soon()).await.unwrap().1);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_comes_after_the_deadline() {
        let limiter = Limiter::new(1, 10);
        drop(limiter.enter(soon()).await.unwrap());
        let late = |denied| match denied {
            Denied::TooLate(at) => at,
            Denied::QueueFull => panic!("the queue is not full"),
        };
        let at = late(limiter.enter(Instant::now() + SECOND / 2).await.unwrap_err()).unwrap();
        assert!(at > Instant::now() + SECOND / 2 && at < Instant::now() + 2 * SECOND);
        limiter.jump().refused(Some(3_600 * SECOND));
        // No call can probe in time; later one can, and the others fail at once.
        let short = Instant::now() + 5 * SECOND;
        assert!(late(limiter.enter(short).await.unwrap_err()).unwrap() > short);
        let mut first = Box::pin(limiter.enter(soon()));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut first).await.is_err());
        let asked = late(limiter.enter(soon()).await.unwrap_err()).unwrap();
        assert!(asked > Instant::now() + 3_500 * SECOND);
        drop(first);
        assert!(!limiter.is_idle());
        let limiter = Limiter::new(1, 10);
        let _place = limiter.enter(soon()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        // When the call in flight is answered is not known.
        let denied = limiter.enter(Instant::now() + SECOND / 20).await.unwrap_err();
        assert_eq!(denied, Denied::TooLate(None));
    }
}
