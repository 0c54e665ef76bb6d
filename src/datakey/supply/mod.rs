//! Data keys for writing.
//!
//! [`mint`] generates and wraps them, [`gather`] collects the wrapped key of each recipient,
//! [`orders`] tracks keys that are requested and not ready, [`pool`] has a key ready for each
//! message, [`reuse`] shares a key among messages, [`choice`] chooses between the two.

pub(crate) mod choice;
pub(crate) mod gather;
pub(crate) mod mint;
pub(crate) mod orders;
pub(crate) mod pool;
pub(crate) mod reuse;

pub(crate) use choice::Supply;
pub(crate) use mint::Minted;
