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

mod front;
mod lock;
mod message;
mod write;

pub use message::{Replaced, StoredMessage};
pub use write::WriteOptions;

#[cfg(test)]
#[cfg(unix)]
mod tests;
