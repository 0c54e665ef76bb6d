//! The first eight bytes, and what it means when they are others (`F-4`).
//!
//! Promises: what is wrong with a message that was taken for text, or put into text, is told from a
//! foreign file, because what to do about it differs. Looks at the fixed part of the header only,
//! which is all that has been read by then.

use crate::error::{Error, ErrorKind, Result};

pub(crate) const MAGIC_LEN: usize = 8;
pub(super) const MAGIC: [u8; MAGIC_LEN] = [0x8E, 0x4E, 0x43, 0x50, 0x0D, 0x0A, 0x1A, 0x0A];

/// Those of a key ring (`R-2`), which is no message.
const RING_MAGIC: [u8; 8] = [0x8E, 0x4E, 0x43, 0x52, 0x0D, 0x0A, 0x1A, 0x0A];

/// Whether bytes begin as every message does.
pub(crate) fn is_message(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// `start` is the fixed part of a header, or as much of it as there is.
pub(super) fn check_magic(start: &[u8]) -> Result<()> {
    if start.is_empty() {
        return Err(Error::new(ErrorKind::Truncated, "message is empty"));
    }
    let seen = &start[..start.len().min(MAGIC.len())];
    if *seen == MAGIC[..seen.len()] {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, explain(start)))
}

/// What a transfer that takes bytes for text makes of the magic, byte for byte.
const TEXT_MODE: [&[u8]; 4] = [
    b"\x8ENCP\x0A\x1A\x0A",     // CR LF became LF
    b"\x8ENCP\x0D\x0D\x0A\x1A", // LF became CR LF
    b"\x8ENCP\x0D\x1A",         // LF was dropped
    b"\x0ENCP\x0D\x0A\x1A",     // the high bit was stripped
];

fn explain(start: &[u8]) -> String {
    if start.starts_with(&RING_MAGIC) {
        return "this is a key ring and not a message: it holds the keys of encrypted values, and \
                no data"
            .into();
    }
    if TEXT_MODE.iter().any(|damage| start.starts_with(damage)) {
        return "message was damaged by a transfer in text mode: fetch it again as binary".into();
    }
    for encoding in &ENCODINGS {
        let (rest, marked) =
            start.strip_prefix(encoding.mark).map_or((start, false), |rest| (rest, true));
        let Some(found) = Found::of(&encoding.decode(rest)) else { continue };
        let (name, mark) = (encoding.name, if marked { " with a byte order mark" } else { "" });
        // Plain ASCII is what a decoder takes.
        let plain = if encoding.width == 1 && !marked {
            String::new()
        } else {
            format!(", in {name}{mark}: make that plain ASCII first")
        };
        return match found {
            Found::Decoded => format!(
                "message was damaged by a transfer in text mode: its bytes were taken for text and \
                 written as {name}{mark}, as PowerShell does with >: fetch it again as binary, or \
                 have it written to a file by the program that makes it"
            ),
            Found::Text(what) if plain.is_empty() => {
                format!("message is in {what} text: decode it to bytes first")
            }
            Found::Text(what) => {
                format!("message is in {what} text{plain}, then decode it to bytes")
            }
            Found::Pem => format!(
                "this is PEM text and not a message{plain}; if there is one in it, decode the \
                 base64 between its BEGIN and END lines to bytes first"
            ),
        };
    }
    if let Some(at) = start.windows(MAGIC.len()).position(|window| *window == MAGIC) {
        let marked = ENCODINGS.iter().any(|encoding| *encoding.mark == start[..at]);
        let what = if marked { "a byte order mark" } else { "something" };
        let bytes = if at == 1 { "byte".into() } else { format!("{at} bytes") };
        return format!("message has {what} in front of it: take off the first {bytes}");
    }
    "not an ncp-envelope message: the first bytes are not its magic".into()
}

/// A way to write text as bytes.
struct Encoding {
    name: &'static str,
    mark: &'static [u8],
    /// Bytes of a unit.
    width: usize,
    big_endian: bool,
}

/// UTF-32 comes before UTF-16, whose mark its own begins with.
const ENCODINGS: [Encoding; 5] = {
    const fn encoding(
        name: &'static str,
        mark: &'static [u8],
        width: usize,
        big_endian: bool,
    ) -> Encoding {
        Encoding { name, mark, width, big_endian }
    }
    [
        encoding("UTF-8", b"\xEF\xBB\xBF", 1, false),
        encoding("UTF-32", b"\xFF\xFE\0\0", 4, false),
        encoding("UTF-32", b"\0\0\xFE\xFF", 4, true),
        encoding("UTF-16", b"\xFF\xFE", 2, false),
        encoding("UTF-16", b"\xFE\xFF", 2, true),
    ]
};

impl Encoding {
    /// The text in `bytes`, as far as it is any.
    fn decode(&self, bytes: &[u8]) -> String {
        if self.width == 1 {
            let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            return valid.to_owned();
        }
        let unit = |bytes: &[u8]| {
            let fold = |unit, byte: &u8| unit << 8 | u32::from(*byte);
            let unit = match self.big_endian {
                true => bytes.iter().fold(0, fold),
                false => bytes.iter().rev().fold(0, fold),
            };
            char::from_u32(unit)
        };
        bytes.chunks_exact(self.width).map_while(unit).collect()
    }
}

enum Found {
    /// Bytes that were decoded as text.
    Decoded,
    /// Bytes that were encoded as text, and how.
    Text(&'static str),
    Pem,
}

impl Found {
    fn of(text: &str) -> Option<Self> {
        let start = text.trim_start().trim_start_matches(['"', '\'']);
        // Offsets, prefixes and separators, as dumps have them.
        let digits = start.chars().filter(|char| !matches!(char, ' ' | ':' | '-' | 'x'));
        let digits = digits.collect::<String>().to_ascii_lowercase();
        if was_decoded(text) {
            Some(Self::Decoded)
        } else if start.starts_with("-----BEGIN") {
            Some(Self::Pem)
        } else if begins(start, "jk5DUA0KGgo") {
            // The magic, whatever comes after it.
            Some(Self::Text("base64"))
        } else if begins(digits.trim_start_matches('0'), "8e4e43500d0a1a0a") {
            Some(Self::Text("hexadecimal"))
        } else {
            None
        }
    }
}

/// Whether `text` begins with `wanted`, as far as it is seen, and enough of it is.
fn begins(text: &str, wanted: &str) -> bool {
    const ENOUGH: usize = 8;
    text.starts_with(wanted) || text.len() >= ENOUGH && wanted.starts_with(text)
}

/// Whether `text` is what a code page makes of the magic. The first byte is then some letter, or a
/// mark for one that there is not. In those of two bytes, as 949 for Korean, it is one with the
/// second.
fn was_decoded(text: &str) -> bool {
    let mut chars = text.chars();
    if chars.next().is_none_or(|first| first.is_ascii() && first != '?') {
        return false;
    }
    let rest = chars.as_str();
    let Some(lines) = rest.strip_prefix("NCP").or_else(|| rest.strip_prefix("CP")) else {
        return false;
    };
    // Line ends become others.
    let behind = lines.trim_start_matches(['\r', '\n']);
    behind.starts_with('\x1A') || behind.is_empty() && !lines.is_empty()
}
