//! One load that many wait for, independent of any async runtime.

use crate::error::Result;
use crate::secret::DataKey;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

pub(super) enum Role {
    Lead(Arc<Flight>),
    Join(Arc<Flight>),
}

type Outcome = Option<Result<Arc<DataKey>>>;

pub(super) struct Flight(Mutex<State>);

enum State {
    Flying(Vec<Waker>),
    // None: the leader went away without a result.
    Landed(Outcome),
}

impl Flight {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::Flying(Vec::new())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives everyone who waits the outcome. Only the first call counts.
    pub(super) fn finish(&self, outcome: Outcome) {
        let wakers = {
            let mut state = self.state();
            let State::Flying(wakers) = &mut *state else { return };
            let wakers = std::mem::take(wakers);
            *state = State::Landed(outcome);
            wakers
        };
        // Outside the lock: a waker may run its task at once.
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) async fn wait(&self) -> Outcome {
        poll_fn(|cx| match &mut *self.state() {
            State::Landed(outcome) => Poll::Ready(outcome.clone()),
            State::Flying(wakers) => {
                if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }
}
