//! Who polls the calls to the key service.
//!
//! A call belongs to all who wait for what it brings, so no one of them can own it: a leader that
//! is dropped, or that is alive and not polled, would stop the others. Where there is a tokio
//! runtime a call is therefore a task of its own. Elsewhere everyone who waits polls everything
//! that is under way, and a caller that goes away has taken nothing with it.

use crate::datakey::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::datakey::sync::{Mutex, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::BoxFuture;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
pub(crate) struct Driver {
    /// The runtime that the last call came from, for what is begun from a thread without one.
    #[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(shuttle)))]
    last: Mutex<Option<tokio::runtime::Handle>>,
    /// Calls that no runtime polls.
    orphans: Mutex<Vec<BoxFuture<'static, ()>>>,
    count: AtomicUsize,
    crowd: Arc<Crowd>,
}

/// How often one who waits starts anew because work was lost with its runtime. Runtimes end; but
/// within one that has ended, all work is lost.
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
    Error::new(ErrorKind::Unavailable, "the runtime that called the key service is gone: try again")
}

/// Everyone who has to look again when a call can go on, or a new one is there.
#[derive(Default)]
struct Crowd {
    wakers: Mutex<BTreeMap<u64, Waker>>,
    /// Counts the times it was woken.
    times: AtomicU64,
    seats: AtomicU64,
}

/// The place of one who waits among the others.
struct Seat<'a> {
    crowd: &'a Crowd,
    number: u64,
}

impl Crowd {
    fn seat(&self) -> Seat<'_> {
        Seat { crowd: self, number: self.seats.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Seat<'_> {
    fn take(&self, waker: &Waker) {
        lock(&self.crowd.wakers).insert(self.number, waker.clone());
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Dropped outside the lock, as it may be the last hold of a task.
        let _waker = lock(&self.crowd.wakers).remove(&self.number);
    }
}

/// Those for whom calls are made. With the last of them go the calls that nobody polls, which would
/// otherwise hold each other, and keys with them, for ever.
pub(crate) struct Home(pub(crate) Arc<Driver>);

impl Drop for Home {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.times.fetch_add(1, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *lock(&self.wakers));
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Driver {
    /// Has `work` done, whether or not anyone waits for it.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        #[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(shuttle)))]
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
            *lock(&self.last) = Some(runtime);
            return;
        }
        self.adopt(work);
    }

    /// As [`start`](Self::start), from a thread that is nobody's.
    pub(crate) fn start_from_afar(&self, work: impl Future<Output = ()> + Send + 'static) {
        #[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(shuttle)))]
        {
            // Not under the lock: a runtime that was shut down drops the work at once, and with it
            // whatever that holds.
            let last = lock(&self.last).clone();
            if let Some(runtime) = last {
                runtime.spawn(work);
                return;
            }
        }
        self.adopt(work);
    }

    fn adopt(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.count.fetch_add(1, Ordering::SeqCst);
        lock(&self.orphans).push(Box::pin(work));
        Waker::from(self.crowd.clone()).wake();
    }

    /// Waits for `wanted`, and polls meanwhile what no runtime polls.
    pub(crate) async fn wait<F: Future>(&self, wanted: F) -> F::Output {
        let (mut wanted, seat) = (pin!(wanted), self.crowd.seat());
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
        lock(&self.crowd.wakers).len()
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
