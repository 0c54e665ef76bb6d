//! From a data key to one message's key, base nonce and commitment (`F-20` to `F-22`).

use super::chunk::ChunkCipher;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DataKey, equal, random};
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

const SALT_LEN: usize = 24;
const COMMITMENT_LEN: usize = 32;
/// Bytes in front of the first chunk: the salt and the commitment.
pub const PREAMBLE_LEN: usize = SALT_LEN + COMMITMENT_LEN;

const LABEL: &[u8] = b"ncp-envelope v1\0";
// F-21
const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const OKM_LEN: usize = KEY_LEN + NONCE_LEN + COMMITMENT_LEN;
/// What HMAC-SHA-512 gives, and one step of the expansion.
const BLOCK_LEN: usize = 64;
const CONTEXT_LEN: usize = 32;
const EXPAND_LEN: usize = INFO.len() + SALT_LEN + CONTEXT_LEN;

/// A fresh salt, and what it derives for a new message.
pub(super) fn start(key: &DataKey, zone_a: &[u8], aad: &[u8]) -> Result<([u8; PREAMBLE_LEN], ChunkCipher)> {
    let mut salt = [0; SALT_LEN];
    random(&mut salt)?;
    start_with(key, zone_a, aad, salt)
}

/// As [`start`], with the caller's salt. Private to the format, for tests: a repeated salt repeats every nonce.
pub(super) fn start_with(key: &DataKey, zone_a: &[u8], aad: &[u8], salt: [u8; SALT_LEN]) -> Result<([u8; PREAMBLE_LEN], ChunkCipher)> {
    let (cipher, commitment) = derive(key, zone_a, aad, &salt)?;
    let mut preamble = [0; PREAMBLE_LEN];
    preamble[..SALT_LEN].copy_from_slice(&salt);
    preamble[SALT_LEN..].copy_from_slice(&commitment);
    Ok((preamble, cipher))
}

/// What the salt of an existing message derives, after its commitment was verified (`F-22`).
pub(super) fn resume(key: &DataKey, zone_a: &[u8], aad: &[u8], preamble: &[u8; PREAMBLE_LEN]) -> Result<ChunkCipher> {
    let (salt, stored) = preamble.split_at(SALT_LEN);
    let (cipher, commitment) = derive(key, zone_a, aad, salt)?;
    if equal(&commitment, stored) { Ok(cipher) } else { Err(Error::authentication()) }
}

fn derive(key: &DataKey, zone_a: &[u8], aad: &[u8], salt: &[u8]) -> Result<(ChunkCipher, [u8; COMMITMENT_LEN])> {
    let failed = |_| Error::new(ErrorKind::Internal, "key derivation failed");
    let context = context(zone_a, aad);
    let okm = expand(key.expander(), salt, context.as_ref());
    let (message_key, rest) = okm[..OKM_LEN].split_at(KEY_LEN);
    let (nonce, commitment) = rest.split_at(NONCE_LEN);
    let (mut base_nonce, mut out) = ([0; NONCE_LEN], [0; COMMITMENT_LEN]);
    base_nonce.copy_from_slice(nonce);
    out.copy_from_slice(commitment);
    let aead = UnboundKey::new(&AES_256_GCM, message_key).map_err(failed)?;
    Ok((ChunkCipher::new(LessSafeKey::new(aead), base_nonce), out))
}

/// HKDF-Expand of RFC 5869 for two blocks. Written out because the library's own takes the bare key, and sets it up again each time: a
/// kept one is a quarter faster. A test holds it against the library's.
fn expand(key: &hmac::Key, salt: &[u8], context: &[u8]) -> Zeroizing<[u8; 2 * BLOCK_LEN]> {
    // T(1), then info and the block's number.
    let mut input = Zeroizing::new([0; BLOCK_LEN + EXPAND_LEN + 1]);
    let mut at = BLOCK_LEN;
    for part in [INFO, salt, context] {
        input[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    let mut okm = Zeroizing::new([0; 2 * BLOCK_LEN]);
    input[at] = 1;
    okm[..BLOCK_LEN].copy_from_slice(hmac::sign(key, &input[BLOCK_LEN..]).as_ref());
    input[..BLOCK_LEN].copy_from_slice(&okm[..BLOCK_LEN]);
    input[at] = 2;
    okm[BLOCK_LEN..].copy_from_slice(hmac::sign(key, &input[..]).as_ref());
    okm
}

// F-20: lengths in front of both parts, so that no byte can move from the header to the associated data.
fn context(zone_a: &[u8], aad: &[u8]) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(LABEL);
    hash.update(&(zone_a.len() as u64).to_be_bytes());
    hash.update(zone_a);
    hash.update(&(aad.len() as u64).to_be_bytes());
    hash.update(aad);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_is_that_of_the_library() {
        use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
        struct Len;
        impl KeyType for Len {
            fn len(&self) -> usize {
                2 * BLOCK_LEN
            }
        }
        for seed in 0..50 {
            let key = DataKey::copy_from(&[seed; 32]);
            let (salt, context) = ([seed ^ 0x55; SALT_LEN], [seed.wrapping_mul(7); CONTEXT_LEN]);
            let mut wanted = [0; 2 * BLOCK_LEN];
            let prk = Prk::new_less_safe(HKDF_SHA512, key.expose_secret());
            prk.expand(&[INFO, &salt, &context], Len).unwrap().fill(&mut wanted).unwrap();
            for _ in 0..2 {
                assert_eq!(*expand(key.expander(), &salt, &context), wanted);
            }
        }
    }

    #[test]
    fn every_input_changes_the_commitment() {
        let key = DataKey::copy_from(&[1; 32]);
        let base = derive(&key, b"zone", b"aad", &[2; 24]).unwrap().1;
        assert_eq!(base, derive(&key, b"zone", b"aad", &[2; 24]).unwrap().1);
        for other in [
            derive(&DataKey::copy_from(&[3; 32]), b"zone", b"aad", &[2; 24]),
            derive(&key, b"zonea", b"ad", &[2; 24]),
            derive(&key, b"zone", b"", &[2; 24]),
            derive(&key, b"zone", b"aad", &[4; 24]),
        ] {
            assert_ne!(base, other.unwrap().1);
        }
    }

    #[test]
    fn a_wrong_commitment_is_refused() {
        let key = DataKey::generate().unwrap();
        let (preamble, _) = start(&key, b"zone", b"").unwrap();
        assert!(resume(&key, b"zone", b"", &preamble).is_ok());
        for bit in 0..PREAMBLE_LEN * 8 {
            let mut changed = preamble;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(resume(&key, b"zone", b"", &changed).err().map(|e| e.kind()), Some(ErrorKind::Authentication));
        }
    }
}
