//! A key ring as bytes (`R-1` to `R-8`). What its entries have to be together, the document checks.

use super::entry::{KeyRole, RingEntry, RingId};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::slot::{self, MAX_SLOTS, SlotFault};

/// Most entries of a ring (`R-4`).
pub(super) const MAX_ENTRIES: usize = 1_024;
/// Most bytes of a ring (`R-4`).
pub(super) const MAX_LEN: usize = 1 << 20;
/// The end of the year 9999 (`R-5`).
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

const MAGIC: [u8; 8] = [0x8E, 0x4E, 0x43, 0x52, 0x0D, 0x0A, 0x1A, 0x0A];
/// That of a message (`F-4`).
const MESSAGE_MAGIC: [u8; 8] = [0x8E, 0x4E, 0x43, 0x50, 0x0D, 0x0A, 0x1A, 0x0A];
const VERSION: u16 = 1;
const FRONT_LEN: usize = 10;
const HEAD_LEN: usize = 32;
const ENTRY_HEAD_LEN: usize = 16;
const CRC_LEN: usize = 4;

/// What a ring consists of.
pub(super) type Parts = (RingId, u32, Vec<RingEntry>);

pub(super) fn encoded_len(entries: &[RingEntry]) -> usize {
    let slots = entries.iter().flat_map(|entry| &entry.slots).map(slot::encoded_len);
    HEAD_LEN + entries.len() * ENTRY_HEAD_LEN + slots.sum::<usize>() + CRC_LEN
}

/// The caps of keep all counts in range.
pub(super) fn encode(id: &RingId, highest: u32, entries: &[RingEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded_len(entries));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&(entries.len() as u16).to_be_bytes());
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(&highest.to_be_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.number.to_be_bytes());
        out.extend_from_slice(&[entry.role.code(), entry.slots.len() as u8, 0, 0]);
        out.extend_from_slice(&entry.created.to_be_bytes());
        for slot in &entry.slots {
            slot::encode(slot, |part| out.extend_from_slice(part));
        }
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Parts> {
    check_front(bytes)?;
    if bytes.len() > MAX_LEN {
        return Err(limit(format!("it has {} bytes, {MAX_LEN} are allowed", bytes.len())));
    }
    // what was cut off is told from what was damaged, and damage from what was written so.
    let walked = walk(bytes);
    let (body, crc) = bytes.split_at(bytes.len() - CRC_LEN.min(bytes.len()));
    let intact = crc == crc32c::crc32c(body).to_be_bytes();
    match walked {
        Err(error) if intact || error.kind() == ErrorKind::Truncated => Err(error),
        walked if intact => walked,
        _ => Err(malformed("its checksum does not match (damage)")),
    }
}

/// `R-2`, `R-3`
fn check_front(bytes: &[u8]) -> Result<()> {
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if *magic != MAGIC[..magic.len()] {
        return Err(Error::new(ErrorKind::Malformed, explain(bytes)));
    }
    let front = bytes.get(..FRONT_LEN).ok_or_else(|| cut("its first fields"))?;
    let version = u16::from_be_bytes([front[8], front[9]]);
    if version != VERSION {
        return Err(Error::new(
            ErrorKind::UnsupportedVersion,
            format!("key ring has format version {version}, this release reads version {VERSION}"),
        ));
    }
    Ok(())
}

/// What bytes without the magic may be: rings are kept in columns and files of text, too.
fn explain(bytes: &[u8]) -> &'static str {
    const TEXT_MODE: [&[u8]; 5] = [
        b"\x8ENCR\x0A\x1A\x0A",     // CR LF became LF
        b"\x8ENCR\x0D\x0D\x0A\x1A", // LF became CR LF
        b"\x0ENCR\x0D\x0A\x1A",     // the high bit was stripped
        b"\xEF\xBF\xBDNCR",         // taken for UTF-8
        b"\xC2\x8ENCR",             // taken for Latin-1
    ];
    let text = bytes.trim_ascii_start();
    let hex = text.strip_prefix(b"\\x").or_else(|| text.strip_prefix(b"0x")).unwrap_or(text);
    let starts = |wanted: &[u8]| {
        hex.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
    };
    if bytes.starts_with(&MESSAGE_MAGIC) {
        "this is a message and not a key ring"
    } else if TEXT_MODE.iter().any(|damage| bytes.starts_with(damage)) {
        "key ring was damaged by a transfer in text mode: store it as binary"
    } else if text.starts_with(b"jk5DUg0KGg") {
        "key ring is in base64 text: decode it to bytes first"
    } else if starts(b"8e4e43520d0a1a0a") {
        "key ring is in hexadecimal text: decode it to bytes first"
    } else {
        "not a key ring: the first bytes are not its magic"
    }
}

fn walk(bytes: &[u8]) -> Result<Parts> {
    let mut rest = &bytes[FRONT_LEN..];
    let head: [u8; HEAD_LEN - FRONT_LEN] = take(&mut rest).ok_or_else(|| cut("its head"))?;
    let [c0, c1, id @ .., h0, h1, h2, h3] = head;
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    if count > MAX_ENTRIES {
        return Err(limit(format!("it has {count} entries, {MAX_ENTRIES} are allowed")));
    }
    // The number of entries is a claim: no memory is set aside for more than there can be.
    if count * ENTRY_HEAD_LEN > rest.len() {
        return Err(cut("its entries"));
    }
    let mut entries = Vec::with_capacity(count);
    for at in 1..=count {
        entries.push(walk_entry(&mut rest).map_err(|fault| at_entry(at, fault))?);
    }
    match rest.len() {
        ..CRC_LEN => Err(cut("its checksum")),
        CRC_LEN => Ok((RingId(id), u32::from_be_bytes([h0, h1, h2, h3]), entries)),
        _ => Err(malformed("there are bytes after its last entry and checksum")),
    }
}

/// `R-5`
fn walk_entry(rest: &mut &[u8]) -> std::result::Result<RingEntry, SlotFault> {
    let head: [u8; ENTRY_HEAD_LEN] = take(rest).ok_or(SlotFault::Cut)?;
    let [n0, n1, n2, n3, role, count, r0, r1, created @ ..] = head;
    let role = KeyRole::from_code(role).ok_or(SlotFault::Malformed("it has an unknown role"))?;
    if [r0, r1] != [0; 2] {
        return Err(SlotFault::Malformed("a reserved byte is not zero"));
    }
    let count = usize::from(count);
    if count > MAX_SLOTS {
        let what = format!("it has {count} key slots, {MAX_SLOTS} are allowed");
        return Err(SlotFault::LimitExceeded(what));
    }
    let mut slots = Vec::with_capacity(count);
    for _ in 0..count {
        slots.push(slot::decode(rest)?);
    }
    let (number, created) = (u32::from_be_bytes([n0, n1, n2, n3]), u64::from_be_bytes(created));
    Ok(RingEntry { number, role, created, slots })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (part, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*part)
}

fn at_entry(at: usize, fault: SlotFault) -> Error {
    match fault {
        SlotFault::Cut => cut(&format!("entry {at}")),
        SlotFault::Malformed(what) => malformed(&format!("entry {at}: {what}")),
        SlotFault::LimitExceeded(what) => limit(format!("entry {at}: {what}")),
    }
}

fn cut(within: &str) -> Error {
    Error::new(ErrorKind::Truncated, format!("key ring is truncated: it ends within {within}"))
}

pub(super) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("key ring is malformed: {what}"))
}

pub(super) fn limit(what: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("key ring is over a limit: {what}"))
}
