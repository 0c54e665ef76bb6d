//! Locks and atomics; the schedule explorer replaces them with its own.

#[cfg(not(shuttle))]
use std::sync::MutexGuard;
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, atomic};

#[cfg(shuttle)]
use shuttle::sync::MutexGuard;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, atomic};

use crate::datakey::observe::Quiet;
use crate::process::PerProcess;
use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

/// A locked value, one for each process.
pub(crate) type Own<T> = PerProcess<Mutex<T>>;

/// `value` behind a lock. A forked child creates its own with `anew`, from the parent's value; or
/// from `None`, if a thread of the parent held the lock during the fork, which never releases it in
/// the child.
pub(crate) fn own<T: 'static>(
    value: T,
    anew: impl Fn(Option<&mut T>) -> T + Send + Sync + 'static,
) -> Own<T> {
    PerProcess::new(Mutex::new(value), move |parents| {
        Mutex::new(match parents.try_lock() {
            Ok(mut parents) => anew(Some(&mut parents)),
            Err(TryLockError::Poisoned(parents)) => anew(Some(&mut parents.into_inner())),
            Err(TryLockError::WouldBlock) => anew(None),
        })
    })
}

/// Locks a mutex. Values are never left half changed, so a lock that another thread poisoned by a
/// panic is still usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
    let quiet = Quiet::begin();
    Guard { inner: mutex.lock().unwrap_or_else(PoisonError::into_inner), _quiet: quiet }
}

/// A held lock. Events are delayed until it is released, because a subscriber may call the
/// envelope.
pub(crate) struct Guard<'a, T> {
    // Fields are dropped in this order.
    inner: MutexGuard<'a, T>,
    _quiet: Quiet,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
