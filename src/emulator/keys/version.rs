//! One version of a key, and its ciphertexts and signatures: `ncpkms:v{N}:` and base64.
//!
//! The format of what follows the prefix is internal to the service; clients must not parse it.

use crate::emulator::answer::Refusal;
use crate::emulator::keys::aes::{self, Aes, Convergent};
use crate::emulator::keys::asymmetric::{self, Ecdsa, Rsa};
use crate::emulator::keys::kind::KeyType;
use crate::emulator::{random, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const PREFIX: &str = "ncpkms:v";

/// One version of a key, ready for use.
pub(crate) struct VersionKey {
    pub(crate) number: u32,
    material: Material,
}

enum Material {
    Aes(Aes),
    Convergent(Convergent),
    Rsa(Rsa),
    Ecdsa(Ecdsa),
}

/// Generates the material of a version of a key of this type.
pub(crate) fn generate(key_type: KeyType) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let made = match key_type {
        KeyType::Aes256 => return random::bytes(aes::KEY_LEN),
        KeyType::Rsa2048 => asymmetric::generate_rsa(),
        KeyType::Ecdsa => asymmetric::generate_ecdsa(),
    };
    made.ok_or(Refusal::internal("key generation failed"))
}

impl VersionKey {
    /// `None` if `key` is not a key of this type.
    pub(crate) fn new(
        tag: &str,
        number: u32,
        key_type: KeyType,
        convergent: bool,
        key: &[u8],
    ) -> Option<Self> {
        let material = match key_type {
            KeyType::Aes256 if convergent => {
                Material::Convergent(Convergent::new(tag, number, key)?)
            }
            KeyType::Aes256 => Material::Aes(Aes::new(tag, number, key)?),
            KeyType::Rsa2048 => Material::Rsa(Rsa::new(key)),
            KeyType::Ecdsa => Material::Ecdsa(Ecdsa::new(key)?),
        };
        Some(Self { number, material })
    }

    /// Whether the key can be parsed. RSA keys are parsed on first use only.
    pub(crate) fn is_valid(&self) -> bool {
        if let Material::Rsa(key) = &self.material { key.is_valid() } else { true }
    }

    pub(crate) fn encrypt(
        &self,
        plaintext: &[u8],
        context: Option<&[u8]>,
    ) -> Result<String, Refusal> {
        let payload = match &self.material {
            Material::Aes(key) => key.encrypt(plaintext)?,
            Material::Convergent(key) => key.encrypt(plaintext, needed(context)?)?,
            Material::Rsa(key) => key.encrypt(plaintext)?,
            Material::Ecdsa(_) => return Err(cannot()),
        };
        Ok(self.prefixed(&payload))
    }

    pub(crate) fn decrypt(
        &self,
        payload: Vec<u8>,
        context: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        match &self.material {
            Material::Aes(key) => key.decrypt(payload),
            Material::Convergent(key) => key.decrypt(payload, needed(context)?),
            Material::Rsa(key) => key.decrypt(&payload),
            Material::Ecdsa(_) => Err(cannot()),
        }
    }

    pub(crate) fn sign(&self, data: &[u8]) -> Result<String, Refusal> {
        let signature = match &self.material {
            Material::Rsa(key) => key.sign(data)?,
            Material::Ecdsa(key) => key.sign(data)?,
            Material::Aes(_) | Material::Convergent(_) => return Err(cannot()),
        };
        Ok(self.prefixed(&signature))
    }

    pub(crate) fn verify(&self, data: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        match &self.material {
            Material::Rsa(key) => key.verify(data, signature),
            Material::Ecdsa(key) => Ok(key.verify(data, signature)),
            Material::Aes(_) | Material::Convergent(_) => Err(cannot()),
        }
    }

    pub(crate) fn public_key(&self) -> Result<String, Refusal> {
        match &self.material {
            Material::Rsa(key) => key.public_key(),
            Material::Ecdsa(key) => key.public_key(),
            Material::Aes(_) | Material::Convergent(_) => Err(cannot()),
        }
    }

    fn prefixed(&self, payload: &[u8]) -> String {
        let mut out = format!("{PREFIX}{}:", self.number);
        out.reserve_exact(payload.len().div_ceil(3) * 4);
        STANDARD.encode_string(payload, &mut out);
        out
    }
}

fn cannot() -> Refusal {
    Refusal::request("keys of this type cannot do this")
}

fn needed(context: Option<&[u8]>) -> Result<&[u8], Refusal> {
    context
        .filter(|context| !context.is_empty())
        .ok_or(Refusal::request("a convergent key needs a context"))
}

/// A parsed ciphertext or signature: the version in its prefix, and the payload.
pub(crate) struct Prefixed {
    pub(crate) version: u32,
    pub(crate) payload: Vec<u8>,
}

impl Prefixed {
    pub(crate) fn parse(sent: &str) -> Result<Self, Refusal> {
        let (version, payload) = sent
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(Refusal::request("the service's prefix is missing"))?;
        let version = version_number(version).ok_or(Refusal::request("prefix names no version"))?;
        let payload = STANDARD
            .decode(payload)
            .map_err(|_| Refusal::request("what follows the prefix is not base64"))?;
        Ok(Self { version, payload })
    }
}

/// The number of a version in its only spelling.
pub(crate) fn version_number(text: &str) -> Option<u32> {
    text::number(text)
        .and_then(|version| u32::try_from(version).ok())
        .filter(|version| *version >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_read_strictly() {
        let payload = STANDARD.encode([0; 28]);
        assert_eq!(Prefixed::parse(&format!("ncpkms:v10:{payload}")).unwrap().version, 10);
        for prefix in [
            "",
            "ncpkms:",
            "ncpkms:v:",
            "ncpkms:v0:",
            "ncpkms:v01:",
            "ncpkms:v+1:",
            "ncpkms:v4294967296:",
            "NCPKMS:v1:",
            " ncpkms:v1:",
        ] {
            assert!(Prefixed::parse(&format!("{prefix}{payload}")).is_err(), "{prefix}");
        }
        for bad in
            [&payload[..payload.len() - 1], &format!("{payload}\n"), &payload.replace('A', "-")]
        {
            assert!(Prefixed::parse(&format!("ncpkms:v1:{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_type_does_what_it_is_for() {
        let key = |key_type, convergent| {
            VersionKey::new("tag", 3, key_type, convergent, &generate(key_type).unwrap()).unwrap()
        };
        let signing = key(KeyType::Ecdsa, false);
        let signature = Prefixed::parse(&signing.sign(b"data").unwrap()).unwrap();
        assert_eq!(signature.version, 3);
        assert_eq!(signing.verify(b"data", &signature.payload), Ok(true));
        assert_eq!(signing.verify(b"date", &signature.payload), Ok(false));
        assert_eq!(signing.verify(b"data", &[]), Ok(false));
        assert!(signing.encrypt(b"", None).is_err() && signing.decrypt(Vec::new(), None).is_err());

        let convergent = key(KeyType::Aes256, true);
        assert!(
            convergent.encrypt(b"", None).is_err() && convergent.encrypt(b"", Some(b"")).is_err()
        );
        assert!(
            convergent.sign(b"").is_err()
                && convergent.verify(b"", b"").is_err()
                && convergent.public_key().is_err()
        );
        // No other type has any use for a context.
        let plain = key(KeyType::Aes256, false);
        let sealed = Prefixed::parse(&plain.encrypt(b"x", Some(b"c")).unwrap()).unwrap();
        assert_eq!(&plain.decrypt(sealed.payload, None).unwrap()[..], b"x");
    }
}
