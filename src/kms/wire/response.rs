//! Successful responses, read tolerantly and without a copy of any plaintext.
//!
//! The documentation disagrees with itself in places. What is accepted because of that:
//!
//! * results in `data`, or beside nothing at all as the oldest pages of API 1.0 print them: what
//!   the call asked for is then the only sign that the service answered, so it must be there;
//! * several results under the name of one (`ciphertext`), or under a name of their own
//!   (`ciphertextList`);
//! * one result as a string or as an array of one, whichever way it was asked for;
//! * base64 with or without padding;
//! * truth values and numbers as what they are or as text.
//!
//! Uncertain and therefore **not** accepted: fewer or more results than were asked for.

use crate::error::Result;
use crate::kms::wire::contract::contract;
use crate::kms::wire::head::Head;
use crate::kms::wire::text::{Loose, OneOrMany, Text, simplify_escapes};
use crate::kms::wire::{MAX_CIPHERTEXT_LEN, fields};
use crate::secret::SecretBytes;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether a call with a success status succeeded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The answer says so, or is of the old form that gives results and says nothing.
    Success,
    /// The answer is a refusal in spite of its HTTP status.
    Refused,
    /// Not an answer of this service.
    Foreign,
}

/// Which results a response must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Ciphertext,
    NewCiphertext,
}

/// What makes an answer a success beside the code `SUCCESS`, which always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing but an empty answer: the call changes something, and the page of a proxy that says
    /// this or that must not pass for the change.
    Nothing,
    /// One of these fields, in an answer that has no code.
    AnyOf(&'static [&'static str]),
}

/// The results of calls that are not management.
pub(crate) const RESULTS: Due = Due::AnyOf(&[
    "ciphertext",
    "ciphertextList",
    "newCiphertext",
    "newCiphertextList",
    "plaintext",
    "plaintextList",
    "accessToken",
    "signature",
    "publicKey",
    "valid",
    "validated",
]);

/// Judges the body of an answer with a 2xx status.
pub(crate) fn verdict(body: &[u8], due: Due) -> Verdict {
    if body.is_empty() && due == Due::Nothing {
        return Verdict::Success;
    }
    let names = match due {
        Due::Nothing => &[],
        Due::AnyOf(names) => names,
    };
    match Head::read(body, names) {
        Some(Head { code: Some(Loose::Text("SUCCESS")), .. }) => Verdict::Success,
        Some(Head { code: Some(_), .. } | Head { refused: true, .. }) => Verdict::Refused,
        Some(Head { named: true, .. }) => Verdict::Success,
        Some(_) | None => Verdict::Foreign,
    }
}

/// The `count` ciphertexts in a body that was judged a success.
pub(crate) fn ciphertexts(
    mut body: Zeroizing<Vec<u8>>,
    field: Field,
    count: usize,
) -> Result<Vec<String>> {
    simplify_escapes(&mut body);
    let results = parse(&body)?;
    let values = match field {
        Field::Ciphertext => results.ciphertext.or(results.ciphertext_list),
        Field::NewCiphertext => results.new_ciphertext.or(results.new_ciphertext_list),
    };
    counted(values, count)?.iter().map(|value| ciphertext(value.text())).collect()
}

/// The `count` plaintexts in a body that was judged a success.
pub(crate) fn plaintexts(mut body: Zeroizing<Vec<u8>>, count: usize) -> Result<Vec<SecretBytes>> {
    simplify_escapes(&mut body);
    let results = parse(&body)?;
    counted(results.plaintext.or(results.plaintext_list), count)?
        .iter()
        .map(|value| plaintext(value.text()))
        .collect()
}

/// The access token in a body that was judged a success.
pub(crate) fn access_token(mut body: Zeroizing<Vec<u8>>) -> Result<SecretString> {
    simplify_escapes(&mut body);
    let results = parse(&body)?;
    Ok(one(results.access_token)?.text().into())
}

/// The access token and the refresh token in a body that was judged a success.
pub(crate) fn token_set(mut body: Zeroizing<Vec<u8>>) -> Result<(SecretString, SecretString)> {
    simplify_escapes(&mut body);
    let results = parse(&body)?;
    Ok((one(results.access_token)?.text().into(), one(results.refresh_token)?.text().into()))
}

/// A new key's ciphertext, its version where the answer says it, and its `len` bytes if they were
/// asked for.
pub(crate) fn custom_key(
    mut body: Zeroizing<Vec<u8>>,
    len: Option<usize>,
) -> Result<(String, Option<u32>, Option<SecretBytes>)> {
    simplify_escapes(&mut body);
    let results = parse(&body)?;
    let version = results
        .key_version
        .or(results.key_version_snake)
        .as_ref()
        .and_then(fields::int)
        .and_then(|version| version.try_into().ok());
    let key = match len {
        Some(len) => {
            let key = plaintext(one(results.plaintext)?.text())?;
            if key.expose_secret().len() != len {
                return Err(contract(format!(
                    "its answer has a key of another length than {len} bytes"
                )));
            }
            Some(key)
        }
        None => None,
    };
    Ok((ciphertext(one(results.ciphertext)?.text())?, version, key))
}

/// The signature in a body that was judged a success.
pub(crate) fn signature(mut body: Zeroizing<Vec<u8>>) -> Result<String> {
    simplify_escapes(&mut body);
    let results = parse(&body)?;
    ciphertext(one(results.signature)?.text())
}

/// What a call that verifies a signature, or a token, came to: a truth value, or the text of one.
pub(crate) fn valid(body: &[u8]) -> Result<bool> {
    let results = parse(body)?;
    results
        .valid
        .or(results.validated)
        .as_ref()
        .and_then(fields::truth)
        .ok_or_else(|| contract("its answer is neither true nor false"))
}

/// The public key, which is text of several lines, in a body that was judged a success.
pub(crate) fn public_key(body: &[u8]) -> Result<String> {
    let results = parse(body)?;
    let key = one(results.public_key)?;
    let printable = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r' | b'\n');
    if key.text().is_empty()
        || key.text().len() > MAX_CIPHERTEXT_LEN
        || !key.text().bytes().all(printable)
    {
        return Err(contract("a public key is not text in pem"));
    }
    Ok(key.text().to_owned())
}

fn one(values: Option<OneOrMany<'_>>) -> Result<Text<'_>> {
    counted(values, 1)?.pop().ok_or_else(|| contract("its answer has no result"))
}

// JSON's error text may repeat what it could not read, so none of it is shown.
fn parse(body: &[u8]) -> Result<Results<'_>> {
    let broken = |_| contract("its answer does not have the form of a result");
    let Answer { data } = serde_json::from_slice(body).map_err(broken)?;
    match data {
        Some(results) => Ok(results),
        None => serde_json::from_slice(body).map_err(broken),
    }
}

fn counted(values: Option<OneOrMany<'_>>, count: usize) -> Result<Vec<Text<'_>>> {
    let values = values.ok_or_else(|| contract("its answer has no result"))?.0;
    if values.len() != count {
        return Err(contract(format!("its answer has {} results, {count} were due", values.len())));
    }
    Ok(values)
}

fn ciphertext(text: &str) -> Result<String> {
    if text.is_empty()
        || text.len() > MAX_CIPHERTEXT_LEN
        || !text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(contract(format!(
            "a ciphertext is not 1 to {MAX_CIPHERTEXT_LEN} printable ascii characters"
        )));
    }
    Ok(text.to_owned())
}

fn plaintext(text: &str) -> Result<SecretBytes> {
    let digits = text.trim_end_matches('=').len();
    let len = digits / 4 * 3 + (digits % 4 * 3) / 4;
    let mut bytes = Zeroizing::new(vec![0; len].into_boxed_slice());
    match BASE64.decode_slice(text, &mut bytes) {
        Ok(written) if written == len => Ok(SecretBytes::from_boxed(std::mem::take(&mut bytes))),
        _ => Err(contract("a plaintext is not base64")),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<Results<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Results<'a> {
    #[serde(borrow)]
    ciphertext: Option<OneOrMany<'a>>,
    ciphertext_list: Option<OneOrMany<'a>>,
    new_ciphertext: Option<OneOrMany<'a>>,
    new_ciphertext_list: Option<OneOrMany<'a>>,
    plaintext: Option<OneOrMany<'a>>,
    plaintext_list: Option<OneOrMany<'a>>,
    access_token: Option<OneOrMany<'a>>,
    refresh_token: Option<OneOrMany<'a>>,
    signature: Option<OneOrMany<'a>>,
    public_key: Option<OneOrMany<'a>>,
    valid: Option<Value>,
    validated: Option<Value>,
    key_version: Option<Value>,
    // The documentation's only name that is not in camel case.
    #[serde(rename = "key_version")]
    key_version_snake: Option<Value>,
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
