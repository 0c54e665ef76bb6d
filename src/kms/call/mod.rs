//! One call's way to the service and back.
//!
//! [`request`] is what is asked. [`send`] carries it out on the crate's own runtime, with fresh
//! tokens, and once more after a token was refused; [`attempts`] makes it as often as that is of
//! use: each goes through the [`gate`] (circuit breaker, queue, circuit breaker again), is made by
//! [`attempt`] over one of the clients of [`transport`] (through a [`proxy`], with [`trust`] in
//! authorities), and [`retry`] says whether there is another. [`account`] has the keys that calls
//! are signed with; [`refresh`] replaces tokens ahead of their end and after a refusal, by those
//! that are [`kept`] in a store or by new ones. Knows nothing of what a call means, nor of keys,
//! their tokens or their management.

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
