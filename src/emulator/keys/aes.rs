//! AES-256-GCM in the service's two modes: with a random nonce, and convergent.
//!
//! Key tag and version are authenticated with every ciphertext, so that neither another key's
//! ciphertext nor an edited prefix decrypts. Payloads are nonce, ciphertext and tag.

use crate::emulator::answer::Refusal;
use crate::emulator::random;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// Length of a key in bytes.
pub(crate) const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;

/// A key with a random nonce for each ciphertext. It ignores contexts.
pub(crate) struct Aes {
    aead: LessSafeKey,
    associated: Vec<u8>,
}

/// A seed from which a key and a nonce are derived for each context. All plaintexts of one context
/// share a nonce, as the service documents; it advises a context for each datum for that reason.
pub(crate) struct Convergent {
    seed: hkdf::Prk,
    associated: Vec<u8>,
}

impl Aes {
    /// `None` if `key` does not have the right length.
    pub(crate) fn new(tag: &str, version: u32, key: &[u8]) -> Option<Self> {
        Some(Self { aead: aead(key)?, associated: associated(tag, version) })
    }

    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce)?;
        seal(&self.aead, &self.associated, nonce, plaintext)
    }

    pub(crate) fn decrypt(&self, payload: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        open(&self.aead, &self.associated, payload)
    }
}

impl Convergent {
    /// `None` if `seed` does not have the right length.
    pub(crate) fn new(tag: &str, version: u32, seed: &[u8]) -> Option<Self> {
        let seed = (seed.len() == KEY_LEN)
            .then(|| hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(seed))?;
        Some(Self { seed, associated: associated(tag, version) })
    }

    pub(crate) fn encrypt(
        &self,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let (aead, nonce) = self.derive(context)?;
        seal(&aead, &self.associated, nonce, plaintext)
    }

    pub(crate) fn decrypt(
        &self,
        payload: Vec<u8>,
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let (aead, nonce) = self.derive(context)?;
        if !payload.starts_with(&nonce) {
            return Err(Refusal::request("ciphertext is of another context"));
        }
        open(&aead, &self.associated, payload)
    }

    fn derive(&self, context: &[u8]) -> Result<(LessSafeKey, [u8; NONCE_LEN]), Refusal> {
        let failed = || Refusal::internal("key derivation failed");
        let mut derived = Zeroizing::new([0; KEY_LEN + NONCE_LEN]);
        let info = [&self.associated[..], context];
        self.seed
            .expand(&info, Length(derived.len()))
            .and_then(|okm| okm.fill(&mut derived[..]))
            .map_err(|_| failed())?;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&derived[KEY_LEN..]);
        Ok((aead(&derived[..KEY_LEN]).ok_or_else(failed)?, nonce))
    }
}

/// Number of bytes to derive.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn aead(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

fn associated(tag: &str, version: u32) -> Vec<u8> {
    [tag.as_bytes(), &[0], &version.to_be_bytes()].concat()
}

fn seal(
    aead: &LessSafeKey,
    associated: &[u8],
    nonce: [u8; NONCE_LEN],
    plaintext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut payload = Zeroizing::new(Vec::with_capacity(NONCE_LEN + plaintext.len() + TAG_LEN));
    payload.extend_from_slice(&nonce);
    payload.extend_from_slice(plaintext);
    let body = &mut payload[NONCE_LEN..];
    let tag = aead
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated),
            body,
        )
        .map_err(|_| Refusal::internal("encryption failed"))?;
    payload.extend_from_slice(tag.as_ref());
    Ok(payload)
}

fn open(
    aead: &LessSafeKey,
    associated: &[u8],
    payload: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut payload = Zeroizing::new(payload);
    if payload.len() < NONCE_LEN + TAG_LEN {
        return Err(Refusal::request("ciphertext is too short"));
    }
    let opened = Nonce::try_assume_unique_for_key(&payload[..NONCE_LEN])
        .and_then(|nonce| {
            aead.open_within(nonce, Aad::from(associated), &mut payload, NONCE_LEN..)
                .map(|plain| plain.len())
        })
        .map_err(|_| Refusal::request("ciphertext is not authentic"))?;
    payload.truncate(opened);
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_under_the_same_key_tag_and_version() {
        let key = |tag, version| Aes::new(tag, version, &[7; KEY_LEN]).unwrap();
        let sealed = key("a", 1).encrypt(b"test").unwrap().to_vec();
        // The service's published sample for this plaintext has the same 32 bytes.
        assert_eq!(sealed.len(), 32);
        assert_eq!(&key("a", 1).decrypt(sealed.clone()).unwrap()[..], b"test");
        assert!(key("b", 1).decrypt(sealed.clone()).is_err());
        assert!(key("a", 2).decrypt(sealed).is_err());
        assert!(Aes::new("a", 1, &[7; 16]).is_none());
    }

    #[test]
    fn a_context_decides_key_and_nonce() {
        let key = |version| Convergent::new("a", version, &[7; KEY_LEN]).unwrap();
        let sealed = key(1).encrypt(b"test", b"c").unwrap().to_vec();
        assert_eq!(sealed, key(1).encrypt(b"test", b"c").unwrap().to_vec());
        let other = key(1).encrypt(b"test", b"d").unwrap().to_vec();
        assert!(sealed.iter().zip(&other).filter(|(a, b)| a == b).count() < 8);
        assert_eq!(&key(1).decrypt(sealed.clone(), b"c").unwrap()[..], b"test");
        assert!(key(1).decrypt(sealed.clone(), b"d").is_err());
        assert!(key(2).decrypt(sealed, b"c").is_err());
        assert!(Convergent::new("a", 1, &[7; 16]).is_none());
    }
}
