//! RSA and ECDSA keys. The service documents the types only; paddings, hash and encodings are this
//! emulator's choice: OAEP with SHA-256 (which the documented limit of 190 bytes suggests), PKCS #1
//! v1.5 signatures with SHA-256, ECDSA with SHA-256 in DER, and public keys as
//! SubjectPublicKeyInfo. `openssl` accepts all of them as they are.

use crate::emulator::answer::Refusal;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair as RsaKeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use pem::{EncodeConfig, LineEnding, Pem};
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// The longest plaintext of one RSA encryption, in bytes.
const MAX_RSA_PLAINTEXT: usize = 190;

/// A key for encryption and signatures. Parsed on first use, because every change of the state
/// creates all keys again.
pub(crate) struct Rsa {
    pkcs8: Zeroizing<Vec<u8>>,
    parsed: OnceLock<Option<ParsedRsa>>,
}

struct ParsedRsa {
    signing: RsaKeyPair,
    encrypting: OaepPublicEncryptingKey,
    decrypting: OaepPrivateDecryptingKey,
}

/// A key for signatures.
pub(crate) struct Ecdsa(EcdsaKeyPair);

/// Generates an RSA key, as PKCS#8. Takes a tenth of a second or more.
pub(crate) fn generate_rsa() -> Option<Zeroizing<Vec<u8>>> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let der: Pkcs8V1Der<'_> = key.as_der().ok()?;
    Some(Zeroizing::new(der.as_ref().to_vec()))
}

/// Generates an ECDSA key, as PKCS#8.
pub(crate) fn generate_ecdsa() -> Option<Zeroizing<Vec<u8>>> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).ok()?;
    Some(Zeroizing::new(key.to_pkcs8v1().ok()?.as_ref().to_vec()))
}

impl Rsa {
    pub(crate) fn new(pkcs8: &[u8]) -> Self {
        Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), parsed: OnceLock::new() }
    }

    /// Whether this can be parsed.
    pub(crate) fn is_valid(&self) -> bool {
        self.parsed().is_ok()
    }

    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if plaintext.len() > MAX_RSA_PLAINTEXT {
            return Err(Refusal::request("plaintext is longer than the 190 bytes that RSA takes"));
        }
        let key = &self.parsed()?.encrypting;
        let mut out = Zeroizing::new(vec![0; key.ciphertext_size()]);
        let failed = |_| Refusal::internal("RSA encryption failed");
        key.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut out, None).map_err(failed)?;
        Ok(out)
    }

    pub(crate) fn decrypt(&self, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let key = &self.parsed()?.decrypting;
        let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
        let opened = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, payload, &mut out, None)
            .map(|plaintext| plaintext.len());
        let opened = opened.map_err(|_| Refusal::request("ciphertext is not authentic"))?;
        out.truncate(opened);
        Ok(out)
    }

    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        let key = &self.parsed()?.signing;
        let mut signature = vec![0; key.public_modulus_len()];
        let failed = |_| Refusal::internal("RSA signature failed");
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature).map_err(failed)?;
        Ok(signature)
    }

    pub(crate) fn verify(&self, data: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        let key = UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA256,
            self.parsed()?.signing.public_key(),
        );
        Ok(key.verify(data, signature).is_ok())
    }

    pub(crate) fn public_key(&self) -> Result<String, Refusal> {
        let der: PublicKeyX509Der<'_> =
            self.parsed()?.signing.public_key().as_der().map_err(|_| unwritable())?;
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }

    fn parsed(&self) -> Result<&ParsedRsa, Refusal> {
        self.parsed
            .get_or_init(|| ParsedRsa::from_pkcs8(&self.pkcs8))
            .as_ref()
            .ok_or(Refusal::internal("RSA key is not valid"))
    }
}

impl ParsedRsa {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let private = PrivateDecryptingKey::from_pkcs8(der).ok()?;
        Some(Self {
            signing: RsaKeyPair::from_pkcs8(der).ok()?,
            encrypting: OaepPublicEncryptingKey::new(private.public_key()).ok()?,
            decrypting: OaepPrivateDecryptingKey::new(private).ok()?,
        })
    }
}

impl Ecdsa {
    /// `None` if `pkcs8` is not an ECDSA key.
    pub(crate) fn new(pkcs8: &[u8]) -> Option<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).ok().map(Self)
    }

    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        let failed = |_| Refusal::internal("ECDSA signature failed");
        Ok(self.0.sign(&SystemRandom::new(), data).map_err(failed)?.as_ref().to_vec())
    }

    pub(crate) fn verify(&self, data: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.0.public_key())
            .verify(data, signature)
            .is_ok()
    }

    pub(crate) fn public_key(&self) -> Result<String, Refusal> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| unwritable())?;
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }
}

fn unwritable() -> Refusal {
    Refusal::internal("public key cannot be written")
}

/// PEM encoding, in lines of 64 characters. Not for secrets: buffers are not wiped.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_takes_190_bytes_and_only_its_own_ciphertexts() {
        let key = Rsa::new(&generate_rsa().unwrap());
        let sealed = key.encrypt(&[1; MAX_RSA_PLAINTEXT]).unwrap();
        assert_eq!(sealed.len(), 256);
        assert_eq!(key.decrypt(&sealed).unwrap().to_vec(), [1; MAX_RSA_PLAINTEXT]);
        assert!(key.encrypt(&[1; MAX_RSA_PLAINTEXT + 1]).is_err());
        assert!(key.decrypt(&sealed[1..]).is_err());
        assert!(key.decrypt(&[]).is_err());
        assert!(!Rsa::new(b"no key").is_valid());
    }

    #[test]
    fn armour_has_short_lines() {
        let armoured = pem("PUBLIC KEY", &[0; 100]);
        assert!(armoured.lines().all(|line| line.len() <= 64));
        assert!(armoured.starts_with("-----BEGIN PUBLIC KEY-----\nAAAA"));
        assert!(armoured.ends_with("\n-----END PUBLIC KEY-----\n"));
    }
}
