//! Work that one caller does for all who need it done.
//!
//! Promises: it is single flight; whoever waited shares the result, a failure included; a caller
//! that gives up waiting never blocks the others, and one that gives up working leaves the turn to
//! the next. This module knows nothing of the work.

use crate::error::{Error, Result};
use crate::process::PerProcess;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long nobody tries again ahead of need, after that failed.
const POSTPONED: Duration = Duration::from_secs(30);

/// Whose turn it is, in each process.
pub(crate) struct Turn(PerProcess<State>);

#[derive(Default)]
struct State {
    /// Held while the work is under way; holds why it failed last.
    failure: Mutex<Option<Error>>,
    /// Works that ended, well or not. Changed while `failure` is held only.
    ended: AtomicU64,
    /// When the work was done last without success.
    in_vain: Lock<Option<Instant>>,
}

impl Default for Turn {
    fn default() -> Self {
        // Nobody is at it in a process that was forked off.
        Self(PerProcess::each(State::default))
    }
}

impl Turn {
    /// Does `work`, unless it is `done` when this caller's turn comes, or failed meanwhile.
    pub(crate) async fn take<W>(
        &self,
        done: impl Fn() -> bool,
        work: impl FnOnce() -> W,
    ) -> Result<()>
    where
        W: Future<Output = Result<()>>,
    {
        let ended = self.0.ended.load(Ordering::Acquire);
        let mut failure = self.0.failure.lock().await;
        if done() {
            return Ok(());
        }
        // What failed while this caller waited for its turn would fail for it too.
        if self.0.ended.load(Ordering::Acquire) != ended
            && let Some(error) = &*failure
        {
            return Err(error.clone());
        }
        self.work(&mut failure, work).await
    }

    /// As [`take`](Self::take), unless another caller is at it.
    pub(crate) async fn take_if_idle<W>(
        &self,
        done: impl Fn() -> bool,
        work: impl FnOnce() -> W,
    ) -> Result<()>
    where
        W: Future<Output = Result<()>>,
    {
        match self.0.failure.try_lock() {
            Ok(mut failure) if !done() => self.work(&mut failure, work).await,
            _ => Ok(()),
        }
    }

    /// Nobody works ahead of need for a while.
    pub(crate) fn postpone(&self) {
        *self.lock_in_vain() = Some(Instant::now());
    }

    /// There is no reason to put it off any more.
    pub(crate) fn resume(&self) {
        *self.lock_in_vain() = None;
    }

    /// Why the work failed last, if it did and nobody is at it.
    pub(crate) fn last_failure(&self) -> Option<Error> {
        self.0.failure.try_lock().ok()?.clone()
    }

    /// Whether nobody should work ahead of need.
    pub(crate) fn is_postponed(&self) -> bool {
        self.in_vain().is_some_and(|at| Instant::now() < at + POSTPONED)
    }

    /// When the work was done last without success, if that was the last time.
    pub(crate) fn in_vain(&self) -> Option<Instant> {
        *self.lock_in_vain()
    }

    fn lock_in_vain(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.in_vain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work<W>(&self, failure: &mut Option<Error>, work: impl FnOnce() -> W) -> Result<()>
    where
        W: Future<Output = Result<()>>,
    {
        let result = work().await;
        *failure = result.as_ref().err().cloned();
        self.0.ended.fetch_add(1, Ordering::Release);
        if result.is_err() {
            self.postpone();
        }
        result
    }
}
