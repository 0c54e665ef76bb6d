//! The kinds of keys.

use serde::{Deserialize, Serialize};

/// A kind of key to create, for
/// [`Emulator::create_key_of`](crate::emulator::Emulator::create_key_of).
///
/// ```
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::{Emulator, KeyKind};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let signatures = wait(emulator.create_key_of(KeyKind::EcdsaP256, "signatures"))??;
/// let lookups = wait(emulator.create_key_of(KeyKind::Convergent, "lookups"))??;
/// assert_ne!(signatures, lookups);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// AES-256 with a fresh nonce for every ciphertext.
    Aes256,
    /// AES-256 with convergent encryption: context and plaintext determine the ciphertext.
    Convergent,
    /// RSA with 2048 bits, for encryption and signatures.
    Rsa2048,
    /// ECDSA on P-256, for signatures.
    EcdsaP256,
}

impl KeyKind {
    /// The service's own terms: the type, and whether it is convergent.
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
