//! Data keys for writing: [`mint`] makes them, [`gather`] waits for all who wrap one, [`orders`] is
//! what is on order, [`pool`] has one for each message ahead of need, [`reuse`] shares one among
//! messages, [`choice`] is where an envelope takes its keys from.

pub(crate) mod choice;
pub(crate) mod gather;
pub(crate) mod mint;
pub(crate) mod orders;
pub(crate) mod pool;
pub(crate) mod reuse;

pub(crate) use choice::Supply;
pub(crate) use mint::Minted;
