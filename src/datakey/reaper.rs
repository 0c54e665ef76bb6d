//! The reaper: one thread for all caches of the process, with timers.
//!
//! An expired key must be wiped even if no more keys are requested, so something must run at that
//! time. It is a thread and not a task, because the core has no runtime, and because a runtime may
//! be busy or gone while keys are in memory.

use crate::datakey::clock::{Instant, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::process::PerProcess;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

#[cfg(all(test, not(shuttle)))]
pub(crate) use record::{record_timers, recorded_timers};

/// The target of a timer.
pub(crate) trait Due: Send + Sync {
    /// Does what is due now. `at` is the time of the timer. A target that has set another timer
    /// since must not set one more, or timers would multiply.
    fn due(self: Arc<Self>, at: Instant);
}

/// The shortest interval between two timers of one target.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
/// A thread sleeps by a clock that stops while the machine sleeps. After that, expired keys must
/// not wait for the rest of the thread's sleep.
const MAX_SLEEP: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Reaper {
    timers: Mutex<Timers>,
    earlier: Condvar,
    started: Mutex<bool>,
}

/// By time, then by number.
#[derive(Default)]
struct Timers {
    set: BTreeMap<(Instant, u64), Weak<dyn Due>>,
    numbers: u64,
}

/// A forked child starts a thread of its own. The targets of the parent's timers hold copies of its
/// keys there, so they are due at once.
static REAPER: LazyLock<PerProcess<Reaper>> = LazyLock::new(|| {
    PerProcess::new(Reaper::default(), |parents| {
        let targets =
            parents.timers.try_lock().map(|timers| timers.set.values().cloned().collect());
        let targets: Vec<_> = targets.unwrap_or_default();
        let numbers = targets.len() as u64;
        let set = targets.into_iter().zip(0..).map(|(target, n)| ((Instant::now(), n), target));
        Reaper { timers: Mutex::new(Timers { set: set.collect(), numbers }), ..Reaper::default() }
    })
});

/// Starts the thread, if there is none.
///
/// # Errors
/// [`ErrorKind::Internal`] if the thread cannot be started: then no key may be cached.
pub(crate) fn start() -> Result<()> {
    let reaper: &'static Reaper = &REAPER;
    let mut started = reaper.started.lock().unwrap_or_else(PoisonError::into_inner);
    if *started {
        return Ok(());
    }
    std::thread::Builder::new().name("ncp-reaper".to_owned()).spawn(|| reaper.run()).map_err(
        |error| {
            Error::with_source(
                ErrorKind::Internal,
                format!("cannot start the thread that wipes expired keys: {error}"),
                error,
            )
        },
    )?;
    *started = true;
    Ok(())
}

/// `at`, but at least a short interval after `now`, however many keys expire one after the other.
pub(crate) fn no_sooner(at: Instant, now: Instant) -> Instant {
    now.checked_add(MIN_INTERVAL).map_or(at, |soonest| at.max(soonest))
}

/// A timer. Dropping it cancels it, so that a target that is gone leaves no entry behind.
pub(crate) struct Timer {
    at: Instant,
    number: u64,
}

impl Timer {
    pub(crate) fn set(at: Instant, target: Weak<dyn Due>) -> Self {
        #[cfg(test)]
        let Some(target) = record::take(at, target) else { return Self { at, number: 0 } };
        // Without a thread the timer does not fire until a later one starts the thread.
        let _ = start();
        let reaper: &'static Reaper = &REAPER;
        let mut timers = lock(&reaper.timers);
        timers.numbers += 1;
        let number = timers.numbers;
        timers.set.insert((at, number), target);
        if timers.set.first_key_value().is_some_and(|(first, _)| *first == (at, number)) {
            reaper.earlier.notify_one();
        }
        Self { at, number }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _target = lock(&REAPER.timers).set.remove(&(self.at, self.number));
    }
}

/// The next timer of a target, which can be moved to an earlier time.
#[derive(Default)]
pub(crate) struct NextTimer(Option<Timer>);

impl NextTimer {
    /// Sets a timer for `at`, unless an earlier one is set. No-op for the clock of a test.
    pub(crate) fn by<T: Due + 'static>(&mut self, at: Instant, source: Source, target: &Arc<T>) {
        if source.real && self.0.as_ref().is_none_or(|next| at < next.at) {
            let target: Arc<dyn Due> = target.clone();
            self.0 = Some(Timer::set(at, Arc::downgrade(&target)));
        }
    }

    /// Whether the timer that fired at `at` is this one; clears it then, so that another can be
    /// set.
    pub(crate) fn is(&mut self, at: Instant) -> bool {
        self.0.take_if(|next| next.at == at).is_some()
    }
}

fn lock(timers: &Mutex<Timers>) -> MutexGuard<'_, Timers> {
    timers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Number of timers set for that time, of all targets.
#[cfg(all(test, not(shuttle)))]
pub(crate) fn timers_at(at: Instant) -> usize {
    lock(&REAPER.timers).set.range((at, 0)..=(at, u64::MAX)).count()
}

impl Reaper {
    fn run(&self) {
        loop {
            let (at, target) = self.next();
            if let Some(target) = target.upgrade() {
                // It may wake tasks of any executor. Even if those panic, this thread has keys to
                // wipe.
                let _ = catch_unwind(AssertUnwindSafe(|| target.due(at)));
            }
        }
    }

    fn next(&self) -> (Instant, Weak<dyn Due>) {
        let mut timers = lock(&self.timers);
        loop {
            let now = Instant::now();
            let wait = match timers.set.first_entry() {
                None => None,
                Some(next) if next.key().0 > now => Some(next.key().0 - now),
                Some(next) => {
                    let ((at, _), target) = next.remove_entry();
                    return (at, target);
                }
            };
            timers = match wait {
                None => self.earlier.wait(timers).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let wait = wait.min(MAX_SLEEP);
                    let woken = self.earlier.wait_timeout(timers, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// For tests with a clock of their own: timers are recorded and not set.
#[cfg(test)]
#[cfg_attr(shuttle, allow(dead_code))]
mod record {
    use crate::datakey::clock::Instant;
    use crate::datakey::reaper::{Due, Weak};
    use std::cell::RefCell;

    type Timers = Vec<(Instant, Weak<dyn Due>)>;

    thread_local! {
        static RECORDED: RefCell<Option<Timers>> = const { RefCell::new(None) };
    }

    /// Starts to record the timers of this thread.
    pub(crate) fn record_timers() {
        RECORDED.set(Some(Vec::new()));
    }

    pub(crate) fn recorded_timers<T>(look: impl FnOnce(&mut Timers) -> T) -> T {
        RECORDED.with_borrow_mut(|timers| look(timers.as_mut().expect("nothing is recorded")))
    }

    pub(crate) fn take(at: Instant, target: Weak<dyn Due>) -> Option<Weak<dyn Due>> {
        RECORDED.with_borrow_mut(|timers| match timers {
            Some(timers) => {
                timers.push((at, target));
                None
            }
            None => Some(target),
        })
    }
}
