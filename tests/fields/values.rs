//! What makes two values equal, blind indexes, and the limits of values and names.

use crate::local::{MODES, cases, envelope, field, ring};
use ncp_envelope::ErrorKind;
use ncp_envelope::blocking::BlockingKeyRing;
use ncp_envelope::fields::{FieldCiphertext, FieldMode};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::LazyLock;

const LONGEST: usize = 65_536;

/// A ring as it was and after rotations of its value key and of its index key, and others.
struct Rings {
    first: BlockingKeyRing,
    /// The same document as `first`, unwrapped a second time.
    again: BlockingKeyRing,
    /// With value key 3.
    rotated: BlockingKeyRing,
    /// With value key 3 and index key 4.
    reindexed: BlockingKeyRing,
    other: BlockingKeyRing,
    scoped: BlockingKeyRing,
}

static RINGS: LazyLock<Rings> = LazyLock::new(|| {
    let first = ring();
    let open = || envelope("").open_ring(first.ring().to_bytes()).unwrap();
    let (rotated, reindexed) = (open(), open());
    rotated.adopt(&rotated.rotate().unwrap()).unwrap();
    reindexed.adopt(&rotated.ring().document()).unwrap();
    reindexed.adopt(&reindexed.rotate_index().unwrap()).unwrap();
    let scoped = envelope("another tenant").create_ring().unwrap();
    Rings { again: open(), first, rotated, reindexed, other: ring(), scoped }
});

/// Rows of a library are short, and longer ones go another way.
fn row() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..=20), vec(any::<u8>(), 60..=70)]
}

/// At most 240 bytes.
fn name() -> impl Strategy<Value = String> {
    "\\PC{1,60}"
}

fn tag(ciphertext: &[u8]) -> &[u8] {
    &ciphertext[6..38]
}

proptest! {
    #![proptest_config(cases(256))]

    //
    #[test]
    fn deterministic_values_are_equal_if_all_is_equal_and_never_otherwise(
        value in vec(any::<u8>(), 0..=300),
        other_value in vec(any::<u8>(), 0..=300),
        rows in (row(), row()),
        names in (name(), name()),
    ) {
        prop_assume!(value != other_value && rows.0 != rows.1 && names.0 != names.1);
        let rings = &*RINGS;
        let encrypt = |ring: &BlockingKeyRing, name: &str, row: &[u8], value: &[u8]| {
            let field = ring.field(name).unwrap().with_mode(FieldMode::Deterministic);
            field.encrypt(value, row).unwrap()
        };
        let base = encrypt(&rings.first, &names.0, &rows.0, &value);
        prop_assert_eq!(base.len(), value.len() + 38);
        prop_assert_eq!(&base, &encrypt(&rings.first, &names.0, &rows.0, &value));
        prop_assert_eq!(&base, &encrypt(&rings.again, &names.0, &rows.0, &value));

        let all = [
            base,
            encrypt(&rings.first, &names.1, &rows.0, &value),
            encrypt(&rings.first, &names.0, &rows.1, &value),
            encrypt(&rings.first, &names.0, &rows.0, &other_value),
            encrypt(&rings.rotated, &names.0, &rows.0, &value),
            encrypt(&rings.other, &names.0, &rows.0, &value),
            encrypt(&rings.scoped, &names.0, &rows.0, &value),
        ];
        let tags: HashSet<_> = all.iter().map(|ciphertext| tag(ciphertext)).collect();
        prop_assert_eq!(tags.len(), all.len());
        // The first block is the keystream's, and the keystream is another one each time.
        if value.len() >= 16 {
            let same = all.iter().enumerate().filter(|(at, _)| *at != 3);
            let blocks: HashSet<_> = same.map(|(_, ciphertext)| &ciphertext[38..54]).collect();
            prop_assert_eq!(blocks.len(), all.len() - 1);
        }
    }

    //
    #[test]
    fn randomized_values_are_never_equal(
        value in vec(any::<u8>(), 0..=300), row in row(), name in name(),
    ) {
        let field = RINGS.first.field(&name).unwrap();
        let deterministic = field.clone().with_mode(FieldMode::Deterministic);
        let many = field.encrypt_many(&[(&value, &row), (&value, &row)]).unwrap();
        let all = [
            field.encrypt(&value, &row).unwrap(),
            field.encrypt(&value, &row).unwrap(),
            many[0].to_vec(),
            many[1].to_vec(),
        ];
        prop_assert!(all.iter().all(|ciphertext| ciphertext.len() == value.len() + 54));
        let salts: HashSet<_> = all.iter().map(|ciphertext| &ciphertext[38..54]).collect();
        prop_assert_eq!(salts.len(), all.len());
        let same = deterministic.encrypt(&value, &row).unwrap();
        let tags: HashSet<_> = all.iter().chain([&same]).map(|value| tag(value)).collect();
        prop_assert_eq!(tags.len(), all.len() + 1);
        // The modes have keys of their own: a salt is no beginning of a value.
        let with_salt = [&all[0][38..54], &value].concat();
        let other = deterministic.encrypt(&with_salt, &row).unwrap();
        prop_assert_ne!(tag(&all[0]), tag(&other));
        for ciphertext in all.iter().chain([&same]) {
            // Whichever mode the field writes.
            for field in [&field, &deterministic] {
                prop_assert_eq!(&*field.decrypt(ciphertext, &row).unwrap(), &value);
            }
        }
    }

    // row and value are told apart, wherever one ends and the other begins.
    #[test]
    fn bytes_cannot_be_moved_between_row_and_value(
        bytes in vec(any::<u8>(), 1..=100), ends in (any::<usize>(), any::<usize>()),
    ) {
        let (one, two) = (ends.0 % (bytes.len() + 1), ends.1 % (bytes.len() + 1));
        prop_assume!(one != two);
        for mode in MODES {
            let field = field(&RINGS.first, mode);
            let sealed = |end: usize| field.encrypt(&bytes[end..], &bytes[..end]).unwrap();
            let (one_sealed, two_sealed) = (sealed(one), sealed(two));
            prop_assert_ne!(tag(&one_sealed), tag(&two_sealed));
            let refused = field.decrypt(&one_sealed, &bytes[..two]).unwrap_err();
            prop_assert_eq!(refused.kind(), ErrorKind::Authentication);
            prop_assert!(field.decrypt(&one_sealed, &bytes[..one]).is_ok());
        }
    }

    //
    #[test]
    fn indexes_are_equal_for_equal_values_of_one_field_and_never_otherwise(
        value in vec(any::<u8>(), 0..=300),
        other_value in vec(any::<u8>(), 0..=300),
        names in (name(), name()),
        bits in (64..=256_u16, 64..=256_u16),
    ) {
        prop_assume!(value != other_value && names.0 != names.1 && bits.0 != bits.1);
        let rings = &*RINGS;
        let index = |ring: &BlockingKeyRing, name: &str, bits: u16, value: &[u8]| {
            let field = ring.field(name).unwrap().with_index_bits(bits).unwrap();
            field.index(value).unwrap()
        };
        let base = index(&rings.first, &names.0, bits.0, &value);
        prop_assert_eq!(base.as_bytes().len(), usize::from(bits.0).div_ceil(8));
        for ring in [&rings.first, &rings.again, &rings.rotated] {
            prop_assert_eq!(base, index(ring, &names.0, bits.0, &value));
        }
        let all = [
            base,
            index(&rings.first, &names.1, bits.0, &value),
            index(&rings.first, &names.0, bits.1, &value),
            index(&rings.first, &names.0, bits.0, &other_value),
            index(&rings.reindexed, &names.0, bits.0, &value),
            index(&rings.other, &names.0, bits.0, &value),
            index(&rings.scoped, &names.0, bits.0, &value),
        ];
        // Not one as the beginning of a longer one either.
        let begins: HashSet<_> = all.iter().map(|index| &index.as_bytes()[..8]).collect();
        prop_assert_eq!(begins.len(), all.len());
    }

    //
    #[test]
    fn the_index_of_an_older_key_is_found_still(value in vec(any::<u8>(), 0..=300)) {
        let old = field(&RINGS.rotated, FieldMode::Randomized);
        let new = field(&RINGS.reindexed, FieldMode::Randomized);
        let (before, after) = (old.index(&value).unwrap(), new.index(&value).unwrap());
        prop_assert_ne!(before, after);
        prop_assert_eq!(new.index_under(2, &value).unwrap(), before);
        prop_assert_eq!(new.index_under(4, &value).unwrap(), after);
        prop_assert_eq!(new.indexes(&value).unwrap(), [after, before]);
        prop_assert_eq!(old.indexes(&value).unwrap(), [before]);
        // Keys of values, and one that the ring does not have.
        for number in [0, 1, 3, 5] {
            let refused = new.index_under(number, &value).unwrap_err();
            prop_assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
    }
}

//
#[test]
fn values_have_0_to_65536_bytes() {
    for mode in MODES {
        let field = field(&RINGS.first, mode);
        for len in [0, 1, LONGEST] {
            let value = vec![0x5a; len];
            let ciphertext = field.encrypt(&value, "17").unwrap();
            assert_eq!(ciphertext.len(), len + mode.added());
            assert_eq!(FieldCiphertext::parse(&ciphertext).unwrap().value_len(), len);
            assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), value);
            let text = field.encrypt_text(&value, "17").unwrap();
            assert_eq!(*field.decrypt_text(&text, "17").unwrap(), value);
            let many = field.encrypt_many(&[(&value, "17")]).unwrap();
            assert_eq!(field.decrypt_many(&[(&many[0], "17")]).unwrap().get(0).unwrap(), value);
        }
        let long = vec![0x5a; LONGEST + 1];
        let mut out = b"before".to_vec();
        let all = [
            field.encrypt(&long, "17").unwrap_err(),
            field.encrypt_text(&long, "17").unwrap_err(),
            field.encrypt_into(&long, "17", &mut out).unwrap_err(),
            field.encrypt_many(&[(&b"short"[..], "17"), (&long, "18")]).unwrap_err(),
        ];
        assert!(all.iter().all(|error| error.kind() == ErrorKind::LimitExceeded));
        assert!(all[3].to_string().starts_with("value 1 of the column: "), "{}", all[3]);
        assert!(out.is_empty());
    }
}

//
#[test]
fn a_body_of_more_than_65536_bytes_is_refused() {
    for mode in MODES {
        let field = field(&RINGS.first, mode);
        let mut ciphertext = field.encrypt(vec![0x5a; LONGEST], "17").unwrap();
        ciphertext.push(0);
        let parsed = FieldCiphertext::parse(&ciphertext).unwrap_err();
        let refused = field.decrypt(&ciphertext, "17").unwrap_err();
        let text = FieldCiphertext::to_text(&ciphertext);
        for error in [&parsed, &refused, &field.decrypt_text(&text, "17").unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Authentication);
            assert_eq!(error.to_string(), parsed.to_string());
        }
        assert_eq!(field.decrypt_many(&[(&ciphertext, "17")]).unwrap().failed(), [0]);
    }
}

//
#[test]
fn names_have_1_to_255_bytes() {
    let ring = &RINGS.first;
    for name in ["a", &"a".repeat(255), &"한".repeat(85)] {
        let field = ring.field(name).unwrap();
        assert_eq!(field.name(), name);
        let ciphertext = field.encrypt("kim@example.com", "17").unwrap();
        assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
    }
    for name in ["", &"a".repeat(256), &"한".repeat(86)] {
        assert_eq!(ring.field(name).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
