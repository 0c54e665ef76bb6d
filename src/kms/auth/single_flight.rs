//! Single flight for work that several callers need.
//!
//! Promises: one caller works at a time; waiters share its result, a failure included; a waiter
//! that is cancelled never blocks the others, and a worker that is cancelled leaves the work to the
//! next caller. This module knows nothing of the work.

use crate::error::{Error, Result};
use crate::process::PerProcess;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The shortest pause between two attempts ahead of need, after one failed.
const POSTPONED: Duration = Duration::from_secs(30);

/// The single flight of each process.
pub(crate) struct SingleFlight(PerProcess<State>);

#[derive(Default)]
struct State {
    /// Held while the work is in flight; holds why it failed last.
    failure: Mutex<Option<Error>>,
    /// How many works ended, successful or not. Changes only while `failure` is held.
    ended: AtomicU64,
    /// When the work last ended without success.
    in_vain: Lock<Option<Instant>>,
}

impl Default for SingleFlight {
    fn default() -> Self {
        // Nothing is in flight in a process that was forked.
        Self(PerProcess::each(State::default))
    }
}

impl SingleFlight {
    /// Does `work`, unless it is `done` once this caller has the lock, or failed meanwhile.
    pub(crate) async fn run<W>(
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
        // What failed while this caller waited would fail for it too.
        if self.0.ended.load(Ordering::Acquire) != ended
            && let Some(error) = &*failure
        {
            return Err(error.clone());
        }
        self.work(&mut failure, work).await
    }

    /// As [`run`](Self::run), unless the work is in flight.
    pub(crate) async fn run_if_idle<W>(
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

    /// Puts off work ahead of need for a while.
    pub(crate) fn postpone(&self) {
        *self.lock_in_vain() = Some(Instant::now());
    }

    /// Ends what [`postpone`](Self::postpone) began.
    pub(crate) fn resume(&self) {
        *self.lock_in_vain() = None;
    }

    /// Why the work failed last, if it did and is not in flight.
    pub(crate) fn last_failure(&self) -> Option<Error> {
        self.0.failure.try_lock().ok()?.clone()
    }

    /// Whether work ahead of need is put off.
    pub(crate) fn is_postponed(&self) -> bool {
        self.in_vain().is_some_and(|at| Instant::now() < at + POSTPONED)
    }

    /// When the work last ended without success, if it did not succeed since.
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
