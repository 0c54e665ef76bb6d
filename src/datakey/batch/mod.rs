//! Calls that carry many keys: [`batcher`] gathers them, [`operation`] is what is asked,
//! [`flight`] one result that many wait for, [`drive`] who polls the calls.

pub(crate) mod batcher;
pub(crate) mod drive;
pub(crate) mod flight;
pub(crate) mod operation;
