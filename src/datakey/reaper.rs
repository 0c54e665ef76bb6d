//! One thread for all caches of the process, which comes when something is due.
//!
//! A key has to be gone at its time also when nobody asks for any key, so time has to pass on its
//! own. A thread does it and not a task, because the core has no runtime and because a runtime may
//! be busy or gone while keys are in memory.

use crate::datakey::clock::{Instant, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::process::PerProcess;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

#[cfg(all(test, not(shuttle)))]
pub(crate) use note::{note, noted};

/// Something that has to be done at a time.
pub(crate) trait Due: Send + Sync {
    /// Does what is due now. `at` is the time it was asked for; who has asked for another one since
    /// does not ask again, or visits would breed.
    fn due(self: Arc<Self>, at: Instant);
}

const BREATH: Duration = Duration::from_millis(20);
/// Threads are woken by a clock that stops while the machine sleeps. When it wakes up, what is over
/// by then is not to wait for the rest of that clock's time.
const LONGEST_NAP: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Reaper {
    book: Mutex<Book>,
    earlier: Condvar,
    started: Mutex<bool>,
}

/// Appointments, by time and then by number.
#[derive(Default)]
struct Book {
    visits: BTreeMap<(Instant, u64), Weak<dyn Due>>,
    numbers: u64,
}

/// In a process that was forked off there is another thread to start. What the parent had
/// appointments with holds copies of its keys, which are due at once.
static REAPER: LazyLock<PerProcess<Reaper>> = LazyLock::new(|| {
    PerProcess::new(Reaper::default(), |parents| {
        let visits = parents.book.try_lock().map(|book| book.visits.values().cloned().collect());
        let visits: Vec<_> = visits.unwrap_or_default();
        let numbers = visits.len() as u64;
        let visits = visits.into_iter().zip(0..).map(|(whom, n)| ((Instant::now(), n), whom));
        Reaper { book: Mutex::new(Book { visits: visits.collect(), numbers }), ..Reaper::default() }
    })
});

/// Starts the thread, if there is none.
///
/// # Errors
/// [`ErrorKind::Internal`] if the system does not give one: then no key may be kept.
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
                format!("cannot start the thread that wipes keys at their time: {error}"),
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

/// A visit of the reaper's. It is called off when this is dropped, so that who is gone leaves
/// nothing in the book.
pub(crate) struct Visit {
    at: Instant,
    number: u64,
}

impl Visit {
    pub(crate) fn book(at: Instant, whom: Weak<dyn Due>) -> Self {
        #[cfg(test)]
        let Some(whom) = note::take(at, whom) else { return Self { at, number: 0 } };
        // Without a thread nobody comes, until one can be had for another visit.
        let _ = start();
        let reaper: &'static Reaper = &REAPER;
        let mut book = lock(&reaper.book);
        book.numbers += 1;
        let number = book.numbers;
        book.visits.insert((at, number), whom);
        if book.visits.first_key_value().is_some_and(|(first, _)| *first == (at, number)) {
            reaper.earlier.notify_one();
        }
        Self { at, number }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let _whom = lock(&REAPER.book).visits.remove(&(self.at, self.number));
    }
}

/// When the reaper comes next to one who may want it sooner.
#[derive(Default)]
pub(crate) struct NextVisit(Option<Visit>);

impl NextVisit {
    /// Has `whom` visited at that time, if nothing comes sooner. Where time is a test's own, nobody
    /// comes.
    pub(crate) fn by<T: Due + 'static>(&mut self, at: Instant, source: Source, whom: &Arc<T>) {
        if source.real && self.0.as_ref().is_none_or(|next| at < next.at) {
            let whom: Arc<dyn Due> = whom.clone();
            self.0 = Some(Visit::book(at, Arc::downgrade(&whom)));
        }
    }

    /// Whether the visit of `at` is the one that was waited for; then another one may be.
    pub(crate) fn is(&mut self, at: Instant) -> bool {
        self.0.take_if(|next| next.at == at).is_some()
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Visits at that time, whoever's.
#[cfg(all(test, not(shuttle)))]
pub(crate) fn booked(at: Instant) -> usize {
    lock(&REAPER.book).visits.range((at, 0)..=(at, u64::MAX)).count()
}

impl Reaper {
    fn run(&self) {
        loop {
            let (at, whom) = self.next();
            if let Some(whom) = whom.upgrade() {
                // It may wake tasks of any executor. Whatever they do there, this thread has keys
                // to wipe.
                let _ = catch_unwind(AssertUnwindSafe(|| whom.due(at)));
            }
        }
    }

    fn next(&self) -> (Instant, Weak<dyn Due>) {
        let mut book = lock(&self.book);
        loop {
            let now = Instant::now();
            let wait = match book.visits.first_entry() {
                None => None,
                Some(next) if next.key().0 > now => Some(next.key().0 - now),
                Some(next) => {
                    let ((at, _), whom) = next.remove_entry();
                    return (at, whom);
                }
            };
            book = match wait {
                None => self.earlier.wait(book).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let nap = wait.min(LONGEST_NAP);
                    self.earlier.wait_timeout(book, nap).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// For tests with a clock of their own: visits are written down and not made.
#[cfg(test)]
#[cfg_attr(shuttle, allow(dead_code))]
mod note {
    use crate::datakey::clock::Instant;
    use crate::datakey::reaper::{Due, Weak};
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
