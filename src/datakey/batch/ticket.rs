//! The receiver of one key's result.

use crate::error::Result;
use std::any::Any;
use std::sync::{Arc, Weak};

/// Receives a key's result. Dropping it unanswered reports that there will be none.
pub(crate) struct Ticket<T> {
    #[allow(clippy::type_complexity)]
    answer: Option<Box<dyn FnOnce(Option<Result<T>>) + Send>>,
    waiters: Option<Waiters>,
}

/// Counts the waiters of a result by their references to one object, less those of other holders.
#[derive(Clone)]
pub(crate) struct Waiters {
    held: Weak<dyn Any + Send + Sync>,
    others: usize,
}

impl Waiters {
    /// All holders of `held` except for `others`.
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

    /// A ticket that is wanted for as long as one of `waiters` exists; always, if `None`.
    pub(crate) fn for_waiters(
        waiters: Option<Waiters>,
        answer: impl FnOnce(Option<Result<T>>) + Send + 'static,
    ) -> Self {
        Self { answer: Some(Box::new(answer)), waiters }
    }

    /// Whether anyone needs the answer.
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
