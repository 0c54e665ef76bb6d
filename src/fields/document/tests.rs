use super::*;
use crate::error::ErrorKind::*;
use crate::wrap::slot;

const HEAD: usize = 32;

fn wrapped(id: &str, len: usize) -> WrappedKey {
    let head = [1, 2, id.len() as u8];
    let bytes = [&head, &(len as u16).to_be_bytes()[..], id.as_bytes(), &vec![7; len]].concat();
    slot::decode(&mut &bytes[..]).ok().unwrap()
}

fn entry(number: u32, role: KeyRole, slots: Vec<WrappedKey>) -> RingEntry {
    RingEntry { number, role, created: 1_700_000_000, slots }
}

fn ring() -> RingDocument {
    let entries = vec![
        entry(1, KeyRole::Value, vec![wrapped("a", 1)]),
        entry(4, KeyRole::Index, vec![wrapped("a", 100), wrapped("bc", 1_024)]),
        entry(9, KeyRole::Value, vec![wrapped("bc", 110)]),
    ];
    RingDocument::new(RingId([5; 16]), 12, entries).unwrap()
}

fn refused(result: Result<RingDocument>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..body]);
    bytes[body..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Decodes `ring` with these bytes from `at` on, and with a checksum that matches.
fn changed(at: usize, new: &[u8]) -> (ErrorKind, String) {
    let mut bytes = ring().to_bytes();
    bytes[at..at + new.len()].copy_from_slice(new);
    refused(RingDocument::decode(&with_crc(bytes)))
}

//
#[test]
fn a_ring_is_laid_out_as_the_page_says() {
    let bytes = ring().to_bytes();
    let (slot_a, slot_bc) = (5 + 1, 5 + 2);
    assert_eq!(
        bytes.len(),
        HEAD + 3 * 16 + (slot_a + 1) + (slot_a + 100) + slot_bc * 2 + 1_134 + 4
    );
    assert_eq!(bytes[..8], [0x8E, b'N', b'C', b'R', 13, 10, 26, 10]);
    assert_eq!(bytes[8..12], [0, 1, 0, 3]);
    assert_eq!(bytes[12..28], [5; 16]);
    assert_eq!(bytes[28..32], [0, 0, 0, 12]);
    assert_eq!(bytes[32..40], [0, 0, 0, 1, 1, 1, 0, 0]);
    assert_eq!(bytes[40..48], 1_700_000_000_u64.to_be_bytes());
    assert_eq!(bytes[48..55], [1, 2, 1, 0, 1, b'a', 7]);
    assert_eq!(bytes[55..63], [0, 0, 0, 4, 2, 2, 0, 0]);
    assert_eq!(with_crc(bytes.clone()), bytes);
    assert_eq!(RingDocument::decode(&bytes).unwrap(), ring());
    assert_eq!((ring().value_key(), ring().index_key(), ring().highest()), (9, 4, 12));
}

//
#[test]
fn what_is_cut_or_damaged_is_refused_as_such() {
    let bytes = ring().to_bytes();
    for len in 0..bytes.len() {
        let (kind, text) = refused(RingDocument::decode(&bytes[..len]));
        assert_eq!(kind, Truncated, "{len}: {text}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(refused(RingDocument::decode(&longer)).0, Malformed);
    assert!(refused(RingDocument::decode(&with_crc(longer))).1.contains("bytes after"));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (kind, text) = refused(RingDocument::decode(&damaged));
        let expected: &[_] = match bit / 8 {
            0..8 => &[Malformed],
            8..10 => &[UnsupportedVersion],
            _ => &[Malformed, Truncated],
        };
        assert!(expected.contains(&kind), "{bit}: {text}");
        // Damage is not told as what the damaged bytes would mean.
        let told = kind == Truncated || text.contains("checksum");
        assert!(bit / 8 < 10 || told, "{bit}: {text}");
        // Whatever is accepted is read back as the same bytes.
        let repaired = with_crc(damaged);
        if let Ok(ring) = RingDocument::decode(&repaired) {
            assert_eq!(ring.to_bytes(), repaired, "{bit}");
        }
    }
}

// with a checksum that matches.
#[test]
fn each_fault_is_told_and_where_it_is() {
    let second = HEAD + 16 + 7;
    for (at, new, kind, told) in [
        (8, &[0, 2][..], UnsupportedVersion, "format version 2"),
        (10, &[4, 1], LimitExceeded, "1025 entries, 1024"),
        (10, &[4, 0], Truncated, "its entries"),
        (10, &[0, 2], Malformed, "bytes after"),
        (28, &[0, 0, 0, 8], Malformed, "highest number is lower"),
        (32, &[0, 0, 0, 0], Malformed, "entry 1: its number is zero"),
        (second, &[0, 0, 0, 1], Malformed, "entry 2: its number does not ascend"),
        (second, &[0, 0, 0, 9], Malformed, "entry 3: its number does not ascend"),
        (second + 4, &[1], Malformed, "it has no index key"),
        (second + 4, &[0], Malformed, "entry 2: it has an unknown role"),
        (second + 4, &[3], Malformed, "entry 2: it has an unknown role"),
        (second + 5, &[17], LimitExceeded, "entry 2: it has 17 key slots, 16"),
        (second + 6, &[1], Malformed, "entry 2: a reserved byte"),
        (second + 7, &[1], Malformed, "entry 2: a reserved byte"),
        (second + 8, &[0, 0, 0, 0x3A, 0xFF, 0xF4, 0x41, 0x80], Malformed, "year 9999"),
        (second + 16, &[2], Malformed, "entry 2: a slot names an unknown provider"),
        (second + 17, &[6], Malformed, "entry 2: a slot names an unknown zone"),
        (second + 19, &[4, 1], LimitExceeded, "entry 2: a slot claims a wrapped key of 1025"),
        (second + 21, b" ", Malformed, "entry 2: a key id is not printable"),
    ] {
        let (found, text) = changed(at, new);
        assert!(found == kind && text.contains(told), "{at} {new:?}: {found:?} {text}");
    }
    // The last second of the year 9999 is one that every clock can show.
    let mut bytes = ring().to_bytes();
    bytes[40..48].copy_from_slice(&codec::LAST_SECOND.to_be_bytes());
    let last = RingDocument::decode(&with_crc(bytes)).unwrap();
    let since = last.entries()[0].created().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), codec::LAST_SECOND);
    assert_eq!(codec::LAST_SECOND + 1, 0x3A_FFF4_4180);
}

//
#[test]
fn an_entry_without_a_slot_is_refused() {
    let none =
        vec![entry(1, KeyRole::Value, vec![]), entry(2, KeyRole::Index, vec![wrapped("a", 1)])];
    let bytes = codec::encode(&RingId([0; 16]), 2, &none);
    let (kind, text) = refused(RingDocument::decode(&bytes));
    assert!(kind == Malformed && text.contains("entry 1: it has no key slot"), "{text}");
}

//
#[test]
fn bytes_that_are_something_else_are_told() {
    for (bytes, told) in [
        (&b"\x8ENCP\r\n\x1a\n\0\x01"[..], "is a message and not a key ring"),
        (b"\x8ENCR\n\x1a\n\0\x01\0\x02", "transfer in text mode"),
        (b"\xEF\xBF\xBDNCR\r\n\x1a\n", "transfer in text mode"),
        (b"jk5DUg0KGgoAAQAC", "base64"),
        (b"\n jk5DUg0KGgoAAQAC", "base64"),
        (b"8E4E43520D0A1A0A0001", "hexadecimal"),
        (b"\\x8e4e43520d0a1a0a0001", "hexadecimal"),
        (b"0x8e4e43520d0a1a0a0001", "hexadecimal"),
        (b"{\"keys\":[]}", "not a key ring"),
        (b"8e4e", "not a key ring"),
    ] {
        let (kind, text) = refused(RingDocument::decode(bytes));
        assert!(kind == Malformed && text.contains(told), "{bytes:?}: {text}");
    }
}

//
#[test]
fn a_ring_is_full_at_1024_entries_or_1_mib() {
    let mut full = ring();
    full.entries.truncate(2);
    while full.entries.len() < 1_024 {
        full = full.with_entry(KeyRole::Value, 0, vec![wrapped("a", 1)]).unwrap();
    }
    assert_eq!(RingDocument::decode(&full.to_bytes()).unwrap(), full);
    let (kind, text) = refused(full.with_entry(KeyRole::Index, 0, vec![wrapped("a", 1)]));
    assert!(kind == LimitExceeded && text.contains("1025 entries"), "{text}");

    // 62 entries of 16 slots of 1,030 bytes, and one that fills the rest to the byte.
    let big = || vec![wrapped("a", 1_024); 16];
    let mut long = ring();
    long.entries.truncate(2);
    while codec::encoded_len(&long.entries) + 16 + 16 * 1_030 <= 1 << 20 {
        long = long.with_entry(KeyRole::Value, 0, big()).unwrap();
    }
    let left = (1 << 20) - codec::encoded_len(&long.entries) - 16;
    let slots = |len: usize| {
        let mut slots = vec![wrapped("a", 1_024); len / 1_030];
        slots.push(wrapped("a", len % 1_030 - 6));
        slots
    };
    assert!(left % 1_030 > 6 && left / 1_030 < 16);
    let (kind, text) = refused(long.with_entry(KeyRole::Index, 0, slots(left + 1)));
    assert!(kind == LimitExceeded && text.contains("1048577 bytes"), "{text}");
    let long = long.with_entry(KeyRole::Index, 0, slots(left)).unwrap();
    assert_eq!(long.to_bytes().len(), 1 << 20);
    assert_eq!(RingDocument::decode(&long.to_bytes()).unwrap(), long);
    let mut longer = long.to_bytes();
    longer.push(0);
    assert_eq!(refused(RingDocument::decode(&longer)).0, LimitExceeded);
}

//
#[test]
fn numbers_are_never_used_again() {
    let newer = ring().with_entry(KeyRole::Value, 7, vec![wrapped("a", 1)]).unwrap();
    assert_eq!((newer.value_key(), newer.highest(), newer.index_key()), (13, 13, 4));
    assert_eq!(newer.entries()[..3], ring().entries()[..]);
    let retired = newer.retire(9).unwrap().retire(1).unwrap();
    assert_eq!((retired.entries().len(), retired.highest()), (2, 13));
    let next = retired.with_entry(KeyRole::Index, 7, vec![wrapped("a", 1)]).unwrap();
    assert_eq!((next.index_key(), next.highest()), (14, 14));

    let mut last = ring();
    last.highest = u32::MAX - 1;
    let last = last.with_entry(KeyRole::Value, 0, vec![wrapped("a", 1)]).unwrap();
    assert_eq!(RingDocument::decode(&last.to_bytes()).unwrap().value_key(), u32::MAX);
    let (kind, text) = refused(last.with_entry(KeyRole::Value, 0, vec![wrapped("a", 1)]));
    assert!(kind == LimitExceeded && text.contains("no number left"), "{text}");
}

//
#[test]
fn the_newest_key_of_a_role_cannot_be_retired() {
    for (number, told) in [
        (9, "newest value key"),
        (4, "newest index key"),
        (2, "there is no key 2 in this ring: it has 1, 4, 9"),
        (12, "there is no key 12"),
        (0, "there is no key 0"),
    ] {
        let (kind, text) = refused(ring().retire(number));
        assert!(kind == InvalidInput && text.contains(told), "{number}: {text}");
    }
    assert_eq!(ring().retire(1).unwrap().entries()[..], ring().entries()[1..]);
}
