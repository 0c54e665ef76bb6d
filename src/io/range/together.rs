//! Requests that are in flight at the same time, on any executor.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Futures whose results are wanted in the order in which they were started.
pub(super) struct InOrder<F: Future>(VecDeque<State<F>>);

enum State<F: Future> {
    Begun(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> InOrder<F> {
    pub(super) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, future: F) {
        self.0.push_back(State::Begun(Box::pin(future)));
    }

    /// The result of the first one; all others make progress meanwhile.
    pub(super) async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| {
            for state in &mut self.0 {
                if let State::Begun(future) = state
                    && let Poll::Ready(output) = future.as_mut().poll(context)
                {
                    *state = State::Done(output);
                }
            }
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(State::Done(output)) => Poll::Ready(Some(output)),
                Some(begun) => {
                    self.0.push_front(begun);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Yields to other tasks once.
pub(super) async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if given {
            return Poll::Ready(());
        }
        given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::wait;
    use std::cell::RefCell;

    #[test]
    fn results_come_in_order_and_all_go_on_at_the_same_time() {
        let polled = RefCell::new(Vec::new());
        let slow = |number: usize, turns: usize| {
            let polled = &polled;
            async move {
                for _ in 0..turns {
                    polled.borrow_mut().push(number);
                    give_way().await;
                }
                number
            }
        };
        let mut all = InOrder::new();
        for (number, turns) in [(0, 3), (1, 0), (2, 1)] {
            all.push(slow(number, turns));
        }
        assert_eq!(all.len(), 3);
        let order = wait(async {
            let mut order = Vec::new();
            while let Some(number) = all.next().await {
                order.push(number);
            }
            order
        });
        assert_eq!(order.unwrap(), [0, 1, 2]);
        assert_eq!(*polled.borrow(), [0, 2, 0, 0]);
    }
}
