//! From a data key to one message's key, base nonce and commitment (`F-20` to `F-22`).

use super::chunk::ChunkCipher;
use crate::crypto::{Aes256Gcm, CipherBackend, KEY_LEN, Mac512, NONCE_LEN};
use crate::error::{Error, Result};
use crate::secret::{DataKey, equal, random};
use crate::stack::Scratch;
use aws_lc_rs::digest;

const SALT_LEN: usize = 24;
const COMMITMENT_LEN: usize = 32;
/// Bytes in front of the first chunk: the salt and the commitment.
pub const PREAMBLE_LEN: usize = SALT_LEN + COMMITMENT_LEN;

const LABEL: &[u8] = b"ncp-envelope v1\0";
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const OKM_LEN: usize = KEY_LEN + NONCE_LEN + COMMITMENT_LEN;
/// To whole steps of the expansion.
const EXPANDED_LEN: usize = OKM_LEN.next_multiple_of(Mac512::TAG_LEN);

/// A fresh salt, and what it derives for a new message.
pub(super) fn start(
    backend: CipherBackend,
    key: &DataKey,
    region_a: &[u8],
    aad: &[u8],
) -> Result<([u8; PREAMBLE_LEN], ChunkCipher)> {
    let mut salt = [0; SALT_LEN];
    random(&mut salt)?;
    start_with(backend, key, region_a, aad, salt)
}

/// As [`start`], with the caller's salt. Private to the format, for tests: a repeated salt repeats
/// every nonce.
pub(super) fn start_with(
    backend: CipherBackend,
    key: &DataKey,
    region_a: &[u8],
    aad: &[u8],
    salt: [u8; SALT_LEN],
) -> Result<([u8; PREAMBLE_LEN], ChunkCipher)> {
    let material = material(key, region_a, aad, &salt);
    let mut preamble = [0; PREAMBLE_LEN];
    preamble[..SALT_LEN].copy_from_slice(&salt);
    preamble[SALT_LEN..].copy_from_slice(material.commitment());
    Ok((preamble, material.cipher(backend)?))
}

/// What the salt of an existing message derives, after its commitment was verified (`F-22`).
pub(super) fn resume(
    backend: CipherBackend,
    key: &DataKey,
    region_a: &[u8],
    aad: &[u8],
    preamble: &[u8; PREAMBLE_LEN],
) -> Result<ChunkCipher> {
    let (salt, stored) = preamble.split_at(SALT_LEN);
    let material = material(key, region_a, aad, salt);
    if equal(material.commitment(), stored) {
        material.cipher(backend)
    } else {
        Err(Error::authentication())
    }
}

/// Message key, base nonce and commitment.
struct Material(Scratch<EXPANDED_LEN>);

impl Material {
    fn commitment(&self) -> &[u8] {
        &self.0.0[KEY_LEN + NONCE_LEN..OKM_LEN]
    }

    fn cipher(&self, backend: CipherBackend) -> Result<ChunkCipher> {
        let (mut message_key, mut base_nonce) = (Scratch([0; KEY_LEN]), [0; NONCE_LEN]);
        message_key.0.copy_from_slice(&self.0.0[..KEY_LEN]);
        base_nonce.copy_from_slice(&self.0.0[KEY_LEN..KEY_LEN + NONCE_LEN]);
        Ok(ChunkCipher::new(Aes256Gcm::new(backend, &message_key.0)?, base_nonce))
    }
}

// F-21
fn material(key: &DataKey, region_a: &[u8], aad: &[u8], salt: &[u8]) -> Material {
    Material(key.expander().expand(&[INFO, salt, context(region_a, aad).as_ref()]))
}

// F-20: lengths in front of both parts, so that no byte can move from the header to the associated
// data.
fn context(region_a: &[u8], aad: &[u8]) -> digest::Digest {
    let (region_len, aad_len) =
        ((region_a.len() as u64).to_be_bytes(), (aad.len() as u64).to_be_bytes());
    let parts = [LABEL, &region_len, region_a, &aad_len, aad];
    // In one piece where it is small: the hash of a usual header costs half as much then.
    let mut input = [0; 512];
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    if len <= input.len() {
        let mut at = 0;
        for part in parts {
            input[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        return digest::digest(&digest::SHA256, &input[..len]);
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_input_changes_the_commitment() {
        let key = DataKey::copy_from(&[1; 32]);
        let base = material(&key, b"region", b"aad", &[2; 24]);
        assert_eq!(base.commitment(), material(&key, b"region", b"aad", &[2; 24]).commitment());
        for other in [
            material(&DataKey::copy_from(&[3; 32]), b"region", b"aad", &[2; 24]),
            material(&key, b"regiona", b"ad", &[2; 24]),
            material(&key, b"region", b"", &[2; 24]),
            material(&key, b"region", b"aad", &[4; 24]),
        ] {
            assert_ne!(base.commitment(), other.commitment());
        }
    }

    // F-20
    #[test]
    fn the_context_is_the_same_in_one_piece_and_in_many() {
        for (region_len, aad_len) in [(24, 0), (300, 172), (300, 173), (512, 0), (4_096, 9)] {
            let (region, aad) = (vec![1; region_len], vec![2; aad_len]);
            let whole = [
                LABEL,
                &(region_len as u64).to_be_bytes(),
                &region,
                &(aad_len as u64).to_be_bytes(),
                &aad,
            ]
            .concat();
            assert_eq!(
                context(&region, &aad).as_ref(),
                digest::digest(&digest::SHA256, &whole).as_ref()
            );
        }
    }

    #[test]
    fn a_wrong_commitment_is_refused() {
        let key = DataKey::generate().unwrap();
        let backend = CipherBackend::AwsLc;
        let (preamble, _) = start(backend, &key, b"region", b"").unwrap();
        assert!(resume(backend, &key, b"region", b"", &preamble).is_ok());
        for bit in 0..PREAMBLE_LEN * 8 {
            let mut changed = preamble;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                resume(backend, &key, b"region", b"", &changed).err().map(|e| e.kind()),
                Some(ErrorKind::Authentication)
            );
        }
    }
}
