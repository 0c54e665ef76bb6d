//! From a ring's key to the keys of one field (`R-17`, `R-25`).

use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DataKey, Scratch};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use std::hint::black_box;
use std::sync::Arc;
use zeroize::Zeroize;

use super::ciphertext::FieldMode;

const VALUE_LABEL: &[u8] = b"ncp-envelope field v1\0";
const INDEX_LABEL: &[u8] = b"ncp-envelope index v1\0";
const BLOCK_LEN: usize = 32;
/// More than the derivation and the set-up of its keys put on the stack.
const STACK_LEN: usize = 16 << 10;
/// More than one use of them puts there.
const USE_LEN: usize = 8 << 10;

/// What encrypts the values of one field and mode. The libraries' keys wipe themselves.
pub(super) struct ValueKeys {
    pub(super) mac: hmac::Key,
    pub(super) cipher: EncryptingKey,
}

/// `R-17`
pub(super) fn value_keys(key: &DataKey, mode: FieldMode, field: &str) -> Result<Box<ValueKeys>> {
    let info = [VALUE_LABEL, &[mode.code()], &field_len(field), field.as_bytes()];
    on_a_wiped_stack(|| {
        let mut keys = Scratch([0; 2 * BLOCK_LEN]);
        expand(key, &info, &mut keys.0)?;
        let (km, ke) = keys.0.split_at(BLOCK_LEN);
        let mac = hmac::Key::new(hmac::HMAC_SHA256, km);
        let cipher = UnboundCipherKey::new(&AES_256, ke).and_then(EncryptingKey::ctr);
        Ok(Box::new(ValueKeys { mac, cipher: cipher.map_err(|_| failed())? }))
    })
}

/// `R-25`
pub(super) fn index_key(key: &DataKey, field: &str, bits: u16) -> Result<Arc<hmac::Key>> {
    let info = [INDEX_LABEL, &field_len(field), field.as_bytes(), &bits.to_be_bytes()];
    on_a_wiped_stack(|| {
        let mut derived = Scratch([0; BLOCK_LEN]);
        expand(key, &info, &mut derived.0)?;
        Ok(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &derived.0)))
    })
}

/// HKDF-Expand of RFC 5869 with SHA-256, to whole blocks. Written out because the library's own
/// leaves copies of the key and of what it derives behind.
fn expand(key: &DataKey, info: &[&[u8]], out: &mut [u8]) -> Result<()> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret());
    let mut before = Scratch([0; BLOCK_LEN]);
    for (number, block) in (1_u8..).zip(out.chunks_exact_mut(BLOCK_LEN)) {
        let mut mac = hmac::Context::with_key(&key);
        if number > 1 {
            mac.update(&before.0);
        }
        info.iter().for_each(|part| mac.update(part));
        mac.update(&[number]);
        block.copy_from_slice(mac.sign().as_ref());
        before.0.copy_from_slice(block);
    }
    Ok(())
}

/// The length of a field's name, which is at most 255 (`R-16`).
fn field_len(field: &str) -> [u8; 2] {
    (field.len() as u16).to_be_bytes()
}

/// Keys are set up by value, in the libraries too, and each move leaves a copy on the stack. They
/// are overwritten before this returns.
fn on_a_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let result = deeper(work);
    wipe_below();
    result
}

/// The same for a use of keys: the library copies the states of an HMAC key by value.
#[inline]
pub(super) fn use_on_a_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let result = deeper(work);
    wipe_below_use();
    result
}

#[inline(never)]
fn deeper<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe_below() {
    let mut below = [0_u8; STACK_LEN];
    black_box(&mut below).zeroize();
}

/// Not `zeroize`, which takes several times as long: who looks at an array has it written.
#[inline(never)]
fn wipe_below_use() {
    black_box(&mut [0_u8; USE_LEN]);
}

fn failed() -> Error {
    Error::new(ErrorKind::Internal, "the key of a field could not be derived")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hkdf;

    struct Len(usize);

    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }

    //
    #[test]
    fn expanding_is_what_the_library_does() {
        let key = DataKey::copy_from(&[3; 32]);
        let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose_secret());
        for len in [32, 64] {
            let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
            expand(&key, &[b"one", b"two"], &mut ours).unwrap();
            prk.expand(&[b"one", b"two"], Len(len)).unwrap().fill(&mut theirs).unwrap();
            assert_eq!(ours, theirs);
        }
    }
}
