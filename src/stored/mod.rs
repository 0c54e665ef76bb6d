//! Stored messages whose keys change: rewrap, slots, rekey, audit.
//!
//! Promises: a stored message can be opened at every moment, whatever fails or kills the process;
//! only a rekey changes more than the key slots; slots are changed under a lock, and only after the
//! file was read again under it.
//!
//! Must not know: any key service (the envelope or the caller says which key and version a slot is
//! under), how anything is shown.
//!
//! | | sees the data key | body |
//! | --- | --- | --- |
//! | [`rewrap_files`](crate::Envelope::rewrap_files): the same key, newest version | no | stays |
//! | [`change_slots`](crate::Envelope::change_slots): other keys | yes | stays |
//! | [`rekey_file`](crate::Envelope::rekey_file): another data key | yes | written anew |
//!
//! * [`StoredMessage`] is one file, whose slots can be replaced (`F-34`) and removed.
//! * [`audit()`] counts what depends on which key and version, without a key.
//!
//! ```
//! # use ncp_envelope::*;
//! # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
//! # let envelope = Envelope::builder(wrapper).build()?.blocking();
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("report.ncpe");
//! use ncp_envelope::stored::{AuditOptions, RewrapOptions, audit};
//!
//! std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
//! let report = envelope.rewrap_files([path.clone()], &RewrapOptions::new())?;
//! assert_eq!(report.rewrapped, 1);
//! assert_eq!(audit([path], &AuditOptions::new()).messages, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
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
