//! Data keys for writing: [`pool`] makes one for each message ahead of need, [`reuse`] shares one
//! among messages, [`choice`] is where an envelope takes its keys from.

pub(crate) mod choice;
pub(crate) mod pool;
pub(crate) mod reuse;

pub(crate) use choice::Supply;
pub(crate) use pool::Minted;
