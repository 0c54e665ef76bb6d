//! What a ciphertext says about itself, and its text form.

use crate::error::{Error, Result};

/// How a value is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldMode {
    /// Equal values have different ciphertexts.
    Randomized,
    /// Equal values of one field and row have equal ciphertexts.
    Deterministic,
}

/// What a ciphertext says about itself, which is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldCiphertext {
    mode: FieldMode,
    key_number: u32,
    value_len: usize,
}

impl FieldCiphertext {
    /// Reads the front of a ciphertext.
    pub fn parse(_ciphertext: &[u8]) -> Result<Self> {
        Err(Error::authentication())
    }

    /// How it is encrypted.
    pub fn mode(&self) -> FieldMode {
        self.mode
    }

    /// The number of the value key in its ring.
    pub fn key_number(&self) -> u32 {
        self.key_number
    }

    /// The length of the value in bytes.
    pub fn value_len(&self) -> usize {
        self.value_len
    }

    /// The text form: base64url without padding.
    pub fn to_text(_ciphertext: &[u8]) -> String {
        String::new()
    }

    /// The ciphertext of a text form, of which there is one spelling.
    pub fn from_text(_text: &str) -> Result<Vec<u8>> {
        Err(Error::authentication())
    }
}
