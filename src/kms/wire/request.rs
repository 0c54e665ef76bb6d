//! Bodies of calls, written without a copy of any plaintext.
//!
//! A body is one allocation of exactly the right size that base64 is written into directly; base64
//! needs no JSON escapes. It is passed to the HTTP library as shared bytes that are zeroized when
//! the last of them is dropped.

use crate::error::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use zeroize::Zeroizing;

/// The body of a call that needs no argument.
pub(crate) const EMPTY: Bytes = Bytes::from_static(b"{}");

/// The body of a call by `method` without arguments: an empty object if a body is due.
pub(crate) fn empty(method: &reqwest::Method) -> Bytes {
    if *method == reqwest::Method::GET || *method == reqwest::Method::DELETE {
        Bytes::new()
    } else {
        EMPTY
    }
}

/// A body that holds no secret.
pub(crate) fn json(value: &serde_json::Value) -> Bytes {
    value.to_string().into()
}

/// Values of one field, sent as one string if there is one and as an array otherwise.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    /// Bytes for the field `plaintext`, sent in base64.
    Plaintext(&'a [&'a [u8]]),
    /// What the service returned earlier, for the field `ciphertext`, sent as it is.
    Ciphertext(&'a [&'a str]),
}

/// The body with `values`, and with the context of a convergent key where there is one.
pub(crate) fn body(values: Values<'_>, context: Option<&[u8]>) -> Result<Bytes> {
    let len = length(values, context).ok_or_else(too_long)?;
    let mut out = Writer(Zeroizing::new(Vec::with_capacity(len)));
    match values {
        Values::Plaintext(items) => {
            out.text(r#"{"plaintext":"#);
            out.list(items, |out, item| out.base64(item))?;
        }
        Values::Ciphertext(items) => {
            out.text(r#"{"ciphertext":"#);
            out.list(items, |out, item| {
                out.escaped(item);
                Ok(())
            })?;
        }
    }
    out.context(context)?;
    out.text("}");
    debug_assert_eq!(out.0.len(), len, "the buffer was sized exactly, so it never moved");
    Ok(Bytes::from_owner(out.0))
}

/// The body of a call that makes a custom key of `bits` bits.
pub(crate) fn custom_key(bits: u16, with_plaintext: bool, context: Option<&[u8]>) -> Result<Bytes> {
    let start = format!(r#"{{"requestPlainKey":{with_plaintext},"bits":{bits}"#);
    finish(start.len(), &start, |_| Ok(()), context)
}

/// The body of a call that signs `data`, or verifies its `signature`.
pub(crate) fn data(data: &[u8], signature: Option<&str>) -> Result<Bytes> {
    // An escape for every character of the signature is more than there can be.
    let len =
        base64::encoded_len(data.len(), true).zip(signature.map_or(0, str::len).checked_mul(2));
    let len = len
        .and_then(|(data, signature)| data.checked_add(signature)?.checked_add(32))
        .ok_or_else(too_long)?;
    let write = |out: &mut Writer| {
        out.base64(data)?;
        if let Some(signature) = signature {
            out.text(r#","signature":"#);
            out.escaped(signature);
        }
        Ok(())
    };
    finish(len, r#"{"data":"#, write, None)
}

fn finish(
    len: usize,
    start: &str,
    write: impl FnOnce(&mut Writer) -> Result<()>,
    context: Option<&[u8]>,
) -> Result<Bytes> {
    let context_len = base64::encoded_len(context.map_or(0, <[u8]>::len), true)
        .and_then(|len| len.checked_add(16));
    let len = context_len.and_then(|more| len.checked_add(more)).ok_or_else(too_long)?;
    let mut out = Writer(Zeroizing::new(Vec::with_capacity(len)));
    out.text(start);
    write(&mut out)?;
    out.context(context)?;
    out.text("}");
    debug_assert!(out.0.len() <= len, "the buffer was large enough, so it never moved");
    Ok(Bytes::from_owner(out.0))
}

fn too_long() -> Error {
    Error::new(ErrorKind::LimitExceeded, "a call's body would be too long")
}

fn length(values: Values<'_>, context: Option<&[u8]>) -> Option<usize> {
    let (name, values) = match values {
        Values::Plaintext(items) => {
            (r#"{"plaintext":}"#, list_length(items, |item| base64::encoded_len(item.len(), true))?)
        }
        Values::Ciphertext(items) => {
            let escapes = |item: &str| item.bytes().filter(|byte| must_escape(*byte)).count();
            (
                r#"{"ciphertext":}"#,
                list_length(items, |item| item.len().checked_add(escapes(item)))?,
            )
        }
    };
    let context = match context {
        Some(context) => {
            r#","context":"""#.len().checked_add(base64::encoded_len(context.len(), true)?)?
        }
        None => 0,
    };
    name.len().checked_add(values)?.checked_add(context)
}

fn list_length<T: Copy>(items: &[T], length: impl Fn(T) -> Option<usize>) -> Option<usize> {
    // Two quotes and a comma for each, no comma after the last, brackets if they are an array.
    let around = match items.len() {
        0 | 1 => 2,
        count => count.checked_mul(3)?.checked_add(1)?,
    };
    items.iter().try_fold(around, |total, item| total.checked_add(length(*item)?))
}

struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list<T: Copy>(
        &mut self,
        items: &[T],
        mut write: impl FnMut(&mut Self, T) -> Result<()>,
    ) -> Result<()> {
        if let [item] = items {
            return write(self, *item);
        }
        self.text("[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.text(",");
            }
            write(self, *item)?;
        }
        self.text("]");
        Ok(())
    }

    fn base64(&mut self, bytes: &[u8]) -> Result<()> {
        self.text("\"");
        let start = self.0.len();
        self.0.resize(start + base64::encoded_len(bytes.len(), true).ok_or_else(too_long)?, 0);
        STANDARD.encode_slice(bytes, &mut self.0[start..]).map_err(|_| too_long())?;
        self.text("\"");
        Ok(())
    }

    fn context(&mut self, context: Option<&[u8]>) -> Result<()> {
        let Some(context) = context else { return Ok(()) };
        self.text(r#","context":"#);
        self.base64(context)
    }

    // Only for printable ASCII, which callers have checked.
    fn escaped(&mut self, text: &str) {
        self.text("\"");
        for byte in text.bytes() {
            if must_escape(byte) {
                self.0.push(b'\\');
            }
            self.0.push(byte);
        }
        self.text("\"");
    }
}

fn must_escape(byte: u8) -> bool {
    byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: Values<'_>, context: Option<&[u8]>) -> String {
        String::from_utf8(body(values, context).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn one_value_is_a_string_and_several_are_an_array() {
        assert_eq!(written(Values::Plaintext(&[b"test"]), None), r#"{"plaintext":"dGVzdA=="}"#);
        assert_eq!(
            written(Values::Plaintext(&[b"test", b"", b"a"]), None),
            r#"{"plaintext":["dGVzdA==","","YQ=="]}"#
        );
        assert_eq!(written(Values::Plaintext(&[]), None), r#"{"plaintext":[]}"#);
        assert_eq!(
            written(Values::Ciphertext(&["ncpkms:v1:a/b+="]), None),
            r#"{"ciphertext":"ncpkms:v1:a/b+="}"#
        );
        assert_eq!(written(Values::Ciphertext(&["a", "b"]), None), r#"{"ciphertext":["a","b"]}"#);
    }

    #[test]
    fn a_context_follows_and_quotes_cannot_break_out() {
        let context = b"this is a test context";
        assert_eq!(
            written(Values::Plaintext(&[b"test"]), Some(context)),
            r#"{"plaintext":"dGVzdA==","context":"dGhpcyBpcyBhIHRlc3QgY29udGV4dA=="}"#
        );
        let sly = r#"x","ciphertext":"y\"#;
        let json: serde_json::Value =
            serde_json::from_str(&written(Values::Ciphertext(&[sly]), None)).unwrap();
        assert_eq!(json, serde_json::json!({ "ciphertext": sly }));
    }

    #[test]
    fn other_bodies_are_written_into_one_buffer_too() {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(custom_key(256, false, None).unwrap()),
            r#"{"requestPlainKey":false,"bits":256}"#
        );
        assert_eq!(
            text(custom_key(512, true, Some(b"c")).unwrap()),
            r#"{"requestPlainKey":true,"bits":512,"context":"Yw=="}"#
        );
        assert_eq!(text(data(b"test", None).unwrap()), r#"{"data":"dGVzdA=="}"#);
        assert_eq!(text(data(b"", Some(r#"a"\"#)).unwrap()), r#"{"data":"","signature":"a\"\\"}"#);
        assert!(data(&[7; 8_192], Some(&"\"".repeat(5_000))).is_ok());
    }
}
