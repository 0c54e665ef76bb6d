//! Blind indexes.

/// A keyed hash of a value, stored beside its ciphertext, so that equal values can be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlindIndex {
    bytes: [u8; 32],
    len: u8,
}

impl AsRef<[u8]> for BlindIndex {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}
