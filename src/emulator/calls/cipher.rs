//! Cipher calls: encryption, custom keys and signatures.

use crate::emulator::answer::{Generation, Refusal};
use crate::emulator::calls::body::{
    CipherRequest, CustomKeyRequest, PublicKeyRequest, SignRequest, Texts,
};
use crate::emulator::keys::version::{Prefixed, VersionKey};
use crate::emulator::random;
use crate::emulator::state::view::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// The most plaintext of one call in bytes, all items together.
const MAX_PLAINTEXT: usize = 32 * 1024;

/// Counts the plaintext of a call.
struct Budget(usize);

impl Budget {
    fn new() -> Self {
        Self(MAX_PLAINTEXT)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.0 = self
            .0
            .checked_sub(bytes)
            .ok_or(Refusal::request("items are longer than 32 KB together"))?;
        Ok(())
    }
}

/// Encrypts; sets `items` to the number of items.
pub(crate) fn encrypt(
    current: &VersionKey,
    body: &[u8],
    items: &mut usize,
) -> Result<Value, Refusal> {
    let request = CipherRequest::parse(body)?;
    let texts = required(request.plaintext.as_ref(), items)?;
    let mut budget = Budget::new();
    let ciphertext = texts.map(|text| {
        let plaintext = Zeroizing::new(
            STANDARD.decode(text).map_err(|_| Refusal::request("plaintext is not base64"))?,
        );
        budget.take(plaintext.len())?;
        current.encrypt(&plaintext, request.context.as_deref())
    })?;
    Ok(object("ciphertext", ciphertext))
}

/// Decrypts each item with the version that its prefix names.
pub(crate) fn decrypt(key: &Key, body: &[u8], items: &mut usize) -> Result<Value, Refusal> {
    let request = CipherRequest::parse(body)?;
    let texts = required(request.ciphertext.as_ref(), items)?;
    let mut budget = Budget::new();
    let plaintext = texts.map(|text| {
        open(key, text, request.context.as_deref(), &mut budget)
            .map(|plaintext| STANDARD.encode(&*plaintext))
    })?;
    Ok(object("plaintext", plaintext))
}

/// Decrypts, and encrypts again with the current version.
pub(crate) fn reencrypt(
    key: &Key,
    current: &VersionKey,
    body: &[u8],
    items: &mut usize,
) -> Result<Value, Refusal> {
    let request = CipherRequest::parse(body)?;
    let texts = required(request.ciphertext.as_ref(), items)?;
    let mut budget = Budget::new();
    let ciphertext = texts.map(|text| {
        let plaintext = open(key, text, request.context.as_deref(), &mut budget)?;
        current.encrypt(&plaintext, request.context.as_deref())
    })?;
    Ok(object("newCiphertext", ciphertext))
}

/// Creates a key and encrypts it; the answer has its plaintext if the request asks for it.
pub(crate) fn create_custom_key(
    current: &VersionKey,
    generation: Generation,
    body: &[u8],
    items: &mut usize,
) -> Result<Value, Refusal> {
    let request = CustomKeyRequest::parse(body)?;
    *items = 1;
    let made = random::bytes(request.length()?)?;
    let mut data = Map::new();
    if request.request_plain_key == Some(true) {
        data.insert("plaintext".into(), Value::String(STANDARD.encode(&*made)));
    }
    data.insert(
        "ciphertext".into(),
        Value::String(current.encrypt(&made, request.context.as_deref())?),
    );
    if generation == Generation::Two {
        data.insert("key_version".into(), current.number.into());
    }
    Ok(Value::Object(data))
}

/// Signs with the current version.
pub(crate) fn sign(current: &VersionKey, body: &[u8], items: &mut usize) -> Result<Value, Refusal> {
    let request = SignRequest::parse(body)?;
    *items = 1;
    Ok(object("signature", Value::String(current.sign(&request.data()?)?)))
}

/// Verifies with the version that the signature names. A wrong signature is answered; a malformed
/// one is refused.
pub(crate) fn verify(key: &Key, body: &[u8], items: &mut usize) -> Result<Value, Refusal> {
    let request = SignRequest::parse(body)?;
    *items = 1;
    let (data, signature) = (request.data()?, Prefixed::parse(request.signature()?)?);
    Ok(json!({ "valid": key.version(signature.version)?.verify(&data, &signature.payload)? }))
}

/// The public key of the version in the body, or of the current one.
pub(crate) fn public_key(key: &Key, body: &[u8]) -> Result<Value, Refusal> {
    let version = match PublicKeyRequest::parse(body)?.key_version {
        Some(version) => key.version(version)?,
        None => key.current()?,
    };
    Ok(object("publicKey", Value::String(version.public_key()?)))
}

/// Moves the value into an object; the `json!` macro would copy it.
fn object(field: &str, value: Value) -> Value {
    Value::Object([(field.to_owned(), value)].into_iter().collect())
}

fn required<'a, 'b>(
    texts: Option<&'a Texts<'b>>,
    items: &mut usize,
) -> Result<&'a Texts<'b>, Refusal> {
    let texts = texts.ok_or(Refusal::request("a required field is missing"))?;
    *items = texts.len();
    Ok(texts)
}

fn open(
    key: &Key,
    text: &str,
    context: Option<&[u8]>,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let sent = Prefixed::parse(text)?;
    let plaintext = key.version(sent.version)?.decrypt(sent.payload, context)?;
    budget.take(plaintext.len())?;
    Ok(plaintext)
}
