//! Many values in one allocation.

use crate::error::{Error, Result};

/// Many ciphertexts or indexes, in one allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Column {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Many decrypted values, in one allocation that is wiped when dropped.
pub struct SecretColumn {}

impl std::fmt::Debug for SecretColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretColumn(..)")
    }
}

impl Column {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value at `at`.
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let _ = (at, &self.bytes);
        None
    }

    /// All values in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|_| &self.bytes[..])
    }
}

impl SecretColumn {
    /// Number of values.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// The value at `at`, or why there is none.
    pub fn get(&self, _at: usize) -> Result<&[u8]> {
        Err(Error::authentication())
    }

    /// The indices of values that could not be decrypted.
    pub fn failed(&self) -> &[usize] {
        &[]
    }
}
