//! Locks and counters; the schedule explorer puts its own in their place.

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

/// What is behind a lock, for each process its own.
pub(crate) type Own<T> = PerProcess<Mutex<T>>;

/// `value` behind a lock. A process that is forked off makes its own of what it finds, or of
/// nothing if a thread of the parent had the lock at that moment, which nobody there gives back.
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

/// What is behind these locks is never left half changed, so a panic of another thread does not
/// make it unusable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
    let quiet = Quiet::begin();
    Guard { inner: mutex.lock().unwrap_or_else(PoisonError::into_inner), _quiet: quiet }
}

/// A lock that is held. Observers are told what happens meanwhile when it is free again, because
/// they may ask for numbers, or for keys.
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
