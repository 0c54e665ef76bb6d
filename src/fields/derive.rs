//! From a ring's key to the keys of one field (`R-17`, `R-25`).

use crate::cipher::Aes256Ctr;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DataKey, Scratch};
use crate::stack::{DEEP, wiped};
use std::sync::Arc;

use super::ciphertext::FieldMode;
use super::mac::{MacKey, TAG_LEN};

const VALUE_LABEL: &[u8] = b"ncp-envelope field v1\0";
const INDEX_LABEL: &[u8] = b"ncp-envelope index v1\0";
/// What encrypts the values of one field and mode. The libraries' keys wipe themselves.
pub(super) struct ValueKeys {
    pub(super) mac: MacKey,
    pub(super) cipher: Aes256Ctr,
}

/// `R-17`
pub(super) fn value_keys(key: &DataKey, mode: FieldMode, field: &str) -> Result<Box<ValueKeys>> {
    let info = [VALUE_LABEL, &[mode.code()], &field_len(field), field.as_bytes()];
    let keys = wiped::<DEEP, _>(|| {
        let (mut km, mut ke) = (Scratch([0; TAG_LEN]), Scratch([0; TAG_LEN]));
        expand(key, &info, [&mut km, &mut ke]);
        let mac = MacKey::new(&km.0);
        Some(Box::new(ValueKeys { mac, cipher: Aes256Ctr::new(&ke.0)? }))
    });
    keys.ok_or_else(failed)
}

/// `R-25`
pub(super) fn index_key(key: &DataKey, field: &str, bits: u16) -> Arc<MacKey> {
    let info = [INDEX_LABEL, &field_len(field), field.as_bytes(), &bits.to_be_bytes()];
    wiped::<DEEP, _>(|| {
        let mut ki = Scratch([0; TAG_LEN]);
        expand(key, &info, [&mut ki]);
        Arc::new(MacKey::new(&ki.0))
    })
}

/// HKDF-Expand of RFC 5869 with SHA-256, to whole blocks. Written out because libraries leave
/// copies of the key and of what they derive behind.
fn expand<const N: usize>(key: &DataKey, info: &[&[u8]; 4], out: [&mut Scratch<TAG_LEN>; N]) {
    let key = MacKey::new(key.expose_secret());
    let mut before: &[u8] = &[];
    for (number, block) in (1_u8..).zip(out) {
        let [a, b, c, d] = *info;
        block.0 = key.tag(&[before, a, b, c, d, &[number]]);
        before = &block.0;
    }
}

/// The length of a field's name, which is at most 255 (`R-16`).
fn field_len(field: &str) -> [u8; 2] {
    (field.len() as u16).to_be_bytes()
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
        let (mut one, mut two) = (Scratch([0; TAG_LEN]), Scratch([0; TAG_LEN]));
        expand(&key, &[b"one", b"two", b"", b"three"], [&mut one, &mut two]);
        let (first, mut theirs) = (one.0, [0; 2 * TAG_LEN]);
        let info: [&[u8]; 2] = [b"onetwo", b"three"];
        prk.expand(&info, Len(theirs.len())).unwrap().fill(&mut theirs).unwrap();
        assert_eq!([first, two.0].concat(), theirs);
        expand(&key, &[b"one", b"two", b"", b"three"], [&mut one]);
        assert_eq!(one.0, first);
    }
}
