//! Events of cache, pool and batches, with the feature `tracing`; no-ops without it.
//!
//! Promises: events contain numbers, kinds and names of operations, and no key, key tag, wrapped
//! key or text of the service. No lock is held while an event is sent, so a subscriber may call the
//! envelope.

use crate::error::ErrorKind;
use std::time::Duration;

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident($($field:ident: $type:ty => $value:expr),*)
        $level:ident $message:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[cfg(feature = "tracing")]
            pub(crate) fn $name($($field: $type),*) {
                later::send(move || tracing::event!(
                    target: "ncp_envelope::cache",
                    tracing::Level::$level,
                    $($field = $value,)*
                    $message
                ));
            }

            #[cfg(not(feature = "tracing"))]
            #[inline]
            pub(crate) fn $name($(_: $type),*) {}
        )+
    };
}

events! {
    /// A call to the key service returned.
    batch(operation: &'static str => operation, keys: usize => keys,
        latency: Duration => tracing::field::debug(latency),
        error: Option<ErrorKind> => tracing::field::debug(error))
        DEBUG "a call to the key service returned";
    /// Batches were too large for the service.
    smaller_batches(operation: &'static str => operation, keys: usize => keys) WARN
        "the key service accepts fewer keys in one call";
    /// Keys were dropped for another reason than expiry.
    dropped(keys: usize => keys, cause: &'static str => cause) INFO
        "keys were dropped from the cache";
    /// A stale key is used.
    stale(error: ErrorKind => tracing::field::debug(error)) WARN
        "a stale key is used, because the key service is unreachable";
    /// A caller must wait for a data key.
    dry(target: usize => target) DEBUG "no data key is ready";
    /// Data keys expired unused.
    too_old(keys: usize => keys) DEBUG "data keys expired unused and were wiped";
}

#[cfg(feature = "tracing")]
pub(crate) use later::Quiet;

/// Without `tracing` there is nothing to delay.
#[cfg(not(feature = "tracing"))]
pub(crate) struct Quiet;

#[cfg(not(feature = "tracing"))]
impl Quiet {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self
    }
}

#[cfg(feature = "tracing")]
mod later {
    use std::cell::{Cell, RefCell};

    thread_local! {
        static LOCKS: Cell<usize> = const { Cell::new(0) };
        static WAITING: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
    }

    /// Sends an event, or keeps it until this thread holds no lock.
    pub(crate) fn send(event: impl FnOnce() + 'static) {
        if LOCKS.get() == 0 {
            event();
        } else {
            // Fails while the thread ends; the event is dropped then.
            let _ = WAITING.try_with(|waiting| waiting.borrow_mut().push(Box::new(event)));
        }
    }

    /// Delays events for as long as a lock is held. It cannot leave its thread, as the lock cannot.
    pub(crate) struct Quiet(std::marker::PhantomData<*const ()>);

    impl Quiet {
        pub(crate) fn begin() -> Self {
            LOCKS.set(LOCKS.get() + 1);
            Self(std::marker::PhantomData)
        }
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            LOCKS.set(LOCKS.get() - 1);
            // A panic here during a panic would abort the process.
            if LOCKS.get() == 0 && !std::thread::panicking() {
                let waiting = WAITING.try_with(RefCell::take).unwrap_or_default();
                waiting.into_iter().for_each(|event| event());
            }
        }
    }
}
