//! Why a value cannot be decrypted, as far as anyone can tell who has no key.
//!
//! The library gives one error for whatever is wrong. What is said here beside it comes from the
//! ring's document and from the front of the ciphertext, which both are public.

use crate::status::Failure;
use ncp_envelope::fields::{FieldCiphertext, KeyRole, RingDocument};
use ncp_envelope::{Error, ErrorKind};

/// An error, and a hint.
pub(super) struct Explained {
    error: Error,
    hint: String,
}

impl Explained {
    /// `error` from decrypting `ciphertext` with the ring `document`.
    pub(super) fn new(error: Error, document: &RingDocument, ciphertext: &[u8]) -> Self {
        let hint = match error.kind() {
            ErrorKind::Authentication => hint(document, ciphertext),
            _ => String::new(),
        };
        Self { error, hint }
    }

    /// The failure to read the value at `place`.
    pub(super) fn of(self, place: &str) -> Failure {
        let Self { error, hint } = self;
        let text = match hint.as_str() {
            "" => format!("{place}: {error}"),
            hint => format!("{place}: {hint}"),
        };
        match error.kind() {
            ErrorKind::Authentication => {
                Failure::reading(Error::with_source(ErrorKind::Authentication, text, error))
            }
            _ => Failure::reading(error),
        }
    }
}

/// The ciphertext of the text form `text`.
pub(super) fn from_text(text: &[u8]) -> Result<Vec<u8>, Explained> {
    let mut ciphertext = Vec::new();
    append_from_text(text, &mut ciphertext)?;
    Ok(ciphertext)
}

/// As [`from_text`], behind what `ciphertexts` has.
pub(super) fn append_from_text(text: &[u8], ciphertexts: &mut Vec<u8>) -> Result<(), Explained> {
    FieldCiphertext::append_from_text(text, ciphertexts).map_err(|error| not_text(error, text))
}

fn not_text(error: Error, text: &[u8]) -> Explained {
    let hint = match FieldCiphertext::parse(text) {
        _ if text.is_empty() => "there is nothing to decrypt",
        Ok(_) => "this is no text form, but may be a ciphertext in bytes",
        Err(_) => "this is not base64url without padding, as ciphertexts are written",
    };
    Explained { error, hint: hint.to_owned() }
}

fn hint(document: &RingDocument, ciphertext: &[u8]) -> String {
    if ciphertext.is_empty() {
        return "there is nothing to decrypt".to_owned();
    }
    let Ok(front) = FieldCiphertext::parse(ciphertext) else {
        let text = std::str::from_utf8(ciphertext).ok().map(str::trim_end);
        return match text.is_some_and(|text| FieldCiphertext::from_text(text).is_ok()) {
            true => "this may be the text form of a ciphertext: give --text".to_owned(),
            false => "this is no ciphertext of a field, or it was changed".to_owned(),
        };
    };
    let number = front.key_number();
    let keys = document.entries();
    match keys.iter().find(|key| key.number() == number).map(|key| key.role()) {
        Some(KeyRole::Value) => {
            "this is not authentic: it is of another field, row, ring or scope, or was changed"
                .to_owned()
        }
        Some(_) => format!("key {number} of the ring makes indexes: the ciphertext was changed"),
        None if number > document.highest() => {
            let of_values = keys.iter().filter(|key| key.role() == KeyRole::Value);
            let numbers: Vec<_> = of_values.map(|key| key.number().to_string()).collect();
            format!(
                "key {number} is not in the ring, whose value keys are {}: use the newest ring, or \
                 the one that the value was encrypted with",
                numbers.join(", ")
            )
        }
        None => format!("key {number} is not in the ring any more: it was retired"),
    }
}
