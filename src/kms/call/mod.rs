//! The steps of one call to the service and back.
//!
//! [`request`] is what is asked. [`send`] carries it out on the crate's runtime, with fresh tokens,
//! and retries it once after a token was refused. [`attempts`] makes the attempts: each passes the
//! [`gate`] (circuit breaker, queue, circuit breaker again) and is made by [`attempt`] over a
//! client of [`transport`] (through a [`proxy`], with [`trust`] in authorities). [`retry`] decides
//! whether there is another, and [`advice`] is what an error tells people to do. [`account`]
//! provides the keys that calls are signed with; [`refresh`] replaces tokens before they expire and
//! after a refusal, by those that are [`kept`] in a store or by new ones. Knows nothing of what a
//! call means, nor of keys, their tokens or their management.

pub(crate) mod account;
pub(crate) mod advice;
pub(crate) mod attempt;
pub(crate) mod attempts;
pub(crate) mod breaker;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod connect;
pub(crate) mod gate;
pub(crate) mod kept;
pub(crate) mod limit;
pub(crate) mod observe;
pub(crate) mod outage;
pub(crate) mod proxy;
pub(crate) mod quota;
pub(crate) mod rate;
pub(crate) mod refresh;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod stats;
pub(crate) mod transport;
pub(crate) mod trust;
