//! Strict parsing of headers and numbers.

use axum::http::HeaderMap;
use std::fmt::Write as _;

/// The single value of a header. A header that is sent twice, or is not plain text, counts as
/// missing.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

/// A whole number in its only decimal spelling: digits, no sign, no leading zero.
pub(crate) fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn numbers_have_one_spelling() {
        for (text, value) in
            [("0", Some(0)), ("17", Some(17)), ("9223372036854775807", Some(i64::MAX))]
        {
            assert_eq!(number(text), value);
        }
        for text in
            ["", "01", "+1", "-1", " 1", "1 ", "1.0", "1e3", "9223372036854775808", "\u{661}"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn a_header_counts_once() {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("x"));
        assert_eq!(header(&headers, "a"), Some("x"));
        headers.append("a", HeaderValue::from_static("x"));
        assert_eq!(header(&headers, "a"), None);
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
