//! Fork safety. `fork` copies memory but not threads: the child has copies of the reaper and the
//! runtime without their threads, locks that are never released, and its parent's connections.
//!
//! Promises: a [`PerProcess`] value is created again in a forked child, at its first use there,
//! whatever the parent's threads were doing at that moment. The parent's value is never dropped in
//! the child, since that could close or disturb what the parent still uses. Knows nothing of its
//! values.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;
#[cfg(feature = "kms")]
use std::sync::{RwLock, TryLockError};

/// A number that differs in every forked child.
///
/// Not the process id, which takes a system call and can be reused.
#[cfg(target_os = "linux")]
pub(crate) fn generation() -> u64 {
    use crate::memory::forgotten_by_forks;
    use std::sync::atomic::{AtomicU64, Ordering};
    static MARK: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();
    static LAST: AtomicU64 = AtomicU64::new(0);
    let Some(mark) = MARK.get_or_init(forgotten_by_forks) else {
        return u64::from(std::process::id());
    };
    match mark.load(Ordering::Relaxed) {
        0 => {
            let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            let set = mark.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
            set.map_or_else(|other| other, |_| next)
        }
        generation => generation,
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn generation() -> u64 {
    u64::from(std::process::id())
}

/// A value for each process. A forked child creates its own from the parent's, which may be locked
/// by a thread that does not exist in the child: `make` must not block on it.
pub(crate) struct PerProcess<T> {
    here: Slot<T>,
    make: Box<dyn Fn(&T) -> T + Send + Sync>,
}

struct Slot<T> {
    generation: u64,
    /// `Some` until it is dropped.
    value: Option<T>,
    next: OnceLock<Box<Slot<T>>>,
}

#[cfg(feature = "kms")]
impl<T: Clone + Send + Sync + 'static> PerProcess<RwLock<T>> {
    /// A value that is replaced from time to time, under a short lock. A forked child takes over
    /// its parent's, or starts with `first` again if the lock was held during the fork.
    pub(crate) fn replaceable(first: T) -> Self {
        let now = RwLock::new(first.clone());
        Self::new(now, move |parents| {
            RwLock::new(match parents.try_read() {
                Ok(value) => value.clone(),
                Err(TryLockError::Poisoned(value)) => value.into_inner().clone(),
                Err(TryLockError::WouldBlock) => first.clone(),
            })
        })
    }
}

impl<T> PerProcess<T> {
    /// The result of `make` in each process.
    #[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
    pub(crate) fn each(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::new(make(), move |_| make())
    }

    pub(crate) fn new(value: T, make: impl Fn(&T) -> T + Send + Sync + 'static) -> Self {
        Self { here: Slot::new(value), make: Box::new(make) }
    }

    /// This process's value, or that of the nearest ancestor.
    fn find(&self, generation: u64) -> &Slot<T> {
        let mut slot = &self.here;
        while slot.generation != generation
            && let Some(next) = slot.next.get()
        {
            slot = next;
        }
        slot
    }

    #[cold]
    fn begin<'a>(&self, parents: &'a Slot<T>) -> &'a T {
        parents.next.get_or_init(|| Box::new(Slot::new((self.make)(parents.value())))).value()
    }
}

impl<T> Deref for PerProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let generation = generation();
        let slot = self.find(generation);
        if slot.generation == generation { slot.value() } else { self.begin(slot) }
    }
}

impl<T: fmt::Debug> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T> Slot<T> {
    fn new(value: T) -> Self {
        Self { generation: generation(), value: Some(value), next: OnceLock::new() }
    }

    fn value(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("used while it is dropped"))
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.value.take());
        }
    }
}
