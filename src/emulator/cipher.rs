//! The ciphertexts: `ncpkms:v{N}:` and the base64 of nonce, AES-256-GCM ciphertext and tag.
//!
//! The service treats what follows the prefix as its own affair, and so must its clients. The key tag and the version are
//! authenticated with every ciphertext, so that neither another key's ciphertext nor an edited prefix opens.

use super::answer::Refusal;
use super::text;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Length of a key in bytes.
pub(super) const KEY_LEN: usize = 32;
/// What a ciphertext is longer than its plaintext, in bytes.
pub(super) const OVERHEAD: usize = NONCE_LEN + TAG_LEN;
const TAG_LEN: usize = 16;
const PREFIX: &str = "ncpkms:v";

/// One version of a key, ready for use.
pub(super) struct VersionKey {
    aead: LessSafeKey,
    associated: Vec<u8>,
    prefix: String,
}

impl VersionKey {
    /// `None` if `key` has not the right length.
    pub(super) fn new(tag: &str, version: u32, key: &[u8]) -> Option<Self> {
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
        let associated = [tag.as_bytes(), &[0], &version.to_be_bytes()].concat();
        Some(Self { aead, associated, prefix: format!("{PREFIX}{version}:") })
    }

    pub(super) fn encrypt(&self, plaintext: &[u8]) -> Result<String, Refusal> {
        let mut payload = Zeroizing::new(Vec::with_capacity(plaintext.len() + OVERHEAD));
        payload.extend_from_slice(&[0; NONCE_LEN]);
        payload.extend_from_slice(plaintext);
        let (nonce, body) = payload.split_at_mut(NONCE_LEN);
        aws_lc_rs::rand::fill(nonce).map_err(|_| Refusal::internal("random source failed"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Refusal::internal("nonce has a wrong length"))?;
        let tag = self
            .aead
            .seal_in_place_separate_tag(nonce, Aad::from(&self.associated), body)
            .map_err(|_| Refusal::internal("encryption failed"))?;
        payload.extend_from_slice(tag.as_ref());

        let mut out = String::with_capacity(self.prefix.len() + payload.len().div_ceil(3) * 4);
        out.push_str(&self.prefix);
        STANDARD.encode_string(&payload, &mut out);
        Ok(out)
    }

    pub(super) fn decrypt(&self, payload: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut payload = Zeroizing::new(payload);
        let opened = Nonce::try_assume_unique_for_key(payload.get(..NONCE_LEN).unwrap_or_default())
            .and_then(|nonce| self.aead.open_within(nonce, Aad::from(&self.associated), &mut payload, NONCE_LEN..).map(|plain| plain.len()))
            .map_err(|_| Refusal::request("ciphertext is not authentic"))?;
        payload.truncate(opened);
        Ok(payload)
    }
}

/// A ciphertext taken apart: the version its prefix names, and the payload.
pub(super) struct Ciphertext {
    pub(super) version: u32,
    pub(super) payload: Vec<u8>,
}

impl Ciphertext {
    pub(super) fn parse(sent: &str) -> Result<Self, Refusal> {
        let (version, payload) = sent
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(Refusal::request("ciphertext has not the service's prefix"))?;
        let version = text::number(version)
            .and_then(|version| u32::try_from(version).ok())
            .filter(|version| *version >= 1)
            .ok_or(Refusal::request("prefix names no version"))?;
        let payload = STANDARD.decode(payload).map_err(|_| Refusal::request("ciphertext is not base64"))?;
        if payload.len() < OVERHEAD {
            return Err(Refusal::request("ciphertext is too short"));
        }
        Ok(Self { version, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_under_the_same_key_tag_and_version() {
        let key = |tag, version| VersionKey::new(tag, version, &[7; KEY_LEN]).unwrap();
        let sent = key("a", 1).encrypt(b"test").unwrap();
        let parsed = || Ciphertext::parse(&sent).unwrap();
        assert_eq!(parsed().version, 1);
        // The service's published sample for this plaintext has the same 32 bytes.
        assert_eq!(parsed().payload.len(), 32);
        assert_eq!(&key("a", 1).decrypt(parsed().payload).unwrap()[..], b"test");
        assert!(key("b", 1).decrypt(parsed().payload).is_err());
        assert!(key("a", 2).decrypt(parsed().payload).is_err());
        assert!(VersionKey::new("a", 1, &[7; 16]).is_none());
    }

    #[test]
    fn the_prefix_is_read_strictly() {
        let payload = STANDARD.encode([0; OVERHEAD]);
        assert!(Ciphertext::parse(&format!("ncpkms:v10:{payload}")).is_ok());
        for prefix in
            ["", "ncpkms:", "ncpkms:v:", "ncpkms:v0:", "ncpkms:v01:", "ncpkms:v+1:", "ncpkms:v4294967296:", "NCPKMS:v1:", " ncpkms:v1:"]
        {
            assert!(Ciphertext::parse(&format!("{prefix}{payload}")).is_err(), "{prefix}");
        }
        for bad in ["", "AAAA", &payload[..payload.len() - 1], &format!("{payload}\n"), &payload.replace('A', "-")] {
            assert!(Ciphertext::parse(&format!("ncpkms:v1:{bad}")).is_err(), "{bad}");
        }
    }
}
