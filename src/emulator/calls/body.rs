//! The JSON bodies of requests.

use crate::emulator::answer::Refusal;
use crate::emulator::keys::token::Lifetime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The longest encryption context in bytes, decoded.
const MAX_CONTEXT: usize = 50;
/// The longest data to sign, in bytes.
const MAX_SIGNED: usize = 8 * 1024;
/// The longest lifetime of a token in hours: two years.
const MAX_HOURS: u64 = 17_520;
const ACCESS_HOURS: u64 = 72;
const REFRESH_HOURS: u64 = 2_160;

/// Body of encrypt, decrypt and re-encrypt. Unknown fields are ignored.
#[derive(Deserialize)]
pub(crate) struct CipherRequest<'a> {
    #[serde(borrow, default)]
    pub(crate) plaintext: Option<Texts<'a>>,
    #[serde(borrow, default)]
    pub(crate) ciphertext: Option<Texts<'a>>,
    #[serde(default, deserialize_with = "context")]
    pub(crate) context: Option<Vec<u8>>,
}

/// Body of create-custom-key. Optional.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomKeyRequest {
    #[serde(default)]
    pub(crate) request_plain_key: Option<bool>,
    #[serde(default)]
    bits: Option<u32>,
    #[serde(default, deserialize_with = "context")]
    pub(crate) context: Option<Vec<u8>>,
}

/// Body of sign and verify.
#[derive(Deserialize)]
pub(crate) struct SignRequest<'a> {
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
}

/// Body of get-pub-key. Optional.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicKeyRequest {
    #[serde(default)]
    pub(crate) key_version: Option<u32>,
}

/// Body of the calls that issue tokens.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenRequest {
    #[serde(default)]
    access_token_hours: Option<Value>,
    #[serde(default)]
    refresh_token_hours: Option<Value>,
}

/// The single form and the array form of a field.
pub(crate) enum Texts<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

impl<'a> CipherRequest<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        object(body)
    }
}

impl CustomKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        object_or_nothing(body)
    }

    /// Length of the new key in bytes.
    pub(crate) fn length(&self) -> Result<usize, Refusal> {
        match self.bits {
            Some(128) => Ok(16),
            None | Some(256) => Ok(32),
            Some(512) => Ok(64),
            Some(_) => Err(Refusal::request("bits are not 128, 256 or 512")),
        }
    }
}

impl<'a> SignRequest<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        object(body)
    }

    pub(crate) fn data(&self) -> Result<Vec<u8>, Refusal> {
        let data = self.data.as_deref().ok_or(Refusal::request("a required field is missing"))?;
        let data = STANDARD.decode(data).map_err(|_| Refusal::request("data is not base64"))?;
        if data.len() > MAX_SIGNED {
            Err(Refusal::request("data is longer than 8 KB"))
        } else {
            Ok(data)
        }
    }

    pub(crate) fn signature(&self) -> Result<&str, Refusal> {
        self.signature.as_deref().ok_or(Refusal::request("a required field is missing"))
    }
}

impl PublicKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        object_or_nothing(body)
    }
}

impl TokenRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        object_or_nothing(body)
    }

    pub(crate) fn access(&self) -> Result<Lifetime, Refusal> {
        lifetime(self.access_token_hours.as_ref(), ACCESS_HOURS)
    }

    pub(crate) fn refresh(&self) -> Result<Lifetime, Refusal> {
        lifetime(self.refresh_token_hours.as_ref(), REFRESH_HOURS)
    }
}

/// A body whose fields are all optional may be missing as a whole.
pub(crate) fn object_or_nothing<'a, T: Deserialize<'a> + Default>(
    body: &'a [u8],
) -> Result<T, Refusal> {
    if body.is_empty() { Ok(T::default()) } else { object(body) }
}

pub(crate) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // The derived code would accept an array as the fields in their order.
    let parsed = if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(body).ok()
    } else {
        None
    };
    parsed.ok_or(Refusal::request("body is not the JSON object that this call takes"))
}

/// An encryption context. A malformed one is refused even for keys that ignore it.
fn context<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(text) = Option::<Cow<'de, str>>::deserialize(from)? else { return Ok(None) };
    let context =
        STANDARD.decode(text.as_bytes()).map_err(|_| D::Error::custom("context is not base64"))?;
    if context.len() > MAX_CONTEXT {
        Err(D::Error::custom("context is too long"))
    } else {
        Ok(Some(context))
    }
}

/// Hours as a number, or as text, as in older pages of the documentation; `UL` means no limit.
fn lifetime(hours: Option<&Value>, default: u64) -> Result<Lifetime, Refusal> {
    let hours = match hours {
        None | Some(Value::Null) => Some(default),
        Some(Value::String(text)) if text == "UL" => return Ok(Lifetime::Unlimited),
        Some(Value::String(text)) => {
            crate::emulator::text::number(text).and_then(|hours| u64::try_from(hours).ok())
        }
        Some(value) => value.as_u64(),
    };
    let hours = hours.filter(|hours| (1..=MAX_HOURS).contains(hours));
    hours
        .map(|hours| Lifetime::Seconds(hours * 3600))
        .ok_or(Refusal::request("token lifetime is not 1 to 17520 hours or UL"))
}

impl Texts<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(texts) => texts.len(),
        }
    }

    /// Applies `each` and returns the same form as the request: single or array.
    pub(crate) fn map(
        &self,
        mut each: impl FnMut(&str) -> Result<String, Refusal>,
    ) -> Result<Value, Refusal> {
        match self {
            Self::One(text) => each(text).map(Value::String),
            Self::Many(texts) if texts.is_empty() => Err(Refusal::request("array is empty")),
            Self::Many(texts) => texts
                .iter()
                .map(|text| each(text).map(Value::String))
                .collect::<Result<_, _>>()
                .map(Value::Array),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Texts::One(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Texts::One(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut all = Vec::new();
        while let Some(Text(text)) = texts.next_element()? {
            all.push(text);
        }
        Ok(Texts::Many(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let parse = |text: &'static str| CipherRequest::parse(text.as_bytes());
        assert!(matches!(
            parse(r#"{"plaintext":"YQ=="}"#).unwrap().plaintext,
            Some(Texts::One(Cow::Borrowed("YQ==")))
        ));
        assert!(matches!(
            parse(r#"{"plaintext":"Y\u0051=="}"#).unwrap().plaintext,
            Some(Texts::One(Cow::Owned(_)))
        ));
        assert!(TokenRequest::parse(b"[]").is_err());
        assert_eq!(
            parse(r#" {"ciphertext":["a","b"],"context":null,"more":1}"#)
                .unwrap()
                .ciphertext
                .unwrap()
                .len(),
            2
        );
        for bad in [
            "",
            "null",
            "[]",
            r#"{"plaintext":1}"#,
            r#"{"plaintext":["a",1]}"#,
            r#"{"plaintext":{}}"#,
            r#"{"plaintext":"a"} x"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn contexts_are_checked() {
        let with =
            |len| format!(r#"{{"plaintext":"","context":"{}"}}"#, STANDARD.encode(vec![1; len]));
        assert!(CipherRequest::parse(with(50).as_bytes()).is_ok());
        assert!(CipherRequest::parse(with(51).as_bytes()).is_err());
        assert!(CipherRequest::parse(br#"{"plaintext":"","context":"YQ"}"#).is_err());
    }

    #[test]
    fn lifetimes_have_limits() {
        let hours = |text: &str| {
            TokenRequest::parse(format!(r#"{{"accessTokenHours":{text}}}"#).as_bytes())
                .unwrap()
                .access()
        };
        assert_eq!(TokenRequest::parse(b"").unwrap().access(), Ok(Lifetime::Seconds(72 * 3600)));
        assert_eq!(hours("null"), Ok(Lifetime::Seconds(72 * 3600)));
        assert_eq!(hours("1"), Ok(Lifetime::Seconds(3600)));
        assert_eq!(hours("\"17520\""), Ok(Lifetime::Seconds(17_520 * 3600)));
        assert_eq!(hours("\"UL\""), Ok(Lifetime::Unlimited));
        for bad in ["0", "17521", "-1", "1.5", "\"ul\"", "\"\"", "true", "[]"] {
            assert!(hours(bad).is_err(), "{bad}");
        }
    }
}
