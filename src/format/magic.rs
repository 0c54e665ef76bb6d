//! The first eight bytes, and what it means when they are others (`F-4`).

use crate::error::{Error, ErrorKind, Result};

pub(super) const MAGIC: [u8; 8] = [0x8E, 0x4E, 0x43, 0x50, 0x0D, 0x0A, 0x1A, 0x0A];

/// Tells damage from a foreign file, because what to do about it differs.
pub(super) fn check_magic(bytes: &[u8]) -> Result<()> {
    let seen = &bytes[..bytes.len().min(MAGIC.len())];
    if *seen == MAGIC[..seen.len()] {
        return if bytes.is_empty() {
            Err(Error::new(ErrorKind::Truncated, "message is empty"))
        } else {
            Ok(())
        };
    }
    const TEXT_MODE: [&[u8]; 6] = [
        b"\x8ENCP\x0A\x1A\x0A",     // CR LF became LF
        b"\x8ENCP\x0D\x0D\x0A\x1A", // LF became CR LF
        b"\x8ENCP\x0D\x1A",         // LF was dropped
        b"\x0ENCP\x0D\x0A\x1A",     // the high bit was stripped
        b"\xC2\x8ENCP\x0D\x0A",     // read as Latin-1, written as UTF-8
        b"\xEF\xBF\xBDNCP",         // read as UTF-8 with replacement
    ];
    let text_mode = TEXT_MODE.iter().any(|damage| bytes.starts_with(damage));
    // "jk5DUA0KGgo" is the magic in base64, whatever comes after it.
    let start = bytes.trim_ascii_start();
    let encoded = if start.starts_with(b"jk5DUA0KGgo") {
        Some("base64")
    } else if start.len() >= 16 && start[..16].eq_ignore_ascii_case(b"8e4e43500d0a1a0a") {
        Some("hexadecimal")
    } else {
        None
    };
    Err(match encoded {
        _ if text_mode => Error::new(
            ErrorKind::Malformed,
            "message was damaged by a transfer in text mode: fetch it again as binary",
        ),
        Some(encoding) => Error::new(
            ErrorKind::Malformed,
            format!("message is in {encoding} text: decode it to bytes first"),
        ),
        None => Error::new(
            ErrorKind::Malformed,
            "not an ncp-envelope message: the first bytes are not its magic",
        ),
    })
}
