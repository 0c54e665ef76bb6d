//! Calls that carry many keys: [`batcher`] gathers them, [`lane`] is what waits under one
//! key-encryption key, [`ticket`] where a result goes, [`operation`] what is asked, [`flight`] one
//! result that many wait for, [`drive`] who polls the calls, [`parts`] how more is asked for than
//! may wait.

pub(crate) mod batcher;
pub(crate) mod drive;
pub(crate) mod flight;
pub(crate) mod lane;
pub(crate) mod operation;
pub(crate) mod parts;
pub(crate) mod ticket;
