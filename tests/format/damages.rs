//! What programs that take bytes for text make of a message, and what is said of each (`F-4`).

use crate::common::{base64, block_on};
use crate::refusals::refuse;
use ncp_envelope::{DecryptPolicy, EncryptOptions, ErrorKind};

fn message() -> Vec<u8> {
    block_on(crate::common::envelope().encrypt(b"some data", EncryptOptions::new())).unwrap()
}

/// Checks that `damaged` is refused with all these words.
fn check(damaged: &[u8], words: &[&str]) {
    for words in words {
        refuse(damaged, &DecryptPolicy::new(), ErrorKind::Malformed, words);
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (part, len) =
            if bytes[at..].starts_with(from) { (to, from.len()) } else { (&bytes[at..=at], 1) };
        out.extend_from_slice(part);
        at += len;
    }
    out
}

fn utf8(text: &str) -> Vec<u8> {
    text.into()
}

fn utf8_marked(text: &str) -> Vec<u8> {
    [b"\xEF\xBB\xBF", text.as_bytes()].concat()
}

fn utf16_unmarked(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    utf16_unmarked(&format!("\u{FEFF}{text}"))
}

fn utf16_big(text: &str) -> Vec<u8> {
    format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn utf32(text: &str) -> Vec<u8> {
    "\u{FEFF}".chars().chain(text.chars()).flat_map(|char| u32::from(char).to_le_bytes()).collect()
}

fn utf32_big(text: &str) -> Vec<u8> {
    "\u{FEFF}".chars().chain(text.chars()).flat_map(|char| u32::from(char).to_be_bytes()).collect()
}

type Encode = fn(&str) -> Vec<u8>;

const ENCODINGS: [(Encode, &str); 7] = [
    (utf8, "UTF-8"),
    (utf8_marked, "UTF-8 with a byte order mark"),
    (utf16_unmarked, "UTF-16"),
    (utf16, "UTF-16 with a byte order mark"),
    (utf16_big, "UTF-16 with a byte order mark"),
    (utf32, "UTF-32 with a byte order mark"),
    (utf32_big, "UTF-32 with a byte order mark"),
];

// Every text-mode accident that a transfer can have.
#[test]
fn text_mode_damage_is_told_from_a_foreign_file() {
    let plain = message();
    let latin1: String = plain.iter().map(|byte| char::from(*byte)).collect();
    for damaged in [
        replace(&plain, b"\r\n", b"\n"),
        replace(&plain, b"\n", b"\r\n"),
        replace(&plain, b"\n", b""),
        plain.iter().map(|byte| byte & 0x7F).collect(),
        latin1.into_bytes(),
        String::from_utf8_lossy(&plain).into_owned().into_bytes(),
    ] {
        check(&damaged, &["was damaged by a transfer in text mode", "fetch it again as binary"]);
    }
}

/// The message as PowerShell decodes it: in a code page that begins the text so, line by line.
fn decoded(message: &[u8], begin: &str, line_end: &str) -> String {
    let rest: String = message[4..].iter().map(|byte| char::from(*byte)).collect();
    let lines = rest.replace("\r\n", "\n").replace('\r', "\n");
    format!("{begin}P{lines}").replace('\n', line_end)
}

#[test]
fn what_powershell_wrote_is_named_whatever_its_code_page_and_encoding() {
    let plain = message();
    for begin in [
        "\u{C4}NC",   // 437, 850, 852: America and western Europe
        "\u{17D}NC",  // 1252
        "\u{40B}NC",  // 1251
        "\u{41E}NC",  // 866: Cyrillic
        "\u{C544}C",  // 949, where 8E 4E is one letter: Korean
        "\u{5072}C",  // 932, where it is one as well: Japanese
        "\u{6A4E}C",  // 936: Chinese
        "\u{E0C8}C",  // 950, where it is nobody's
        "\u{FFFD}NC", // 65001: UTF-8
        "?NC",        // what has no place in ASCII
        "?C",
    ] {
        for line_end in ["\r\n", "\n"] {
            let text = decoded(&plain, begin, line_end);
            for (encode, name) in ENCODINGS {
                let name = format!("written as {name}, as PowerShell does with >");
                check(&encode(&text), &["damaged by a transfer in text mode", &name]);
            }
        }
    }
}

#[test]
fn text_that_holds_a_message_is_named_in_any_encoding() {
    let plain = message();
    let bare = base64(&plain);
    let hex: String = plain.iter().map(|byte| format!("{byte:02X}")).collect();
    let spaced: String = plain.iter().map(|byte| format!("{byte:02x} ")).collect();
    let texts = [
        (bare.clone(), "is in base64 text"),
        (format!("\"{bare}\""), "is in base64 text"),
        (hex.clone(), "is in hexadecimal text"),
        (format!("0x{hex}"), "is in hexadecimal text"),
        (spaced.replace(' ', ":"), "is in hexadecimal text"),
        (spaced, "is in hexadecimal text"),
        (format!("-----BEGIN MESSAGE-----\n{bare}\n"), "PEM text"),
    ];
    for (text, what) in texts {
        check(&utf8(&text), &[what, "to bytes"]);
        for (encode, name) in &ENCODINGS[1..] {
            // So wide that too little of what is not begun at once is seen.
            if name.starts_with("UTF-32") {
                continue;
            }
            let plain = format!(", in {name}: make that plain ASCII first");
            check(&encode(&text), &[what, &plain, "to bytes"]);
        }
    }
    for dump in ["\n  jk5DUA0KGgoAAQAB", "00000000: 8e4e 4350 0d0a 1a0a", "8e-4e-43-50-0d-0a"] {
        check(dump.as_bytes(), &["text: decode it to bytes first"]);
    }
}

#[test]
fn what_stands_in_front_of_a_message_is_to_be_taken_off() {
    let behind = |front: &[u8]| [front, &message()].concat();
    for (mark, len) in [("\u{FEFF}".as_bytes(), 3), (b"\xFF\xFE", 2), (b"\xFE\xFF", 2)] {
        let text = format!("has a byte order mark in front of it: take off the first {len} bytes");
        check(&behind(mark), &[&text]);
    }
    check(&behind(b"\n"), &["has something in front of it: take off the first byte"]);
    check(&behind(b"HTTP body: \r\n\r\n"), &["take off the first 15 bytes"]);
}

#[test]
fn a_foreign_file_is_called_foreign() {
    let plain = message();
    let flipped = |at: usize, bit: u8| {
        let mut message = plain.clone();
        message[at] ^= bit;
        message
    };
    let foreign = [
        // One bit of the magic is no accident of text mode.
        flipped(0, 1),
        flipped(0, 0x40),
        flipped(1, 1),
        flipped(7, 1),
        b"\x89PNG\r\n\x1a\n and so on, an image".to_vec(),
        b"NCP\r\n\x1a\n".to_vec(),
        b"xNCP\r\n\x1a\n".to_vec(),
        utf8("\u{C544}CP is what it says"),
        utf16("\u{C544}CP is"),
        utf8("\u{C4}NCQ\r\n\x1a"),
        b"jk5DUA".to_vec(),
        b"8e4e43".to_vec(),
        b"jk5DUB0KGgo and more of it".to_vec(),
        b"8e4e43500d0a1a0b and more of it".to_vec(),
        b"----- BEGIN".to_vec(),
        b"?".to_vec(),
        b"\xFF\xFE".to_vec(),
        b"\0\0\xFE\xFF\xFF\xFF\xFF\xFF".to_vec(),
        vec![0; 24],
        // Beyond the fixed part of a header, which is all that is read by then.
        [&[b'\n'; 17], &plain[..]].concat(),
    ];
    for foreign in foreign {
        check(&foreign, &["not an ncp-envelope message"]);
    }
}
