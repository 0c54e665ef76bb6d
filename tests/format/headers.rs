//! Headers at the edges of what they may be, where another reading would be off by one.

use crate::canonical_form::repair_checksums;
use crate::common::{block_on, envelope};
use ncp_envelope::format::{
    BoundHeader, CopyState, FIXED_LEN, Header, MAX_REGION_LEN, PREAMBLE_LEN,
};
use ncp_envelope::{EncryptOptions, EncryptionContext, Error, ErrorKind};

fn message(durable: bool) -> Vec<u8> {
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    let options = EncryptOptions::new().context(context).durable(durable);
    block_on(envelope().encrypt(b"some data", options)).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error} should say {words:?}");
}

// F-8
#[test]
fn region_a_is_read_whole_and_alone() {
    for durable in [false, true] {
        let message = message(durable);
        let header = Header::decode(&message).unwrap();
        let bytes = header.bound().as_bytes();
        assert_eq!(&BoundHeader::decode(bytes).unwrap(), header.bound());
        for len in [0, 1, 7, FIXED_LEN - 1, FIXED_LEN, bytes.len() - 1] {
            refused(BoundHeader::decode(&bytes[..len]), ErrorKind::Truncated, "message is");
        }
        let more = &message[..=bytes.len()];
        refused(BoundHeader::decode(more), ErrorKind::Malformed, "bytes after the bound header");
    }
}

// F-3, F-24
#[test]
fn what_is_not_plaintext_is_counted() {
    for durable in [false, true] {
        let message = message(durable);
        let header = Header::decode(&message).unwrap();
        assert_eq!(header.overhead(1) as usize, message.len() - b"some data".len());
        let front = (header.bound().body_offset() + PREAMBLE_LEN) as u64;
        assert_eq!(header.overhead(0), front);
        assert_eq!(header.overhead(1 << 32), front + (1 << 36));
        assert_eq!(header.overhead(u64::MAX), u64::MAX);
    }
}

// F-8, F-9, F-10: the greatest that is allowed, and the next.
#[test]
fn caps_are_where_the_format_has_them() {
    let plain = message(false);
    let with = |at: usize, bytes: &[u8]| {
        let mut fixed = plain[..FIXED_LEN].to_vec();
        fixed[at..at + bytes.len()].copy_from_slice(bytes);
        Header::len_from(&fixed)
    };
    let own = |at: usize| u32::from_be_bytes(*plain[at..].first_chunk().unwrap()) as usize;
    let (region_a, copy) = (own(16), own(20));
    let most = MAX_REGION_LEN as u32;
    assert_eq!(with(16, &most.to_be_bytes()).unwrap(), MAX_REGION_LEN + copy);
    refused(with(16, &(most + 1).to_be_bytes()), ErrorKind::LimitExceeded, "claims 65537 bytes");
    assert_eq!(with(16, &24_u32.to_be_bytes()).unwrap(), FIXED_LEN + copy);
    refused(with(16, &23_u32.to_be_bytes()), ErrorKind::Malformed, "does not match its content");
    assert_eq!(with(20, &most.to_be_bytes()).unwrap(), region_a + MAX_REGION_LEN);
    refused(with(20, &(most + 64).to_be_bytes()), ErrorKind::LimitExceeded, "claim 65600 bytes");
    refused(with(20, &0_u32.to_be_bytes()), ErrorKind::Malformed, "multiple of their alignment");
    assert!(with(14, &64_u16.to_be_bytes()).is_ok());
    refused(with(14, &65_u16.to_be_bytes()), ErrorKind::LimitExceeded, "65 context pairs");
}

// F-18: of several copies that are not valid the first is told, and each has its own reason.
#[test]
fn each_copy_of_the_slots_has_its_own_state() {
    let durable = message(true);
    let header = Header::decode(&durable).unwrap();
    let (start, len) = (header.bound().as_bytes().len(), header.bound().copy_len());
    let broken = |copies: &[(usize, usize, u8)]| {
        let mut message = durable.clone();
        for (copy, at, value) in copies {
            message[start + copy * len + at] = *value;
        }
        repair_checksums(&mut message);
        Header::decode(&message)
    };
    let (no_generation, no_slots) = ((3, 0), (4, 0));
    let reasons = ["their generation is zero", "there are none"];
    for (first, second, reason) in
        [(no_generation, no_slots, reasons[0]), (no_slots, no_generation, reasons[1])]
    {
        let copies = [(0, first.0, first.1), (1, second.0, second.1)];
        refused(broken(&copies), ErrorKind::Malformed, reason);
    }
    let valid = |generation| CopyState::Valid { generation };
    let invalid =
        |reason: &str| CopyState::Invalid { reason: format!("key slots are malformed: {reason}") };
    for (copies, states, generation) in [
        (vec![], [valid(1), valid(1)], 1),
        (vec![(0, 3, 0)], [invalid(reasons[0]), valid(1)], 1),
        (vec![(1, 4, 0)], [valid(1), invalid(reasons[1])], 1),
        (vec![(0, 3, 7)], [valid(7), valid(1)], 7),
        (vec![(1, 3, 7)], [valid(1), valid(7)], 7),
    ] {
        let header = broken(&copies).unwrap();
        assert_eq!((header.copies(), header.slots().generation()), (&states[..], generation));
    }
    refused(broken(&[(1, 8, 1)]), ErrorKind::Malformed, "two copies of one generation differ");
}
