//! What calls do once they are authenticated.

use super::answer::Refusal;
use super::cipher::{Ciphertext, OVERHEAD};
use super::keys::Key;
use super::wire::{CipherRequest, Texts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

/// The most plaintext that one call may carry in bytes, all items together.
const MAX_PLAINTEXT: usize = 32 * 1024;

/// Counts the plaintext of a call.
struct Budget(usize);

impl Budget {
    fn new() -> Self {
        Self(MAX_PLAINTEXT)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.0 = self.0.checked_sub(bytes).ok_or(Refusal::request("items are longer than 32 KB together"))?;
        Ok(())
    }
}

/// Encrypts; `items` is told how many items there are.
pub(super) fn encrypt(key: &Key, body: &[u8], items: &mut usize) -> Result<Value, Refusal> {
    let request = CipherRequest::parse(body)?;
    let texts = required(request.plaintext.as_ref(), items)?;
    let (current, mut budget) = (key.current()?, Budget::new());
    let ciphertext = texts.map(|text| {
        let plaintext = Zeroizing::new(STANDARD.decode(text).map_err(|_| Refusal::request("plaintext is not base64"))?);
        budget.take(plaintext.len())?;
        current.encrypt(&plaintext)
    })?;
    Ok(object("ciphertext", ciphertext))
}

/// Decrypts, each item with the version its prefix names.
pub(super) fn decrypt(key: &Key, body: &[u8], items: &mut usize) -> Result<Value, Refusal> {
    let request = CipherRequest::parse(body)?;
    let texts = required(request.ciphertext.as_ref(), items)?;
    let mut budget = Budget::new();
    let plaintext = texts.map(|text| open(key, text, &mut budget).map(|plaintext| STANDARD.encode(&*plaintext)))?;
    Ok(object("plaintext", plaintext))
}

/// Decrypts, and encrypts again with the current version.
pub(super) fn reencrypt(key: &Key, body: &[u8], items: &mut usize) -> Result<Value, Refusal> {
    let request = CipherRequest::parse(body)?;
    let texts = required(request.ciphertext.as_ref(), items)?;
    let (current, mut budget) = (key.current()?, Budget::new());
    let ciphertext = texts.map(|text| current.encrypt(&open(key, text, &mut budget)?))?;
    Ok(object("newCiphertext", ciphertext))
}

/// Moves the value in; the `json!` macro would copy it.
fn object(field: &str, value: Value) -> Value {
    Value::Object([(field.to_owned(), value)].into_iter().collect())
}

fn required<'a, 'b>(texts: Option<&'a Texts<'b>>, items: &mut usize) -> Result<&'a Texts<'b>, Refusal> {
    let texts = texts.ok_or(Refusal::request("a required field is missing"))?;
    *items = texts.len();
    Ok(texts)
}

fn open(key: &Key, text: &str, budget: &mut Budget) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let ciphertext = Ciphertext::parse(text)?;
    budget.take(ciphertext.payload.len() - OVERHEAD)?;
    key.version(ciphertext.version)?.decrypt(ciphertext.payload)
}
