//! Any bytes as a ciphertext and as its text form, and changes of a good one: no panic, one error
//! for every fault, and nothing is opened but what was encrypted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncp_envelope::blocking::wait;
use ncp_envelope::fields::{Field, FieldCiphertext, FieldMode, KeyRing};
use ncp_envelope::{DataKey, Envelope, Error, LocalKeyWrapper};
use std::sync::LazyLock;

/// A ring of the test vectors, and the key that opens it.
const RING: &[u8] = include_bytes!("../../tests/vectors/fields/good.ring");
const KEY_ID: &str = "vector-key-1";

static FIELD: LazyLock<Field> = LazyLock::new(|| {
    let kek = DataKey::copy_from(&std::array::from_fn(|at| at as u8));
    let field = || {
        let envelope = Envelope::builder(LocalKeyWrapper::new(KEY_ID, &kek)?).build()?;
        wait(KeyRing::open(RING, &envelope))??.field("customers.email")
    };
    field().expect("the ring of the vectors opens")
});

fn field() -> &'static Field {
    // Its keys live for a limited time.
    wait(FIELD.ring().ready()).and_then(|ready| ready).expect("the key is in this process");
    &FIELD
}

fuzz_target!(|input: &[u8]| {
    open(input);
    if let Ok(text) = std::str::from_utf8(input) {
        read(text);
    }
    // The first byte splits the others into row and value, and the next ones change the ciphertext.
    if let Some(([row, at, change], rest)) = input.split_first_chunk::<3>() {
        let (row, value) = rest.split_at(usize::from(*row).min(rest.len()));
        encrypt(row, value, *at, *change);
    }
});

fn refused(error: &Error) {
    assert_eq!(error.to_string(), one_error(), "R-23");
}

fn one_error() -> String {
    field().decrypt([], []).expect_err("nothing is no ciphertext").to_string()
}

/// Nobody forges a ciphertext by chance.
fn open(ciphertext: &[u8]) {
    let mut out = b"what was there".to_vec();
    match field().decrypt_into(ciphertext, b"row", &mut out) {
        Ok(()) => panic!("a ciphertext was forged"),
        Err(error) => refused(&error),
    }
    assert!(out.is_empty(), "R-22");
    match FieldCiphertext::parse(ciphertext) {
        Ok(front) => {
            let added = if front.mode() == FieldMode::Randomized { 54 } else { 38 };
            assert_eq!(front.value_len() + added, ciphertext.len());
            assert_eq!(ciphertext[2..6], front.key_number().to_be_bytes());
        }
        Err(error) => refused(&error),
    }
    let text = FieldCiphertext::to_text(ciphertext);
    assert!(FieldCiphertext::from_text(&text).is_ok_and(|again| again == ciphertext), "R-24");
}

fn read(text: &str) {
    match FieldCiphertext::from_text(text) {
        Ok(bytes) => {
            assert_eq!(FieldCiphertext::to_text(&bytes), text, "R-24: a second spelling");
        }
        Err(error) => refused(&error),
    }
    refused(&field().decrypt_text(text, b"row").expect_err("a ciphertext was forged"));
}

fn encrypt(row: &[u8], value: &[u8], at: u8, change: u8) {
    for mode in [FieldMode::Deterministic, FieldMode::Randomized] {
        let field = field().clone().with_mode(mode);
        let mut ciphertext = match field.encrypt(value, row) {
            Ok(ciphertext) => ciphertext,
            Err(error) => {
                assert!(value.len() > 65_536, "{error}");
                return;
            }
        };
        assert!(field.decrypt(&ciphertext, row).is_ok_and(|opened| *opened == value));
        if mode == FieldMode::Deterministic {
            assert!(field.encrypt(value, row).is_ok_and(|again| again == ciphertext), "R-21");
        }
        let at = usize::from(at) * ciphertext.len() / 256;
        if change == 0 {
            ciphertext.truncate(at);
        } else {
            ciphertext[at] ^= change;
        }
        refused(&field.decrypt(&ciphertext, row).expect_err("a changed ciphertext was opened"));
    }
}
