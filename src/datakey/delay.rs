//! A future that completes after a duration, on any executor: the reaper's thread wakes it.
//!
//! Promises: dropping it earlier cancels its timer. It completes at once where no timer can be set:
//! without a thread, in a forked child, and in the schedule explorer, which has no time.

use crate::datakey::clock::Source;
use crate::datakey::reaper::{self, Due, Timer};
use crate::datakey::sync::{Own, lock, own};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) struct Delay {
    shared: Arc<Shared>,
    _timer: Option<Timer>,
}

struct Shared(Own<State>);

struct State {
    elapsed: bool,
    waker: Option<Waker>,
}

impl Delay {
    /// Completes after `time`.
    pub(crate) fn new(time: Duration, source: Source) -> Self {
        let at = (source.now)()
            .checked_add(time)
            .filter(|_| !time.is_zero() && !cfg!(shuttle) && reaper::start().is_ok());
        let state = State { elapsed: at.is_none(), waker: None };
        let shared = Arc::new(Shared(own(state, |_| State { elapsed: true, waker: None })));
        let target: Arc<dyn Due> = shared.clone();
        let _timer = at.map(|at| Timer::set(at, Arc::downgrade(&target)));
        Self { shared, _timer }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.shared.0);
        if state.elapsed {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Due for Shared {
    fn due(self: Arc<Self>, _: crate::datakey::clock::Instant) {
        let waker = {
            let mut state = lock(&self.0);
            state.elapsed = true;
            state.waker.take()
        };
        // Outside the lock: a waker may run its task at once.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
