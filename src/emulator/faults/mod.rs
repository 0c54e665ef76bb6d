//! What the emulator does wrong on demand: a fault as its owner asks for it, and which of them a
//! request meets.

pub(crate) mod fault;
pub(crate) mod injected;

pub use fault::{Fault, FaultId, FaultKind, FaultShape};
