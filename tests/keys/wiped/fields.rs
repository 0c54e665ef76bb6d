//! Key rings, values and columns.

use crate::*;
use ncp_envelope::CacheLimits;
use ncp_envelope::fields::{Field, FieldMode, KeyRing};
use std::time::Duration;

const MODES: [FieldMode; 2] = [FieldMode::Randomized, FieldMode::Deterministic];

fn field(ring: &KeyRing, mode: FieldMode) -> Field {
    ring.field("customers.email").unwrap().with_mode(mode)
}

#[test]
fn keys_of_a_ring() {
    let _turn = begin();
    let wrapper = Telling::new();
    let limits = CacheLimits::new(Duration::from_secs(3_600));
    let envelope = Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
    let mut stored = Vec::new();
    watch("made, rotated and dropped", || {
        let ring = block_on(KeyRing::create(&envelope)).unwrap();
        for mode in MODES {
            field(&ring, mode).encrypt("v", "17").unwrap();
        }
        field(&ring, MODES[0]).index("v").unwrap();
        block_on(ring.adopt(&block_on(ring.rotate()).unwrap())).unwrap();
        block_on(ring.adopt(&block_on(ring.rotate_index()).unwrap())).unwrap();
        ring.forget_keys();
        block_on(ring.ready()).unwrap();
        stored = ring.to_bytes();
    });
    watch("refused", || {
        let other = envelope.for_scope("another").unwrap();
        assert!(block_on(KeyRing::open(&stored, &other)).is_err());
        wrapper.refuse(true);
        assert!(block_on(KeyRing::open(&stored, &envelope)).is_err());
        assert!(block_on(KeyRing::create(&envelope)).is_err());
        wrapper.refuse(false);
    });
}

#[test]
fn values() {
    let _turn = begin();
    let ring = block_on(KeyRing::create(&envelope())).unwrap();
    for mode in MODES {
        let field = field(&ring, mode);
        let lengths = [0, 16, 40, 5_000, 65_536];
        let sealed = lengths.map(|len| field.encrypt(&*plaintext(len), "17").unwrap());
        watch("encrypt into a buffer that held plaintext", || {
            let mut out = std::mem::take(&mut *plaintext(65_536 + 54));
            field.encrypt_into(&*plaintext(65_536), "17", &mut out).unwrap();
        });
        watch("decrypt", || {
            for (ciphertext, len) in sealed.iter().zip(lengths) {
                assert!(*field.decrypt(ciphertext, "17").unwrap() == *plaintext(len));
                assert!(field.decrypt(ciphertext, "18").is_err());
                let mut changed = ciphertext.clone();
                *changed.last_mut().unwrap() ^= 1;
                assert!(field.decrypt(&changed, "17").is_err());
            }
        });
        watch("decrypt into a buffer that grows", || {
            let mut out = Zeroizing::new(Vec::new());
            for at in [1, 2, 3, 1, 4, 0] {
                field.decrypt_into(&sealed[at], "17", &mut out).unwrap();
                assert!(*out == *plaintext(lengths[at]));
            }
        });
        watch("a failure wipes the buffer, whatever was in it", || {
            for (ciphertext, before) in sealed.iter().zip([40, 40, 70_000, 100, 70_000]) {
                let mut out = std::mem::take(&mut *plaintext(before));
                assert!(field.decrypt_into(ciphertext, "18", &mut out).is_err());
                assert!(out.is_empty());
            }
        });
    }
}

#[test]
fn columns() {
    let _turn = begin();
    let ring = block_on(KeyRing::create(&envelope())).unwrap();
    for mode in MODES {
        let field = field(&ring, mode);
        // On several threads.
        let rows: Vec<_> = (0..10_000_u32).map(|row| (plaintext(48), row.to_be_bytes())).collect();
        let column = field.encrypt_many(&rows).unwrap();
        let mut sealed: Vec<_> = column.iter().zip(rows.iter().map(|(_, row)| *row)).collect();
        watch("decrypt a column", || {
            let opened = field.decrypt_many(&sealed).unwrap();
            opened.check().unwrap();
            assert!(opened.get(9_999).unwrap() == &**plaintext(48));
        });
        sealed[5_000].1 = [7; 4];
        watch("decrypt a column with a value of another row", || {
            assert_eq!(field.decrypt_many(&sealed).unwrap().failed(), [5_000]);
        });
    }
}
