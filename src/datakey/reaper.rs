//! One thread for all caches of the process, which comes when something is due.
//!
//! A key has to be gone at its time also when nobody asks for any key, so time has to pass on its
//! own. A thread does it and not a task, because the core has no runtime and because a runtime may
//! be busy or gone while keys are in memory.

use crate::datakey::clock::Source;
use crate::error::{Error, ErrorKind, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

#[cfg(all(test, not(shuttle)))]
pub(crate) use note::{note, noted};

/// Something that has to be done at a time.
pub(crate) trait Due: Send + Sync {
    /// Does what is due now. `at` is the time it was asked for; who has asked for another one since
    /// does not ask again, or visits would breed.
    fn due(self: Arc<Self>, at: Instant);
}

const BREATH: Duration = Duration::from_millis(20);

struct Reaper {
    queue: Mutex<BinaryHeap<Reverse<Appointment>>>,
    earlier: Condvar,
}

struct Appointment {
    at: Instant,
    whom: Weak<dyn Due>,
}

static REAPER: OnceLock<Reaper> = OnceLock::new();
static START: Mutex<bool> = Mutex::new(false);

/// Starts the thread, if there is none.
///
/// # Errors
/// [`ErrorKind::Internal`] if the system does not give one: then no key may be kept.
pub(crate) fn start() -> Result<()> {
    let mut started = START.lock().unwrap_or_else(PoisonError::into_inner);
    if *started {
        return Ok(());
    }
    let reaper = REAPER.get_or_init(|| Reaper { queue: Mutex::default(), earlier: Condvar::new() });
    std::thread::Builder::new().name("ncp-reaper".to_owned()).spawn(|| reaper.run()).map_err(
        |error| {
            Error::with_source(
                ErrorKind::Internal,
                "cannot start the thread that wipes keys at their time",
                error,
            )
        },
    )?;
    *started = true;
    Ok(())
}

/// Not long after `now`, however many things end one after the other.
pub(crate) fn no_sooner(at: Instant, now: Instant) -> Instant {
    now.checked_add(BREATH).map_or(at, |soonest| at.max(soonest))
}

/// Has `whom` visited at that time, unless it is gone by then.
pub(crate) fn visit(at: Instant, whom: Weak<dyn Due>) {
    #[cfg(test)]
    let Some(whom) = note::take(at, whom) else { return };
    if let Some(reaper) = REAPER.get() {
        let mut queue = reaper.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let first = queue.peek().is_none_or(|Reverse(next)| at < next.at);
        queue.push(Reverse(Appointment { at, whom }));
        if first {
            reaper.earlier.notify_one();
        }
    }
}

/// When the reaper comes next to one who may want it sooner.
#[derive(Default)]
pub(crate) struct NextVisit(Option<Instant>);

impl NextVisit {
    /// Has `whom` visited at that time, if nothing comes sooner. Where time is a test's own, nobody
    /// comes.
    pub(crate) fn by<T: Due + 'static>(&mut self, at: Instant, source: Source, whom: &Arc<T>) {
        if source.real && self.0.is_none_or(|next| at < next) {
            self.0 = Some(at);
            let whom: Arc<dyn Due> = whom.clone();
            visit(at, Arc::downgrade(&whom));
        }
    }

    /// Whether the visit of `at` is the one that was waited for; then another one may be.
    pub(crate) fn is(&mut self, at: Instant) -> bool {
        self.0.take_if(|next| *next == at).is_some()
    }
}

impl Reaper {
    fn run(&self) {
        loop {
            let Appointment { at, whom } = self.next();
            if let Some(whom) = whom.upgrade() {
                // It may wake tasks of any executor. Whatever they do there, this thread has keys
                // to wipe.
                let _ = catch_unwind(AssertUnwindSafe(|| whom.due(at)));
            }
        }
    }

    fn next(&self) -> Appointment {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let wait = match queue.peek() {
                None => None,
                Some(Reverse(next)) if next.at > now => Some(next.at - now),
                Some(_) => match queue.pop() {
                    Some(Reverse(visit)) => return visit,
                    None => None,
                },
            };
            queue = match wait {
                None => self.earlier.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    self.earlier.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl PartialEq for Appointment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Appointment {}

impl PartialOrd for Appointment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Appointment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// For tests with a clock of their own: visits are written down and not made.
#[cfg(test)]
#[cfg_attr(shuttle, allow(dead_code))]
mod note {
    use crate::datakey::reaper::{Due, Instant, Weak};
    use std::cell::RefCell;

    type Visits = Vec<(Instant, Weak<dyn Due>)>;

    thread_local! {
        static NOTED: RefCell<Option<Visits>> = const { RefCell::new(None) };
    }

    /// Begins to write down what this thread asks for.
    pub(crate) fn note() {
        NOTED.set(Some(Vec::new()));
    }

    pub(crate) fn noted<T>(look: impl FnOnce(&mut Visits) -> T) -> T {
        NOTED.with_borrow_mut(|visits| look(visits.as_mut().expect("nothing is noted")))
    }

    pub(crate) fn take(at: Instant, whom: Weak<dyn Due>) -> Option<Weak<dyn Due>> {
        NOTED.with_borrow_mut(|visits| match visits {
            Some(visits) => {
                visits.push((at, whom));
                None
            }
            None => Some(whom),
        })
    }
}
