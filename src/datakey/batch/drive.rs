//! Who polls the calls to the key service.
//!
//! A call belongs to all who wait for what it brings, so no one of them can own it: a leader that
//! is dropped, or that is alive and not polled, would stop the others, and so would a runtime of
//! theirs that stands still. Where the crate has a runtime of its own, calls are tasks there.
//! Elsewhere everyone who waits polls everything that is under way, and a caller that goes away has
//! taken nothing with it.

use crate::datakey::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::datakey::sync::{Own, lock, own};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::BoxFuture;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

pub(crate) struct Driver {
    /// Calls that no runtime polls.
    orphans: Own<Vec<BoxFuture<'static, ()>>>,
    count: AtomicUsize,
    crowd: Arc<Crowd>,
}

/// How often one who waits starts anew because a call was dropped with the envelope that made it.
const MOST_LOST: u32 = 16;

/// Counts what was lost.
#[derive(Default)]
pub(crate) struct Lost(u32);

impl Lost {
    /// Whether to start anew.
    pub(crate) fn again(&mut self) -> Result<()> {
        self.0 += 1;
        if self.0 < MOST_LOST { Ok(()) } else { Err(gone()) }
    }
}

pub(crate) fn gone() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the envelope that called the key service is gone: try again",
    )
}

/// Everyone who has to look again when a call can go on, or a new one is there.
struct Crowd {
    present: Own<Present>,
    /// Counts the times it was woken.
    times: AtomicU64,
}

/// Those for whom calls are made. With the last of them go the calls that nobody polls, which would
/// otherwise hold each other, and keys with them, for ever.
#[derive(Default)]
struct Present {
    wakers: BTreeMap<u64, Waker>,
    /// Who waits, with or without a waker.
    seated: usize,
    /// Who may wait some time.
    homes: usize,
    seats: u64,
}

impl Default for Driver {
    fn default() -> Self {
        let crowd = Crowd {
            present: own(Present::default(), |parents| Present {
                // Without a count there is always someone.
                homes: parents.map_or(usize::MAX / 2, |parents| parents.homes),
                ..Present::default()
            }),
            times: AtomicU64::new(0),
        };
        let (orphans, count) = (own(Vec::new(), |_| Vec::new()), AtomicUsize::new(0));
        Self { orphans, count, crowd: Arc::new(crowd) }
    }
}

impl Present {
    fn is_empty(&self) -> bool {
        self.seated == 0 && self.homes == 0
    }
}

/// The place of one who waits among the others.
struct Seat<'a> {
    driver: &'a Driver,
    number: u64,
}

impl<'a> Seat<'a> {
    fn at(driver: &'a Driver) -> Self {
        let mut present = lock(&driver.crowd.present);
        present.seated += 1;
        present.seats += 1;
        Self { driver, number: present.seats }
    }

    fn take(&self, waker: &Waker) {
        lock(&self.driver.crowd.present).wakers.insert(self.number, waker.clone());
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Dropped outside the lock, as it may be the last hold of a task.
        let (_waker, empty) = {
            let mut present = lock(&self.driver.crowd.present);
            present.seated = present.seated.saturating_sub(1);
            (present.wakers.remove(&self.number), present.is_empty())
        };
        if empty {
            self.driver.abandon();
        }
    }
}

/// An envelope's word that it is there. Whoever waits keeps a call alive all the same, whichever
/// envelope made it.
pub(crate) struct Home(pub(crate) Arc<Driver>);

impl Home {
    pub(crate) fn new(driver: Arc<Driver>) -> Self {
        lock(&driver.crowd.present).homes += 1;
        Self(driver)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let empty = {
            let mut present = lock(&self.0.crowd.present);
            present.homes = present.homes.saturating_sub(1);
            present.is_empty()
        };
        if empty {
            self.0.abandon();
        }
    }
}

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.times.fetch_add(1, Ordering::SeqCst);
        let wakers = std::mem::take(&mut lock(&self.present).wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Driver {
    /// Has `work` done, whether or not anyone waits for it: here, until it first has to wait.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        #[cfg(all(
            any(feature = "tokio", feature = "kms", feature = "emulator"),
            not(test),
            not(shuttle)
        ))]
        match own::begin(work) {
            None => {}
            Some(work) => self.spawn(work),
        }
        #[cfg(not(all(
            any(feature = "tokio", feature = "kms", feature = "emulator"),
            not(test),
            not(shuttle)
        )))]
        self.adopt(work);
    }

    /// As [`start`](Self::start), and nothing of it here where that can be helped.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        #[cfg(all(
            any(feature = "tokio", feature = "kms", feature = "emulator"),
            not(test),
            not(shuttle)
        ))]
        let Err(work) = crate::runtime::spawn(work) else { return };
        self.adopt(work);
    }

    fn adopt(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.count.fetch_add(1, Ordering::SeqCst);
        lock(&self.orphans).push(Box::pin(work));
        Waker::from(self.crowd.clone()).wake();
    }

    /// Waits for `wanted`, and polls meanwhile what no runtime polls.
    pub(crate) async fn wait<F: Future>(&self, wanted: F) -> F::Output {
        let (mut wanted, seat) = (pin!(wanted), Seat::at(self));
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = wanted.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                // Before the look at what there is to poll: what comes after that look wakes this
                // one. Where there is nothing, too, as what is wanted may be on its way here in
                // another thread, which goes away once it has brought it.
                seat.take(cx.waker());
                if !self.advance() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Goes as far as it gets without waiting: for work that nobody waits for, where no runtime
    /// does it.
    pub(crate) fn nudge(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            while self.advance() {}
        }
    }

    /// Drops what no runtime polls.
    pub(crate) fn abandon(&self) {
        loop {
            // Dropped outside the lock, as it may leave others behind.
            let Some(work) = lock(&self.orphans).pop() else { break };
            self.count.fetch_sub(1, Ordering::SeqCst);
            drop(work);
        }
    }

    #[cfg(test)]
    pub(crate) fn seated(&self) -> usize {
        lock(&self.crowd.present).seated
    }

    #[cfg(shuttle)]
    pub(crate) fn orphans(&self) -> usize {
        lock(&self.orphans).len()
    }

    /// Polls every orphan once. Whether one of them ended.
    fn advance(&self) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let crowd = Waker::from(self.crowd.clone());
        let mut ended = false;
        let mut waiting = Vec::new();
        let before = self.crowd.times.load(Ordering::SeqCst);
        // One at a time and out of the lock, so that two threads that poll share the work.
        loop {
            let Some(mut work) = lock(&self.orphans).pop() else { break };
            match work.as_mut().poll(&mut Context::from_waker(&crowd)) {
                Poll::Ready(()) => {
                    self.count.fetch_sub(1, Ordering::SeqCst);
                    ended = true;
                }
                Poll::Pending => waiting.push(work),
            }
        }
        lock(&self.orphans).append(&mut waiting);
        // Somebody who was woken meanwhile has found these out of the list, so has to look once
        // more.
        if self.crowd.times.load(Ordering::SeqCst) != before {
            self.crowd.wake_by_ref();
        }
        ended
    }
}

/// With the crate's own runtime.
#[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(test), not(shuttle)))]
mod own {
    use crate::runtime;
    use crate::wrap::BoxFuture;
    use std::cell::Cell;
    use std::future::Future;
    use std::task::{Context, Waker};

    thread_local! {
        static BEGINNING: Cell<bool> = const { Cell::new(false) };
    }

    /// Polls `work` once, and gives it back if there is more to it: what needs no waiting, as with
    /// a local key, is not worth another thread.
    ///
    /// Not within itself: a queue of thousands, where the end of one call begins the next, would
    /// take as many frames of the stack.
    pub(super) fn begin(
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<BoxFuture<'static, ()>> {
        let mut work: BoxFuture<'static, ()> = Box::pin(work);
        // Its timers and sockets are to be those of the runtime that it goes on in.
        let (Ok(runtime), Some(_within)) = (runtime::get(), Within::enter()) else {
            return Some(work);
        };
        let _entered = runtime.enter();
        let begun = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        begun.is_pending().then_some(work)
    }

    struct Within;

    impl Within {
        fn enter() -> Option<Self> {
            (!BEGINNING.replace(true)).then_some(Self)
        }
    }

    impl Drop for Within {
        fn drop(&mut self) {
            BEGINNING.set(false);
        }
    }
}
