//! Where the result of one key in a batch goes.

use crate::error::Result;
use std::any::Any;
use std::sync::{Arc, Weak};

/// Where a key's result goes. Dropped unanswered, it says that there will be none.
pub(crate) struct Ticket<T> {
    #[allow(clippy::type_complexity)]
    answer: Option<Box<dyn FnOnce(Option<Result<T>>) + Send>>,
    waiters: Option<Waiters>,
}

/// Those who wait for a result: each of them holds the same thing, and so do some who do not wait.
#[derive(Clone)]
pub(crate) struct Waiters {
    held: Weak<dyn Any + Send + Sync>,
    others: usize,
}

impl Waiters {
    /// All who hold `held` but for so many.
    pub(crate) fn of<H: Any + Send + Sync>(held: &Arc<H>, others: usize) -> Self {
        let held: Weak<H> = Arc::downgrade(held);
        Self { held, others }
    }
}

impl<T> Ticket<T> {
    #[cfg(test)]
    pub(crate) fn new(answer: impl FnOnce(Option<Result<T>>) + Send + 'static) -> Self {
        Self::for_waiters(None, answer)
    }

    /// One that is wanted for as long as one of `waiters` is there, if it is for such.
    pub(crate) fn for_waiters(
        waiters: Option<Waiters>,
        answer: impl FnOnce(Option<Result<T>>) + Send + 'static,
    ) -> Self {
        Self { answer: Some(Box::new(answer)), waiters }
    }

    /// Whether anyone would have something of an answer.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiters.as_ref().is_none_or(|waiters| waiters.held.strong_count() > waiters.others)
    }

    pub(crate) fn answer(mut self, result: Result<T>) {
        if let Some(answer) = self.answer.take() {
            answer(Some(result));
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer(None);
        }
    }
}
