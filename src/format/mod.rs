//! The message format: bytes in, bytes out, no I/O.
//!
//! The rules are those of `docs/format.md`, cited by number (`F-12`). This module knows the data
//! key and the bytes, and nothing of who wraps keys, of files, sockets, time or async. Everything
//! is strict, bounded and canonical: what decodes re-encodes to the same bytes, and no length is
//! trusted before it was compared with its cap.
//!
//! * [`BoundHeader`] is region A, [`SlotTable`] region B; [`Header`] is both, as found in front of
//!   a body.
//! * [`Encryptor`] and [`Decryptor`] are pushed with bytes and hand back bytes.
//! * [`range`] is the arithmetic of where a plaintext byte is; [`RunEncryptor`] seals and
//!   [`RangeDecryptor`] opens runs of chunks in any order.
//!
//! ```
//! # use ncp_envelope::*;
//! # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
//! # let envelope = Envelope::builder(wrapper).build()?.blocking();
//! use ncp_envelope::format::Header;
//!
//! let message = envelope.encrypt("hello", [("kind", "note")])?;
//! let header = Header::decode(&message)?;
//! assert_eq!(header.bound().context().get("kind"), Some("note"));
//! assert_eq!(message.len() as u64, 5 + header.overhead(1));
//! # Ok::<(), ncp_envelope::Error>(())
//! ```

mod bound;
mod chunk;
mod decryptor;
mod derive;
mod encryptor;
mod engine;
mod header;
mod magic;
mod message;
mod plan;
mod profile;
mod progress;
pub mod range;
mod runs;
mod sequence;
mod slots;

pub use crate::suite::Suite;
pub use bound::{BoundHeader, FIXED_LEN};
pub use chunk::{CHUNK_LEN, SEALED_CHUNK_LEN, TAG_LEN};
pub use decryptor::Decryptor;
pub(crate) use decryptor::last_chunk_is_missing;
pub use derive::PREAMBLE_LEN;
pub use encryptor::Encryptor;
#[cfg(test)]
pub(crate) use encryptor::tests as testing;
pub(crate) use engine::Engine;
pub use header::Header;
pub(crate) use magic::{MAGIC_LEN, is_message};
pub(crate) use message::{Parts, seal};
pub(crate) use plan::{Extent, Fetch, Plan};
pub use profile::{Layout, MAX_REGION_LEN, Profile};
pub use progress::Progress;
pub use range::RangeDecryptor;
pub use runs::{RunClaim, RunEncryptor};
pub(crate) use sequence::{RunSequence, SequenceRun};
pub use slots::{CopyState, DEFAULT_MAX_SLOTS, MAX_SLOTS, Replacement, SlotTable};
