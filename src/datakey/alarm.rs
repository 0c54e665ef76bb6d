//! A future that ends after some time, without a runtime: the reaper's thread wakes it.
//!
//! Promises: dropped earlier, it leaves nothing behind. It rings at once where nobody would come:
//! if the system gives no thread, in a process that was forked off meanwhile, and where schedules
//! are explored, which know no time.

use crate::datakey::clock::Source;
use crate::datakey::reaper::{self, Due, Visit};
use crate::datakey::sync::{Own, lock, own};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) struct Alarm {
    bell: Arc<Bell>,
    _visit: Option<Visit>,
}

struct Bell(Own<BellState>);

struct BellState {
    rung: bool,
    waker: Option<Waker>,
}

impl Alarm {
    /// Rings after `time`.
    pub(crate) fn after(time: Duration, source: Source) -> Self {
        let at = (source.now)()
            .checked_add(time)
            .filter(|_| !time.is_zero() && !cfg!(shuttle) && reaper::start().is_ok());
        let state = BellState { rung: at.is_none(), waker: None };
        let bell = Arc::new(Bell(own(state, |_| BellState { rung: true, waker: None })));
        let whom: Arc<dyn Due> = bell.clone();
        let _visit = at.map(|at| Visit::book(at, Arc::downgrade(&whom)));
        Self { bell, _visit }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.bell.0);
        if state.rung {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Due for Bell {
    fn due(self: Arc<Self>, _: crate::datakey::clock::Instant) {
        let waker = {
            let mut state = lock(&self.0);
            state.rung = true;
            state.waker.take()
        };
        // Outside the lock: a waker may run its task at once.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
