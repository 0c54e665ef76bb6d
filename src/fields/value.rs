//! One value to a ciphertext and back (`R-18` to `R-22`).
//!
//! The composition is SIV (Rogaway and Shrimpton, 2006): the tag is a pseudorandom function of all
//! that is to be authenticated, and the counter starts from it. There is no nonce that must not
//! repeat.

use super::ciphertext::{FieldMode, Parts, refused};
use super::derive::ValueKeys;
use crate::crypto::{COUNTER_LEN, Mac256};
use crate::error::Result;
use crate::secret::equal;
use zeroize::Zeroize;

/// Encrypts `value` into `out`, which is [`added`](FieldMode::added) bytes longer. The salt is
/// there already. On failure, `out` is zeros.
pub(super) fn seal(
    keys: &ValueKeys,
    mode: FieldMode,
    number: u32,
    row: &[u8],
    value: &[u8],
    out: &mut [u8],
) -> Result<()> {
    let (front, body) = out.split_at_mut(mode.added());
    let (front, salt) = front.split_at_mut(mode.added() - mode.salt_len());
    let (front, tag) = front.split_at_mut(front.len() - Mac256::TAG_LEN);
    mode.put_front(number, front);
    tag.copy_from_slice(&mac(keys, row, salt, value));
    body.copy_from_slice(value);
    let sealed = apply(keys, tag, body);
    if sealed.is_err() {
        out.zeroize();
    }
    sealed
}

/// The place of the salt in a ciphertext.
pub(super) fn salt_of(mode: FieldMode, ciphertext: &mut [u8]) -> &mut [u8] {
    &mut ciphertext[mode.added() - mode.salt_len()..mode.added()]
}

/// Decrypts into `out`, which has the length of the body. If the value is not authentic, `out` is
/// zeros.
pub(super) fn open(keys: &ValueKeys, parts: &Parts<'_>, row: &[u8], out: &mut [u8]) -> Result<()> {
    out.copy_from_slice(parts.body);
    let opened = apply(keys, parts.tag, out).and_then(|()| {
        let tag = mac(keys, row, parts.salt, out);
        if equal(&tag, parts.tag) { Ok(()) } else { Err(refused()) }
    });
    if opened.is_err() {
        out.zeroize();
    }
    opened
}

/// `R-18`
fn mac(keys: &ValueKeys, row: &[u8], salt: &[u8], value: &[u8]) -> [u8; Mac256::TAG_LEN] {
    keys.mac.tag(&[&(row.len() as u64).to_be_bytes(), row, salt, value])
}

/// AES-256 in counter mode, from the first bytes of the tag (`R-19`).
fn apply(keys: &ValueKeys, tag: &[u8], body: &mut [u8]) -> Result<()> {
    let mut counter = [0; COUNTER_LEN];
    counter.copy_from_slice(&tag[..COUNTER_LEN]);
    keys.cipher.apply(counter, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Aes256Ctr;
    use crate::error::ErrorKind;
    use crate::fields::derive::value_keys;
    use crate::secret::DataKey;

    fn keys(mode: FieldMode) -> Box<ValueKeys> {
        value_keys(&DataKey::copy_from(&[7; 32]), mode, "customers.email").unwrap()
    }

    fn sealed(mode: FieldMode, value: &[u8]) -> Vec<u8> {
        let mut out = vec![0; mode.added() + value.len()];
        salt_of(mode, &mut out).fill(9);
        seal(&keys(mode), mode, 5, b"row", value, &mut out).unwrap();
        out
    }

    //
    #[test]
    fn what_is_not_authentic_leaves_zeros() {
        for mode in [FieldMode::Randomized, FieldMode::Deterministic] {
            let value = [0x5a; 50];
            let good = sealed(mode, &value);
            let opened = |ciphertext: &[u8], row: &[u8]| {
                let parts = Parts::of(ciphertext).unwrap();
                let mut out = vec![1; parts.body.len()];
                (open(&keys(mode), &parts, row, &mut out).is_ok(), out)
            };
            assert_eq!(opened(&good, b"row"), (true, value.to_vec()));
            assert_eq!(opened(&good, b"rov"), (false, vec![0; 50]));
            // Version, mode and number choose the key, and are not of the tag.
            for bit in 6 * 8..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(opened(&bad, b"row"), (false, vec![0; 50]), "{bit}");
            }
            let shorter = &good[..good.len() - 1];
            assert_eq!(opened(shorter, b"row"), (false, vec![0; 49]));
        }
    }

    // A cipher of another mode fails, as no other does.
    #[test]
    fn what_cannot_be_encrypted_leaves_zeros() {
        for mode in [FieldMode::Randomized, FieldMode::Deterministic] {
            let mut keys = keys(mode);
            keys.cipher = Aes256Ctr::failing();
            let mut out = vec![1; mode.added() + 50];
            let failed = seal(&keys, mode, 5, b"row", &[0x5a; 50], &mut out).unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::Internal);
            assert_eq!(out, vec![0; mode.added() + 50]);
        }
    }

    // without its length a row could give bytes to the salt or the value.
    #[test]
    fn a_row_ends_where_it_ends() {
        let mode = FieldMode::Deterministic;
        let tag = |row: &[u8], value: &[u8]| mac(&keys(mode), row, &[], value);
        assert_ne!(tag(b"ab", b"c"), tag(b"a", b"bc"));
    }
}
