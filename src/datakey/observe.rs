//! What cache, pool and batches tell observers, with the feature `tracing`; without it all of this
//! is nothing.
//!
//! Promises: events hold numbers, kinds and names of operations. No key, key tag, wrapped key or
//! text of the service is among them. No lock of the cache is held while one is sent: an observer
//! may do with the envelope what it likes.

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
    /// A call to the key service came back.
    batch(operation: &'static str => operation, keys: usize => keys,
        latency: Duration => tracing::field::debug(latency),
        error: Option<ErrorKind> => tracing::field::debug(error))
        DEBUG "keys were handed to the key service in one call";
    /// Batches were too large for the service.
    smaller_batches(operation: &'static str => operation, keys: usize => keys) WARN
        "the key service takes fewer keys in one call";
    /// Keys left the cache for another reason than their time.
    dropped(keys: usize => keys, cause: &'static str => cause) INFO
        "keys were dropped from the cache";
    /// A key is used past its time.
    stale(error: ErrorKind => tracing::field::debug(error)) WARN
        "a key is used past its time, because the key service is out of reach";
    /// A caller has to wait for a data key.
    dry(target: usize => target) DEBUG "no data key is ready";
    /// Data keys became too old unused.
    too_old(keys: usize => keys) DEBUG "data keys were wiped unused";
}

#[cfg(feature = "tracing")]
pub(crate) use later::Quiet;

/// Nobody is told anything, whether now or later.
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
            // A thread that ends has nobody to tell any more.
            let _ = WAITING.try_with(|waiting| waiting.borrow_mut().push(Box::new(event)));
        }
    }

    /// Lives as long as a lock is held. It counts on its own thread, which it cannot leave, as the
    /// lock cannot.
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
            // One that panics here, during a panic, would end the process.
            if LOCKS.get() == 0 && !std::thread::panicking() {
                let waiting = WAITING.try_with(RefCell::take).unwrap_or_default();
                waiting.into_iter().for_each(|event| event());
            }
        }
    }
}
