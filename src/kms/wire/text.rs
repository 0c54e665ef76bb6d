//! Strings of a response, taken out of its body without a copy that is not zeroized.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;
use zeroize::Zeroizing;

/// Replaces escapes that JSON writers add without need (`\/`, and `\u003d` for `=`) by what they
/// stand for, in place.
///
/// The parser copies a string that has escapes into memory that is not zeroized; one without is
/// borrowed from the body.
pub(crate) fn simplify_escapes(body: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while read < body.len() {
        let (byte, used) = match body[read..] {
            [b'\\', b'/', ..] => (b'/', 2),
            [b'\\', b'u', b'0', b'0', high, low, ..] => {
                match hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low) {
                    Some(byte @ 0x20..=0x7e) if byte != b'"' && byte != b'\\' => (byte, 6),
                    _ => (b'\\', 1),
                }
            }
            [b'\\', other, ..] => {
                // Two bytes at once, so that the second of `\\` does not start an escape.
                body[write] = b'\\';
                write += 1;
                read += 1;
                (other, 1)
            }
            [byte, ..] => (byte, 1),
            [] => break,
        };
        body[write] = byte;
        write += 1;
        read += used;
    }
    // What was moved forward remains behind the new end, in capacity that is wiped with the rest.
    body.truncate(write);
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

/// A code: its text, or anything else that is there.
pub(crate) enum Loose<'a> {
    Text(&'a str),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Code;
        impl<'de> Visitor<'de> for Code {
            type Value = Loose<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a code")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Loose<'de>, E> {
                Ok(Loose::Text(text))
            }

            fn visit_str<E>(self, _: &str) -> std::result::Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }

            fn visit_u64<E>(self, _: u64) -> std::result::Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }

            fn visit_i64<E>(self, _: i64) -> std::result::Result<Loose<'de>, E> {
                Ok(Loose::Other)
            }
        }
        from.deserialize_any(Code)
    }
}

/// A string, or an array of strings.
pub(crate) struct OneOrMany<'a>(pub(crate) Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = OneOrMany<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(
                self,
                text: &'de str,
            ) -> std::result::Result<OneOrMany<'de>, E> {
                Ok(OneOrMany(vec![Text::Borrowed(text)]))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<OneOrMany<'de>, E> {
                Ok(OneOrMany(vec![Text::owned(text)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> std::result::Result<OneOrMany<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        from.deserialize_any(Strings)
    }
}

/// A string of the body, borrowed from it unless it has escapes.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Zeroizing<String>),
}

impl Text<'_> {
    fn owned(text: &str) -> Self {
        Self::Owned(Zeroizing::new(text.to_owned()))
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(
                self,
                text: &'de str,
            ) -> std::result::Result<Text<'de>, E> {
                Ok(Text::Borrowed(text))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Text<'de>, E> {
                Ok(Text::owned(text))
            }
        }
        from.deserialize_str(Str)
    }
}
