//! One call's way to the service and back.
//!
//! [`request`] is what is asked. [`send`] makes the attempts; each passes [`admit`] (breaker,
//! queue, breaker again), is signed, sent and judged, and [`retry`] says whether there is another.
//! [`refresh`] replaces tokens ahead of their end and after a refusal. Knows nothing of what a call
//! means, nor of keys, their tokens or their management.

pub(crate) mod admit;
pub(crate) mod breaker;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod connect;
pub(crate) mod gate;
pub(crate) mod limit;
pub(crate) mod observe;
pub(crate) mod outage;
pub(crate) mod quota;
pub(crate) mod rate;
pub(crate) mod refresh;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod stats;
