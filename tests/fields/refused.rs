//! Whatever is wrong with a ciphertext is one error, and nothing of the value comes out.

use crate::local::{MODES, envelope, field, ring};
use ncp_envelope::ErrorKind;
use ncp_envelope::blocking::BlockingKeyRing;
use ncp_envelope::fields::{Field, FieldCiphertext, FieldMode};

const ROW: &str = "17";
const VALUES: [&str; 4] = ["", "k", "kim@example.com", "a value of several blocks of the cipher"];

/// Value keys 1 and 3, index key 2; 3 writes.
fn rotated() -> BlockingKeyRing {
    let ring = ring();
    ring.adopt(&ring.rotate().unwrap()).unwrap();
    ring
}

/// How everything is refused: the same words each time, an empty buffer, and nothing of the others
/// in a column.
struct Refusals<'f> {
    field: &'f Field,
    /// Of `field`, `value` and `ROW`.
    good: Vec<u8>,
    value: &'f str,
    text: String,
}

impl<'f> Refusals<'f> {
    fn new(field: &'f Field, value: &'f str) -> Self {
        let good = field.encrypt(value, ROW).unwrap();
        let text = field.decrypt("no ciphertext", ROW).unwrap_err().to_string();
        Self { field, good, value, text }
    }

    fn check(&self, bad: &[u8], what: &str) {
        self.check_in(self.field, bad, ROW.as_bytes(), what);
        let error = self.field.decrypt_text(FieldCiphertext::to_text(bad), ROW).unwrap_err();
        assert_eq!(error.to_string(), self.text, "{what}");
    }

    fn check_in(&self, field: &Field, bad: &[u8], row: &[u8], what: &str) {
        let mut out = Vec::with_capacity(200);
        out.extend(b"what was there before");
        let all = [
            field.decrypt(bad, row).unwrap_err(),
            field.decrypt_into(bad, row, &mut out).unwrap_err(),
        ];
        for error in all {
            assert_eq!(error.kind(), ErrorKind::Authentication, "{what}");
            assert_eq!(error.to_string(), self.text, "{what}");
        }
        assert!(out.is_empty() && out.capacity() == 200, "{what}");

        let own = field.encrypt(self.value, ROW).unwrap();
        let rows = [(&own[..], ROW.as_bytes()), (bad, row), (&own, ROW.as_bytes())];
        let column = field.decrypt_many(&rows).unwrap();
        assert_eq!((column.len(), column.failed()), (3, &[1][..]), "{what}");
        assert_eq!(column.get(1).unwrap_err().to_string(), self.text, "{what}");
        let checked = column.check().unwrap_err();
        assert_eq!(checked.to_string(), format!("value 1 of the column: {}", self.text), "{what}");
        for at in [0, 2] {
            assert_eq!(column.get(at).unwrap(), self.value.as_bytes(), "{what}");
        }
    }
}

/// For each mode and value.
fn each(ring: &BlockingKeyRing, mut work: impl FnMut(Refusals<'_>, FieldMode)) {
    for mode in MODES {
        let field = field(ring, mode);
        for value in VALUES {
            work(Refusals::new(&field, value), mode);
        }
    }
}

//
#[test]
fn a_value_opens_in_its_field_row_and_ring_only() {
    let ring = rotated();
    // All of them have the keys 1 to 3.
    let (other, scoped) = (rotated(), envelope("another tenant").create_ring().unwrap());
    scoped.adopt(&scoped.rotate().unwrap()).unwrap();
    each(&ring, |refusals, mode| {
        let good = &refusals.good;
        for row in ["", "1", "7", "18", "017", "170", "17\0", "\0\x0017", "17 "] {
            refusals.check_in(refusals.field, good, row.as_bytes(), row);
        }
        let long = "17".repeat(100);
        refusals.check_in(refusals.field, good, long.as_bytes(), "a long row");
        for name in ["customers.emai", "customers.email ", "Customers.email", "x"] {
            let field = ring.field(name).unwrap().with_mode(mode);
            refusals.check_in(&field, good, ROW.as_bytes(), name);
        }
        refusals.check_in(&field(&other, mode), good, ROW.as_bytes(), "another ring");
        refusals.check_in(&field(&scoped, mode), good, ROW.as_bytes(), "another scope");
        assert_eq!(*refusals.field.decrypt(good, ROW).unwrap(), refusals.value.as_bytes());
    });
}

//
#[test]
fn every_changed_bit_is_refused() {
    each(&rotated(), |refusals, _| {
        for bit in 0..refusals.good.len() * 8 {
            let mut bad = refusals.good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            refusals.check(&bad, &format!("bit {bit}"));
        }
    });
}

//
#[test]
fn every_other_version_mode_and_key_number_is_refused() {
    let ring = rotated();
    each(&ring, |refusals, mode| {
        assert_eq!(FieldCiphertext::parse(&refusals.good).unwrap().key_number(), 3);
        for at in 0..2 {
            for other in (0..=255).filter(|other| *other != refusals.good[at]) {
                let mut bad = refusals.good.clone();
                bad[at] = other;
                refusals.check(&bad, &format!("{other} at {at}"));
            }
        }
        // Another value key, an index key, and keys that there are not.
        for number in [1, 2, 0, 4, u32::MAX] {
            let mut bad = refusals.good.clone();
            bad[2..6].copy_from_slice(&number.to_be_bytes());
            refusals.check(&bad, &format!("key {number}"));
        }
        // As long as the other mode needs it.
        let mut bad = refusals.good.clone();
        match mode {
            FieldMode::Randomized => {
                bad[1] = 2;
                let salt: Vec<_> = bad.drain(38..54).collect();
                refusals.check(&bad, "without its salt");
                let row = [ROW.as_bytes(), &salt].concat();
                refusals.check_in(refusals.field, &bad, &row, "with its salt in the row");
            }
            _ => {
                bad[1] = 1;
                for salt in [[0; 16], [0x5a; 16]] {
                    let mut bad = bad.clone();
                    bad.splice(38..38, salt);
                    refusals.check(&bad, "with a salt");
                }
            }
        }
    });
}

//
#[test]
fn every_other_length_is_refused() {
    each(&rotated(), |refusals, _| {
        let good = &refusals.good;
        for len in 0..good.len() {
            refusals.check(&good[..len], &format!("its first {len} bytes"));
            refusals.check(&good[good.len() - len..], &format!("its last {len} bytes"));
        }
        for more in [&[0][..], &[0xff], &[0; 16], &good[..1], &good[good.len() - 16..]] {
            refusals.check(&[good, more].concat(), "with more behind");
            refusals.check(&[more, good].concat(), "with more in front");
        }
    });
}

//
#[test]
fn a_text_has_one_spelling_and_others_are_refused_alike() {
    let ring = rotated();
    for mode in MODES {
        let field = field(&ring, mode);
        let refused = field.decrypt("no ciphertext", ROW).unwrap_err().to_string();
        let check = |text: &str| {
            let error = field.decrypt_text(text, ROW).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication, "{text:?}");
            assert_eq!(error.to_string(), refused, "{text:?}");
        };
        // As many as leave 0, 2 and 4 bits of the last digit unused.
        for len in 100..103 {
            let value = vec![b'k'; len];
            let text = field.encrypt_text(&value, ROW).unwrap();
            assert_eq!(*field.decrypt_text(&text, ROW).unwrap(), value);
            // Values of 100 bytes have both digits that are others in base64, most of the time.
            let both = |text: &String| text.contains('-') && text.contains('_');
            let mut row = 0_u32;
            let has_both = loop {
                let text = field.encrypt_text(&value, row.to_be_bytes()).unwrap();
                if both(&text) {
                    break text;
                }
                row += 1;
            };
            for (digit, other) in [("-", "+"), ("_", "/")] {
                let text = has_both.replacen(digit, other, 1);
                let error = field.decrypt_text(&text, row.to_be_bytes()).unwrap_err();
                assert_eq!(error.to_string(), refused);
            }
            assert!(field.decrypt_text(&has_both, row.to_be_bytes()).is_ok());

            for end in ["=", "==", "===", "\n", "\r\n", " ", "\t", "\0", ".", "é", "\u{feff}"] {
                check(&format!("{text}{end}"));
                check(&format!("{end}{text}"));
                for at in [1, 4, 64, 76] {
                    check(&format!("{}{end}{}", &text[..at], &text[at..]));
                }
            }
            let digits = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
            let (rest, last) = text.split_at(text.len() - 1);
            for digit in digits {
                check(&format!("{text}{digit}"));
                check(&format!("{digit}{text}"));
                // Among them those that differ in unused bits only.
                if digit.to_string() != last {
                    check(&format!("{rest}{digit}"));
                }
            }
            check(rest);
            check(&text[1..]);
        }
    }
}
