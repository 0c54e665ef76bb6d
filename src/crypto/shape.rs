//! Sizes of AES-256-GCM, in bytes, and how a library refuses.

pub(crate) const KEY_LEN: usize = 32;
pub(crate) const NONCE_LEN: usize = 12;
/// Behind the ciphertext, which is as long as the plaintext.
pub(crate) const TAG_LEN: usize = 16;

/// No library says more.
pub(super) struct Refused;
