//! One value to a ciphertext and back (`R-18` to `R-22`).
//!
//! The composition is SIV (Rogaway and Shrimpton, 2006): the tag is a pseudorandom function of all
//! that is to be authenticated, and the counter starts from it. There is no nonce that must not
//! repeat.

use super::ciphertext::{FieldMode, Parts, SALT_LEN, TAG_LEN, refused};
use super::derive::ValueKeys;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::equal;
use aws_lc_rs::cipher::EncryptionContext;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroize;

const COUNTER_LEN: usize = 16;
/// Rows up to this length are put in front of the salt on the stack: one update less.
const SHORT_ROW: usize = 64;

/// Encrypts `value` into `out`, which is [`added`](FieldMode::added) bytes longer. The salt is
/// there already.
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
    let (front, tag) = front.split_at_mut(front.len() - TAG_LEN);
    mode.put_front(number, front);
    tag.copy_from_slice(mac(keys, row, salt, value).as_ref());
    body.copy_from_slice(value);
    apply(keys, tag, body)
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
        if equal(tag.as_ref(), parts.tag) { Ok(()) } else { Err(refused()) }
    });
    if opened.is_err() {
        out.zeroize();
    }
    opened
}

/// `R-18`
fn mac(keys: &ValueKeys, row: &[u8], salt: &[u8], value: &[u8]) -> hmac::Tag {
    let mut mac = hmac::Context::with_key(&keys.mac);
    let len = (row.len() as u64).to_be_bytes();
    if row.len() <= SHORT_ROW {
        let mut first = [0; 8 + SHORT_ROW + SALT_LEN];
        let mut end = 0;
        for part in [&len, row, salt] {
            first[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        mac.update(&first[..end]);
    } else {
        [&len, row, salt].into_iter().for_each(|part| mac.update(part));
    }
    mac.update(value);
    mac.sign()
}

/// AES-256 in counter mode, from the first bytes of the tag (`R-19`).
fn apply(keys: &ValueKeys, tag: &[u8], body: &mut [u8]) -> Result<()> {
    let mut counter = [0; COUNTER_LEN];
    counter.copy_from_slice(&tag[..COUNTER_LEN]);
    let context = EncryptionContext::Iv128(FixedLength::from(counter));
    let done = keys.cipher.less_safe_encrypt(body, context);
    done.map(drop).map_err(|_| Error::new(ErrorKind::Internal, "a value could not be encrypted"))
}
