//! Messages that lie somewhere, and keys that go on.
//!
//! Promises: of a stored message nothing but the key slots is changed, and they under a lock, so
//! that the message opens before, meanwhile and afterwards, whatever fails or ends the process; no
//! data key is ever seen; nothing is believed of a file but what it says when its slots are
//! replaced.
//!
//! Must not know: any key service (which key a slot is under and which version that is, the
//! envelope says, or the caller), what a message decrypts to, how anything is shown.
//!
//! * [`StoredMessage`] is one file, whose slots can be replaced (`F-34`).
//! * [`Envelope::rewrap_files`](crate::Envelope::rewrap_files) moves the slots of many files to the
//!   newest version of their key.
//! * [`audit()`] counts what depends on which key and version, without a key.

mod audit;
mod crew;
mod front;
mod lock;
mod message;
mod rekey;
mod rewrap;
mod slots;
mod write;

pub use audit::{Audit, AuditOptions, Audited, KeyUse, audit};
pub use message::{Replaced, StoredMessage};
pub use rekey::RekeyOptions;
pub use rewrap::{Outcome, RewrapOptions, RewrapReport};
pub use slots::{SlotChange, SlotsChanged};
pub use write::WriteOptions;

#[cfg(test)]
#[cfg(unix)]
mod tests;
