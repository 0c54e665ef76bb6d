//! Short values, such as the columns of a table, under a key that is in memory. Each value has a
//! row of 8 bytes as associated data.

use crate::contestant::{Contestant, Entry, Group};
use crate::peers::Envelopers;
use crate::{limits, ours, python};
use ncp_envelope::fields::{BlindIndex, Field, FieldMode, KeyRing};
use ncp_envelope::{CacheLimits, DataKey, Envelope, LocalKeyWrapper};
use std::path::Path;
use std::time::Duration;
use tink_core::keyset::Handle;

const LEN: usize = 64;
const ROW: [u8; 8] = 4_711_u64.to_be_bytes();
/// Associated data of envelopers is text.
const TEXT_ROW: &str = "00004711";

/// Each kind is compared with the first entry of its own group.
pub fn groups(python: Option<&Path>) -> Vec<Group> {
    let field = field();
    let fixed = field.clone().with_mode(FieldMode::Deterministic);
    let mut randomized = vec![
        returning("ncp-envelope, encrypt() and decrypt()", &field),
        reusing("ncp-envelope, encrypt_into() and decrypt_into()", &field),
        ours::reused("ncp-envelope, as a message, data key reused"),
        limits::bare("limit: AES-256-GCM of aws-lc-rs, no format"),
    ];
    randomized.extend(Envelopers::entries(Some(TEXT_ROW)));
    randomized.push(tink_gcm());
    randomized.push(python::entry("tink-gcm", "Tink for Python, AES-256-GCM", python));
    let deterministic = vec![
        returning("ncp-envelope, encrypt() and decrypt()", &fixed),
        reusing("ncp-envelope, encrypt_into() and decrypt_into()", &fixed),
        Entry::new("ncp-envelope, index()", Index { field, index: None }),
        tink_siv(),
        python::entry("tink-siv", "Tink for Python, AES-SIV", python),
    ];
    vec![
        Group { label: "Randomized", len: LEN, entries: randomized },
        Group { label: "Deterministic", len: LEN, entries: deterministic },
    ]
}

fn field() -> Field {
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let limits = CacheLimits::new(Duration::from_secs(3_600));
    let envelope = Envelope::builder(wrapper).cache(limits).build().unwrap();
    ours::ready(KeyRing::create(&envelope)).unwrap().field("customers.email").unwrap()
}

fn returning(name: &'static str, field: &Field) -> Entry {
    let (sealing, opening) = (field.clone(), field.clone());
    calls(
        name,
        move |value, out: &mut Vec<u8>| *out = sealing.encrypt(value, ROW).unwrap(),
        // It is wiped when the next one takes its place.
        move |message, out| *out = opening.decrypt(message, ROW).unwrap(),
    )
}

fn reusing(name: &'static str, field: &Field) -> Entry {
    let (sealing, opening) = (field.clone(), field.clone());
    calls(
        name,
        move |value, out| sealing.encrypt_into(value, ROW, out).unwrap(),
        move |message, out: &mut Vec<u8>| opening.decrypt_into(message, ROW, out).unwrap(),
    )
}

fn tink_gcm() -> Entry {
    tink_aead::init();
    let keys = Handle::new(&tink_aead::aes256_gcm_key_template()).unwrap();
    let (sealing, opening) = (tink_aead::new(&keys).unwrap(), tink_aead::new(&keys).unwrap());
    calls(
        "Tink for Rust, AES-256-GCM",
        move |value, out: &mut Vec<u8>| *out = sealing.encrypt(value, &ROW).unwrap(),
        move |message, out: &mut Vec<u8>| *out = opening.decrypt(message, &ROW).unwrap(),
    )
}

fn tink_siv() -> Entry {
    tink_daead::init();
    let keys = Handle::new(&tink_daead::aes_siv_key_template()).unwrap();
    let (sealing, opening) = (tink_daead::new(&keys).unwrap(), tink_daead::new(&keys).unwrap());
    calls(
        "Tink for Rust, AES-SIV",
        move |value, out: &mut Vec<u8>| {
            *out = sealing.encrypt_deterministically(value, &ROW).unwrap();
        },
        move |message, out: &mut Vec<u8>| {
            *out = opening.decrypt_deterministically(message, &ROW).unwrap();
        },
    )
}

/// A contestant of two calls that replace what the last ones gave.
struct Calls<M, O, E, D> {
    encrypt: E,
    decrypt: D,
    message: M,
    opened: O,
}

fn calls<M, O, E, D>(name: &'static str, encrypt: E, decrypt: D) -> Entry
where
    M: AsRef<[u8]> + Default + 'static,
    O: AsRef<[u8]> + Default + 'static,
    E: FnMut(&[u8], &mut M) + 'static,
    D: FnMut(&[u8], &mut O) + 'static,
{
    Entry::new(name, Calls { encrypt, decrypt, message: M::default(), opened: O::default() })
}

impl<M, O, E, D> Contestant for Calls<M, O, E, D>
where
    M: AsRef<[u8]>,
    O: AsRef<[u8]>,
    E: FnMut(&[u8], &mut M),
    D: FnMut(&[u8], &mut O),
{
    fn encrypt(&mut self, plaintext: &[u8]) {
        (self.encrypt)(plaintext, &mut self.message);
    }

    fn decrypt(&mut self) {
        (self.decrypt)(self.message.as_ref(), &mut self.opened);
    }

    fn message(&self) -> &[u8] {
        self.message.as_ref()
    }

    fn opened(&self) -> &[u8] {
        self.opened.as_ref()
    }
}

/// It is stored beside the ciphertext, and there is nothing to decrypt.
struct Index {
    field: Field,
    index: Option<BlindIndex>,
}

impl Contestant for Index {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.index = Some(self.field.index(plaintext).unwrap());
    }

    fn decrypt(&mut self) {}

    fn message(&self) -> &[u8] {
        self.index.as_ref().unwrap().as_bytes()
    }

    fn opened(&self) -> &[u8] {
        &[]
    }

    fn added_bytes(&self, _: usize) -> usize {
        self.message().len()
    }

    fn decrypts(&self) -> bool {
        false
    }
}
