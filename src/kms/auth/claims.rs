//! What a token says about itself, for scheduling only.
//!
//! Promises: nothing here is verified, and nothing that a token holds makes this module fail: a
//! claim that cannot be read counts as missing.

use crate::kms::time::Timestamp;
use crate::kms::wire::fields::{Fields, int};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use zeroize::Zeroizing;

/// The longest token that is read, in bytes. Those seen have about 800.
const MAX_TOKEN_LEN: usize = 8_192;
/// Before the key tag in a token.
const KEY_TAG_PREFIX: &str = "keytag__";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Which of the two tokens of a set a token is.
///
/// ```
/// use ncp_envelope::kms::{TokenClaims, TokenKind};
/// // The claims of a token: {"1":"REFRESH"}.
/// let claims = TokenClaims::peek("e30.eyIxIjoiUkVGUkVTSCJ9.c2ln");
/// assert_eq!(claims.kind, Some(TokenKind::Refresh));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// Makes cipher calls.
    Access,
    /// Gets new tokens.
    Refresh,
}

/// What a token says about itself. **Never verified**: use it to decide when to renew a token, and
/// for nothing else.
///
/// The service documents none of this; the claims are those of its published samples. Each may be
/// missing, such as the expiry of an unlimited token.
///
/// ```
/// use ncp_envelope::kms::TokenClaims;
/// // The claims of a token: {"exp":1700000000,"2":"keytag__f94b"}.
/// let claims = TokenClaims::peek("e30.eyJleHAiOjE3MDAwMDAwMDAsIjIiOiJrZXl0YWdfX2Y5NGIifQ.c2ln");
/// assert_eq!(claims.key_tag.as_deref(), Some("f94b"));
/// let expires = claims.expires_at.map(|time| time.to_string());
/// assert_eq!(expires.as_deref(), Some("2023-11-14T22:13:20.000Z"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenClaims {
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Which token of a set it is.
    pub kind: Option<TokenKind>,
    /// The tag of the one key that it serves.
    pub key_tag: Option<String>,
}

impl TokenClaims {
    /// Reads the claims of a token. Text that is not a token of at most 8,192 bytes has none.
    ///
    /// ```
    /// use ncp_envelope::kms::{TokenClaims, TokenKind};
    /// let claims = TokenClaims::peek(concat!(
    ///     "eyJhbGciOiJSUzI1NiJ9.",
    ///     "eyJpYXQiOjE3MDAwMDAwMDAsIjEiOiJBQ0NFU1MifQ.c2lnbmF0dXJl"
    /// ));
    /// assert_eq!(claims.issued_at.map(|time| time.millis()), Some(1_700_000_000_000));
    /// assert_eq!((claims.kind, claims.expires_at), (Some(TokenKind::Access), None));
    /// assert_eq!(TokenClaims::peek("not a token"), TokenClaims::default());
    /// ```
    pub fn peek(token: &str) -> Self {
        Self::read(token).unwrap_or_default()
    }

    fn read(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN_LEN {
            return None;
        }
        let payload = token.split('.').nth(1)?;
        let mut bytes = Zeroizing::new(vec![0; payload.len()]);
        let len = BASE64.decode_slice(payload, &mut bytes).ok()?;
        let Value::Object(claims) = serde_json::from_slice(bytes.get(..len)?).ok()? else {
            return None;
        };
        let text = |name| claims.get(name).and_then(Value::as_str);
        let kind = match text("1") {
            Some("ACCESS") => Some(TokenKind::Access),
            Some("REFRESH") => Some(TokenKind::Refresh),
            _ => None,
        };
        let time = |name| Fields::of(&claims).value(name).and_then(seconds);
        let key_tag = text("2")
            .and_then(|text| text.strip_prefix(KEY_TAG_PREFIX))
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned);
        Some(Self { issued_at: time("iat"), expires_at: time("exp"), kind, key_tag })
    }
}

/// Seconds since the epoch; a fraction, which the format of tokens permits, is cut off.
fn seconds(value: &Value) -> Option<Timestamp> {
    let whole = int(value).or_else(|| {
        let number = value.as_f64()?;
        // Beyond 2^53 a float is no time any more.
        (0.0..9.0e15).contains(&number).then_some(number as u64)
    })?;
    Some(Timestamp::from_millis(whole.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{URL_SAFE as PADDED, URL_SAFE_NO_PAD};

    fn token(claims: &str) -> String {
        format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn claims_of_the_published_form() {
        let text = concat!(
            r#"{"sub":"x","1":"REFRESH","2":"keytag__a687","3":"EXT","4":[33,34],"#,
            r#""iat":1729052876,"exp":1729096076}"#
        );
        let want = TokenClaims {
            issued_at: Some(Timestamp::from_millis(1_729_052_876_000)),
            expires_at: Some(Timestamp::from_millis(1_729_096_076_000)),
            kind: Some(TokenKind::Refresh),
            key_tag: Some("a687".to_owned()),
        };
        assert_eq!(TokenClaims::peek(&token(text)), want);
        assert_eq!(TokenClaims::peek(&format!("e30.{}", PADDED.encode(text))), want);
    }

    #[test]
    fn odd_claims_are_not_there() {
        let expiry = |exp: &str| {
            TokenClaims::peek(&token(&format!(r#"{{"exp":{exp}}}"#)))
                .expires_at
                .map(Timestamp::millis)
        };
        assert_eq!(expiry("7"), Some(7_000));
        assert_eq!(expiry("\"7\""), Some(7_000));
        assert_eq!(expiry("7.9"), Some(7_000));
        assert_eq!(expiry("18446744073709551615"), Some(253_402_300_799_999));
        for odd in ["-1", "1e300", "\"UL\"", "null", "{}", "[7]"] {
            assert_eq!(expiry(odd), None, "{odd}");
        }
        let odd = TokenClaims::peek(&token(r#"{"1":"OTHER","2":"keytag__"}"#));
        assert_eq!(odd, TokenClaims::default());
        let long = token(&format!(r#"{{"exp":1,"x":"{}"}}"#, "x".repeat(MAX_TOKEN_LEN)));
        for text in [
            "",
            ".",
            "..",
            "a.b.c",
            "a.!.c",
            "e30.W10.x",
            "e30.bnVsbA.x",
            "\u{e9}.\u{e9}.",
            &"[".repeat(8_000),
            &long,
        ] {
            assert_eq!(TokenClaims::peek(text), TokenClaims::default());
        }
        assert_eq!(TokenClaims::peek(&token(&"[".repeat(5_000))), TokenClaims::default());
    }
}
