//! Polls the calls to the key service, on any executor.
//!
//! A call is shared by all its waiters, so none of them can own it: a waiter that is dropped, or
//! not polled, or whose runtime blocks, would stall the others. With one of the features `kms`,
//! `tokio` and `emulator`, the crate has a runtime of its own and calls are its tasks. Without,
//! every waiter polls all calls in flight, and dropping a waiter drops no call.

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
    /// Calls that no runtime polls: waiters do.
    orphans: Own<Vec<BoxFuture<'static, ()>>>,
    count: AtomicUsize,
    pollers: Arc<Pollers>,
}

/// How often a waiter starts again because its call was dropped with the envelope that made it.
const MOST_LOST: u32 = 16;

/// Counts the dropped calls of one waiter.
#[derive(Default)]
pub(crate) struct Lost(u32);

impl Lost {
    /// Counts one more; an error if there were too many to start again.
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

/// The waiters that poll the orphans. Waking this wakes all of them: a call can make progress, or
/// there is a new one.
struct Pollers {
    registry: Own<Registry>,
    /// Counts wake-ups.
    times: AtomicU64,
}

/// Waiters and envelopes. When the last is dropped, the orphans are dropped as well: they would
/// otherwise keep each other, and their keys, alive for ever.
#[derive(Default)]
struct Registry {
    wakers: BTreeMap<u64, Waker>,
    /// Number of waiters, with or without a waker.
    waiting: usize,
    /// Number of envelopes, which may have waiters later.
    envelopes: usize,
    /// The number of the last waiter.
    last: u64,
}

impl Default for Driver {
    fn default() -> Self {
        let pollers = Pollers {
            registry: own(Registry::default(), |parents| Registry {
                // Without a count, orphans are never dropped.
                envelopes: parents.map_or(usize::MAX / 2, |parents| parents.envelopes),
                ..Registry::default()
            }),
            times: AtomicU64::new(0),
        };
        let (orphans, count) = (own(Vec::new(), |_| Vec::new()), AtomicUsize::new(0));
        Self { orphans, count, pollers: Arc::new(pollers) }
    }
}

impl Registry {
    fn is_empty(&self) -> bool {
        self.waiting == 0 && self.envelopes == 0
    }
}

/// A registered waiter.
struct Registered<'a> {
    driver: &'a Driver,
    number: u64,
}

impl<'a> Registered<'a> {
    fn new(driver: &'a Driver) -> Self {
        let mut registry = lock(&driver.pollers.registry);
        registry.waiting += 1;
        registry.last += 1;
        Self { driver, number: registry.last }
    }

    fn set_waker(&self, waker: &Waker) {
        lock(&self.driver.pollers.registry).wakers.insert(self.number, waker.clone());
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        // Dropped outside the lock: it may hold the last reference to a task.
        let (_waker, empty) = {
            let mut registry = lock(&self.driver.pollers.registry);
            registry.waiting = registry.waiting.saturating_sub(1);
            (registry.wakers.remove(&self.number), registry.is_empty())
        };
        if empty {
            self.driver.drop_orphans();
        }
    }
}

/// Keeps orphans alive for as long as an envelope exists. A waiter keeps them alive as well,
/// whichever envelope started them.
pub(crate) struct KeepAlive(pub(crate) Arc<Driver>);

impl KeepAlive {
    pub(crate) fn new(driver: Arc<Driver>) -> Self {
        lock(&driver.pollers.registry).envelopes += 1;
        Self(driver)
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        let empty = {
            let mut registry = lock(&self.0.pollers.registry);
            registry.envelopes = registry.envelopes.saturating_sub(1);
            registry.is_empty()
        };
        if empty {
            self.0.drop_orphans();
        }
    }
}

impl Wake for Pollers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.times.fetch_add(1, Ordering::SeqCst);
        let wakers = std::mem::take(&mut lock(&self.registry).wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Driver {
    /// Runs `work` to its end, with or without waiters. Polls it once on this thread.
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

    /// Same as [`start`](Self::start), but does not poll on this thread if there is a runtime.
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
        Waker::from(self.pollers.clone()).wake();
    }

    /// Waits for `wanted`, and polls the orphans meanwhile.
    ///
    /// An orphan that waits polls no other and counts as no waiter: a thousand of them would be
    /// polled within each other, and they would keep each other alive.
    pub(crate) async fn wait<F: Future>(&self, wanted: F) -> F::Output {
        let (mut wanted, mut registered) = (pin!(wanted), None);
        poll_fn(|cx| {
            // Not `will_wake`: it may say no of two wakers of one `Arc`.
            let is_orphan = cx.waker().data() == Arc::as_ptr(&self.pollers).cast();
            loop {
                if let Poll::Ready(output) = wanted.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                if is_orphan {
                    return Poll::Pending;
                }
                let registered = registered.get_or_insert_with(|| Registered::new(self));
                // Before polling the orphans: one that is added after that wakes this waiter. Also
                // without orphans: another thread may be about to add the call that is waited for,
                // and may not poll it again.
                registered.set_waker(cx.waker());
                if !self.advance() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Polls the orphans as far as they get without waiting: for work without waiters, where there
    /// is no runtime.
    pub(crate) fn nudge(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            while self.advance() {}
        }
    }

    /// Drops the orphans.
    pub(crate) fn drop_orphans(&self) {
        loop {
            // Dropped outside the lock: dropping one may add others.
            let Some(work) = lock(&self.orphans).pop() else { break };
            self.count.fetch_sub(1, Ordering::SeqCst);
            drop(work);
        }
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.pollers.registry).waiting
    }

    #[cfg(shuttle)]
    pub(crate) fn orphans(&self) -> usize {
        lock(&self.orphans).len()
    }

    /// Polls every orphan once. Returns whether one of them completed.
    fn advance(&self) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let wake_all = Waker::from(self.pollers.clone());
        let mut ended = false;
        let mut waiting = Vec::new();
        let before = self.pollers.times.load(Ordering::SeqCst);
        // One at a time and outside the lock, so that two polling threads share the work.
        loop {
            let Some(mut work) = lock(&self.orphans).pop() else { break };
            match work.as_mut().poll(&mut Context::from_waker(&wake_all)) {
                Poll::Ready(()) => {
                    self.count.fetch_sub(1, Ordering::SeqCst);
                    ended = true;
                }
                Poll::Pending => waiting.push(work),
            }
        }
        lock(&self.orphans).append(&mut waiting);
        // A waiter that was woken meanwhile did not find these in the list: wake it again.
        if self.pollers.times.load(Ordering::SeqCst) != before {
            self.pollers.wake_by_ref();
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

    /// Polls `work` once and returns it if it is pending: work that needs no waiting, as with a
    /// local key, is not worth a switch to another thread.
    ///
    /// Does not nest: a queue of thousands, where the end of one call starts the next, would
    /// overflow the stack.
    pub(super) fn begin(
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<BoxFuture<'static, ()>> {
        let mut work: BoxFuture<'static, ()> = Box::pin(work);
        // Its timers and sockets must belong to the runtime that will poll it.
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
