//! The seam for the ciphers: the one place that knows which library does AES.
//!
//! Promises: every backend gives the same bytes for the same key, nonce and input, and refuses the
//! same messages, so that which one works can be chosen by speed alone ([`CipherBackend`]). Sealing
//! and opening are out of place. What is not authentic leaves zeros, whatever a library does
//! (`F-27`). Keys are boxed, set up where the stack is wiped, and zeros once they are dropped, also
//! those of a library that wipes nothing.
//!
//! Knows nothing of chunks, messages or values. A nonce that repeats is its callers' concern.

mod aws_lc;
mod backend;
mod counter;
mod gcm;
#[cfg(feature = "ring")]
mod ring;
mod shape;

pub use backend::CipherBackend;
pub(crate) use counter::{Aes256Ctr, COUNTER_LEN};
pub(crate) use gcm::Aes256Gcm;
pub(crate) use shape::{KEY_LEN, NONCE_LEN, TAG_LEN};
