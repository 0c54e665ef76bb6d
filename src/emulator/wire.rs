//! The JSON bodies that calls carry.

use super::answer::Refusal;
use super::token::Lifetime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The longest encryption context in bytes, decoded.
const MAX_CONTEXT: usize = 50;
/// The longest lifetime of a token in hours: two years.
const MAX_HOURS: u64 = 17_520;
const ACCESS_HOURS: u64 = 72;
const REFRESH_HOURS: u64 = 2_160;

/// Body of encrypt, decrypt and re-encrypt. Fields that are not known are ignored.
#[derive(Deserialize)]
pub(super) struct CipherRequest<'a> {
    #[serde(borrow, default)]
    pub(super) plaintext: Option<Texts<'a>>,
    #[serde(borrow, default)]
    pub(super) ciphertext: Option<Texts<'a>>,
    #[serde(borrow, default)]
    context: Option<Cow<'a, str>>,
}

/// Body of the calls that issue tokens.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenRequest {
    #[serde(default)]
    access_token_hours: Option<Value>,
    #[serde(default)]
    refresh_token_hours: Option<Value>,
}

/// The single form and the array form of a field.
pub(super) enum Texts<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

impl<'a> CipherRequest<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let request: Self = object(body)?;
        // A key without convergent encryption has no use for a context, but a malformed one is refused all the same.
        if let Some(context) = &request.context
            && STANDARD.decode(context.as_bytes()).map_err(|_| Refusal::request("context is not base64"))?.len() > MAX_CONTEXT
        {
            return Err(Refusal::request("context is longer than 50 bytes"));
        }
        Ok(request)
    }
}

impl TokenRequest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        object(body)
    }

    pub(super) fn access(&self) -> Result<Lifetime, Refusal> {
        lifetime(self.access_token_hours.as_ref(), ACCESS_HOURS)
    }

    pub(super) fn refresh(&self) -> Result<Lifetime, Refusal> {
        lifetime(self.refresh_token_hours.as_ref(), REFRESH_HOURS)
    }
}

fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // The derived code would read an array as the fields in their order.
    let parsed = if body.trim_ascii_start().starts_with(b"{") { serde_json::from_slice(body).ok() } else { None };
    parsed.ok_or(Refusal::request("body is not the JSON object that this call takes"))
}

/// Hours as a number, or as text the way older pages of the documentation have it; `UL` is without limit.
fn lifetime(hours: Option<&Value>, default: u64) -> Result<Lifetime, Refusal> {
    let hours = match hours {
        None | Some(Value::Null) => Some(default),
        Some(Value::String(text)) if text == "UL" => return Ok(Lifetime::Unlimited),
        Some(Value::String(text)) => super::text::number(text).and_then(|hours| u64::try_from(hours).ok()),
        Some(value) => value.as_u64(),
    };
    let hours = hours.filter(|hours| (1..=MAX_HOURS).contains(hours));
    hours.map(|hours| Lifetime::Seconds(hours * 3600)).ok_or(Refusal::request("token lifetime is not 1 to 17520 hours or UL"))
}

impl Texts<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(texts) => texts.len(),
        }
    }

    /// Applies `each` and answers in the form the request had.
    pub(super) fn map(&self, mut each: impl FnMut(&str) -> Result<String, Refusal>) -> Result<Value, Refusal> {
        match self {
            Self::One(text) => each(text).map(Value::String),
            Self::Many(texts) if texts.is_empty() => Err(Refusal::request("array is empty")),
            Self::Many(texts) => texts.iter().map(|text| each(text).map(Value::String)).collect::<Result<_, _>>().map(Value::Array),
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
        assert!(matches!(parse(r#"{"plaintext":"YQ=="}"#).unwrap().plaintext, Some(Texts::One(Cow::Borrowed("YQ==")))));
        assert!(matches!(parse(r#"{"plaintext":"Y\u0051=="}"#).unwrap().plaintext, Some(Texts::One(Cow::Owned(_)))));
        assert!(TokenRequest::parse(b"[]").is_err());
        assert_eq!(parse(r#" {"ciphertext":["a","b"],"context":null,"more":1}"#).unwrap().ciphertext.unwrap().len(), 2);
        for bad in ["", "null", "[]", r#"{"plaintext":1}"#, r#"{"plaintext":["a",1]}"#, r#"{"plaintext":{}}"#, r#"{"plaintext":"a"} x"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn contexts_are_checked() {
        let with = |len| format!(r#"{{"plaintext":"","context":"{}"}}"#, STANDARD.encode(vec![1; len]));
        assert!(CipherRequest::parse(with(50).as_bytes()).is_ok());
        assert!(CipherRequest::parse(with(51).as_bytes()).is_err());
        assert!(CipherRequest::parse(br#"{"plaintext":"","context":"YQ"}"#).is_err());
    }

    #[test]
    fn lifetimes_have_limits() {
        let hours = |text: &str| TokenRequest::parse(format!(r#"{{"accessTokenHours":{text}}}"#).as_bytes()).unwrap().access();
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
