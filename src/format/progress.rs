//! How far a push came.

/// How far one call to [`Encryptor::update`](super::Encryptor::update) or
/// [`Decryptor::update`](super::Decryptor::update) came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that were taken.
    pub consumed: usize,
    /// Bytes at the start of the output that were written.
    pub written: usize,
}
