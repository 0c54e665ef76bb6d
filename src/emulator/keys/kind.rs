//! The kinds of keys there are.

use serde::{Deserialize, Serialize};

/// A kind of key to create, for
/// [`Emulator::create_key_of`](crate::emulator::Emulator::create_key_of).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// AES-256, every ciphertext with a nonce of its own.
    Aes256,
    /// AES-256 with convergent encryption: the context and the plaintext decide the ciphertext.
    Convergent,
    /// RSA with 2048 bits, for encryption and signatures.
    Rsa2048,
    /// ECDSA on the curve P-256, for signatures.
    EcdsaP256,
}

impl KeyKind {
    /// The service's own two terms for it: type, and whether convergent.
    pub(crate) fn terms(self) -> (KeyType, bool) {
        match self {
            Self::Aes256 => (KeyType::Aes256, false),
            Self::Convergent => (KeyType::Aes256, true),
            Self::Rsa2048 => (KeyType::Rsa2048, false),
            Self::EcdsaP256 => (KeyType::Ecdsa, false),
        }
    }
}

/// A key's type as the service names it, in requests, answers and the state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyType {
    #[serde(rename = "AES256")]
    Aes256,
    #[serde(rename = "RSA2048")]
    Rsa2048,
    #[serde(rename = "ECDSA")]
    Ecdsa,
}
