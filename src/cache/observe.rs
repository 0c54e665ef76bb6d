//! What cache, pool and batches tell observers, with the feature `tracing`; without it all of this is nothing.
//!
//! Promises: events hold numbers, kinds and names of operations. No key, key tag, wrapped key or text of the service is among them.

use crate::error::ErrorKind;
use std::time::Duration;

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident($($field:ident: $type:ty => $value:expr),*) $level:ident $message:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[cfg(feature = "tracing")]
            pub(super) fn $name($($field: $type),*) {
                tracing::event!(target: "ncp_envelope::cache", tracing::Level::$level, $($field = $value,)* $message);
            }

            #[cfg(not(feature = "tracing"))]
            #[inline]
            pub(super) fn $name($(_: $type),*) {}
        )+
    };
}

events! {
    /// A call to the key service came back.
    batch(operation: &'static str => operation, keys: usize => keys, latency: Duration => tracing::field::debug(latency), error: Option<ErrorKind> => tracing::field::debug(error))
        DEBUG "keys were handed to the key service in one call";
    /// Batches were too large for the service.
    smaller_batches(operation: &'static str => operation, keys: usize => keys) WARN "the key service takes fewer keys in one call";
    /// Keys left the cache for another reason than their time.
    dropped(keys: usize => keys, cause: &'static str => cause) INFO "keys were dropped from the cache";
    /// A key is used past its time.
    stale(error: ErrorKind => tracing::field::debug(error)) WARN "a key is used past its time, because the key service is out of reach";
    /// A caller has to wait for a data key.
    dry(target: usize => target) DEBUG "no data key is ready";
    /// Data keys became too old unused.
    too_old(keys: usize => keys) DEBUG "data keys were wiped unused";
}
