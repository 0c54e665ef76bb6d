//! The seam for ciphers and keyed hashes: the one place that knows which library does them.
//!
//! Promises: every backend of AES-256-GCM gives the same bytes for the same key, nonce and input,
//! and refuses the same messages, so that which one works can be chosen by speed alone
//! ([`CipherBackend`]). What is not authentic leaves zeros, whatever a library does (`F-27`). Keys
//! are boxed or pointers, set up where the stack is wiped, and zeros once they are dropped, also
//! those of a library that wipes nothing.
//!
//! Knows nothing of chunks, messages or values. A nonce that repeats is its callers' concern.

mod aws_lc;
mod backend;
mod counter;
mod gcm;
mod mac;
#[cfg(feature = "ring")]
mod ring;
mod shape;

pub use backend::CipherBackend;
pub(crate) use counter::{Aes256Ctr, COUNTER_LEN};
pub(crate) use gcm::Aes256Gcm;
pub(crate) use mac::{Mac256, Mac512};
pub(crate) use shape::{KEY_LEN, NONCE_LEN, TAG_LEN};
