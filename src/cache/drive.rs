//! Who polls the calls to the key service.
//!
//! A call belongs to all who wait for what it brings, so no one of them can own it: a leader that is dropped, or that is alive and not polled,
//! would stop the others. Where there is a tokio runtime a call is therefore a task of its own. Elsewhere everyone who waits polls
//! everything that is under way, and a caller that goes away has taken nothing with it.

use super::sync::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    lock,
};
use crate::wrap::BoxFuture;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
pub(super) struct Driver {
    /// The runtime that the last call came from, for what is begun from a thread without one.
    #[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(shuttle)))]
    last: Mutex<Option<tokio::runtime::Handle>>,
    /// Calls that no runtime polls.
    orphans: Mutex<Vec<BoxFuture<'static, ()>>>,
    count: AtomicUsize,
    crowd: Arc<Crowd>,
}

/// Everyone who has to look again when a call can go on.
#[derive(Default)]
struct Crowd {
    wakers: Mutex<Vec<Waker>>,
    /// Counts the times it was woken.
    times: AtomicU64,
}

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.times.fetch_add(1, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *lock(&self.wakers));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Driver {
    /// Has `work` done, whether or not anyone waits for it.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        #[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(shuttle)))]
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
            *lock(&self.last) = Some(runtime);
            return;
        }
        self.adopt(work);
    }

    /// As [`start`](Self::start), from a thread that is nobody's.
    pub(super) fn start_from_afar(&self, work: impl Future<Output = ()> + Send + 'static) {
        #[cfg(all(any(feature = "tokio", feature = "kms", feature = "emulator"), not(shuttle)))]
        {
            // Not under the lock: a runtime that was shut down drops the work at once, and with it whatever that holds.
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
    pub(super) async fn wait<F: Future>(&self, wanted: F) -> F::Output {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = wanted.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                if !self.advance(cx) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Goes as far as it gets without waiting: for work that nobody waits for, where no runtime does it.
    pub(super) fn nudge(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            while self.advance(&Context::from_waker(Waker::noop())) {}
        }
    }

    /// Polls every orphan once. Whether one of them ended.
    fn advance(&self, cx: &Context<'_>) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        {
            let mut wakers = lock(&self.crowd.wakers);
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
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
        // Somebody who was woken meanwhile has found these out of the list, so has to look once more.
        if self.crowd.times.load(Ordering::SeqCst) != before {
            self.crowd.wake_by_ref();
        }
        ended
    }
}
