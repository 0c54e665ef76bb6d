//! What people put into configuration files, and ciphertexts that go through JSON, in the forms
//! that serde reads and writes (feature `serde`).
//!
//! Promises: what is read goes through the constructors, so that what cannot be right is refused in
//! their words; a field that is not known is refused, as it is most often a misspelt one; no
//! credential is among it. This module is the only one of the core that knows serde.

mod fields;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod time;
