//! Short values: columns, tokens and settings of some tens of bytes, encrypted under the keys of a
//! key ring.
//!
//! A message has a data key of its own and adds some 288 bytes. A value shares the keys of its
//! ring: 54 bytes are added (38 in deterministic mode), and no call is made while the ring's keys
//! are in memory.
//!
//! ```
//! use ncp_envelope::fields::KeyRing;
//! use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
//! # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # rt.block_on(async {
//! # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
//! # let envelope = Envelope::builder(wrapper).build()?;
//! # let store = |_: Vec<u8>| ();
//! let ring = KeyRing::create(&envelope).await?;
//! store(ring.to_bytes());
//! let email = ring.field("customers.email")?;
//! let ciphertext = email.encrypt("kim@example.com", "row 17")?;
//! let index = email.index("kim@example.com")?;
//! assert_eq!(*email.decrypt(&ciphertext, "row 17")?, b"kim@example.com");
//! # assert_eq!(index.as_bytes().len(), 16);
//! # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
//! ```
//!
//! Promises: whatever is wrong with a ciphertext is one error, of kind `Authentication`, and no
//! byte of plaintext is left behind. Everything derived from a ring's keys is wiped with them. The
//! rules (`R-1`, …) are those of `docs/fields.md`. Bytes in, bytes out: only the ring knows that
//! keys are unwrapped by a service, and nothing here does any I/O.

mod ciphertext;
mod column;
mod derive;
mod document;
mod field;
mod field_text;
mod index;
mod keys;
mod many;
mod ring;
mod salt;
mod text;
mod value;

pub use ciphertext::{FieldCiphertext, FieldMode};
pub use column::{Column, SecretColumn};
pub use document::{KeyRole, RingDocument, RingEntry, RingId};
pub use field::Field;
pub use field_text::FieldText;
pub use index::BlindIndex;
pub use ring::KeyRing;
