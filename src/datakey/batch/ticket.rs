//! Where the result of one key in a batch goes.

use crate::error::Result;

/// Where a key's result goes. Dropped unanswered, it says that there will be none.
pub(crate) struct Ticket<T> {
    #[allow(clippy::type_complexity)]
    answer: Option<Box<dyn FnOnce(Option<Result<T>>) + Send>>,
}

impl<T> Ticket<T> {
    pub(crate) fn new(answer: impl FnOnce(Option<Result<T>>) + Send + 'static) -> Self {
        Self { answer: Some(Box::new(answer)) }
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
