//! Fault injection: what a fault is, and which faults a request meets.

pub(crate) mod fault;
pub(crate) mod injected;

pub use fault::{Fault, FaultId, FaultKind, FaultShape};
