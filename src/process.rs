//! Which process this is. `fork` copies memory and not the threads in it: the copy has a thread to
//! wipe keys, a runtime and locks on paper only, and connections that are its parent's.
//!
//! Promises: what is [`PerProcess`] begins anew in a process that was forked off, at its first use
//! there, whatever the parent's threads were at work on at that moment; what was the parent's is
//! never dropped there, as that could close or disturb what the parent goes on with. Knows nothing
//! of what it holds.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;
#[cfg(feature = "kms")]
use std::sync::{RwLock, TryLockError};

/// A number that is another one in every process that is forked off.
///
/// Not the process id alone, which takes a system call, and ids come again.
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

/// A value for each process. One that was forked off makes its own of the parent's, which may be
/// locked by a thread that is not there: who makes it looks, and does not wait.
pub(crate) struct PerProcess<T> {
    here: Slot<T>,
    make: Box<dyn Fn(&T) -> T + Send + Sync>,
}

struct Slot<T> {
    generation: u64,
    /// There until it is dropped.
    value: Option<T>,
    next: OnceLock<Box<Slot<T>>>,
}

#[cfg(feature = "kms")]
impl<T: Clone + Send + Sync + 'static> PerProcess<RwLock<T>> {
    /// A value that is replaced now and then, and so only locked for a moment. A process that is
    /// forked off takes its parent's over, or begins with `first` again if that is the moment.
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
    /// What `make` makes, in each process.
    #[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
    pub(crate) fn each(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::new(make(), move |_| make())
    }

    pub(crate) fn new(value: T, make: impl Fn(&T) -> T + Send + Sync + 'static) -> Self {
        Self { here: Slot::new(value), make: Box::new(make) }
    }

    /// What there is in this process, or else the nearest ancestor's.
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
