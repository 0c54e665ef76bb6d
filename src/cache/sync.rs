//! Locks and counters; the schedule explorer puts its own in their place.

#[cfg(not(shuttle))]
pub(super) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(shuttle)]
pub(super) use shuttle::sync::{Mutex, MutexGuard, atomic};

use std::sync::PoisonError;

/// What is behind these locks is never left half changed, so a panic of another thread does not make it unusable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
