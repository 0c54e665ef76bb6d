//! Headers at the edges of what they may be, where another reading would be off by one.

use crate::canonical_form::repair_checksums;
use crate::common::{PROFILES, block_on, envelope};
use ncp_envelope::format::{
    BoundHeader, CopyState, Encryptor, FIXED_LEN, Header, MAX_REGION_LEN, PREAMBLE_LEN, Profile,
    SlotTable,
};
use ncp_envelope::wrap::{Provider, ZoneHint};
use ncp_envelope::{
    DataKey, EncryptOptions, EncryptionContext, Error, ErrorKind, KeyId, WrappedKey,
};

fn message(profile: Profile) -> Vec<u8> {
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    let options = EncryptOptions::new().context(context).layout(profile);
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
    for profile in PROFILES {
        let message = message(profile);
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
    for profile in PROFILES {
        let message = message(profile);
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
    let plain = message(Profile::Compact);
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
    refused(with(20, &0_u32.to_be_bytes()), ErrorKind::Malformed, "does not fit their alignment");
    assert!(with(14, &64_u16.to_be_bytes()).is_ok());
    refused(with(14, &65_u16.to_be_bytes()), ErrorKind::LimitExceeded, "65 context pairs");

    // One pair that takes 8,192 bytes, and 8,193.
    let with_value = |len: u16| {
        let mut bytes = plain[..FIXED_LEN].to_vec();
        bytes[14..16].copy_from_slice(&1_u16.to_be_bytes());
        bytes[16..20].copy_from_slice(&(FIXED_LEN as u32 + 5 + u32::from(len)).to_be_bytes());
        bytes.extend([[0, 1], len.to_be_bytes()].concat());
        bytes.extend(vec![b'a'; 1 + usize::from(len)]);
        BoundHeader::decode(&bytes)
    };
    assert_eq!(with_value(8_187).unwrap().context().get("a").map(str::len), Some(8_187));
    refused(with_value(8_188), ErrorKind::LimitExceeded, "header is over a limit: its context");
}

// F-18: of several copies that are not valid the first is told, and each has its own reason.
#[test]
fn each_copy_of_the_slots_has_its_own_state() {
    let durable = message(Profile::Durable);
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
}

// F-19: a header has room for slots that fill it to the last byte, and for no more.
#[test]
fn slots_fit_the_room_of_a_header_or_are_refused() {
    let slot = |len: usize| {
        let id = KeyId::new(Provider::Local, ZoneHint::None, "key").unwrap();
        WrappedKey::new(id, vec![7; len]).unwrap()
    };
    let table = |lens: &[usize]| SlotTable::new(lens.iter().map(|len| slot(*len)).collect());
    let context = EncryptionContext::new();
    let bound = BoundHeader::new(Profile::Compact, &context, false, &table(&[60]).unwrap());
    let bound = bound.unwrap();
    assert_eq!(bound.copy_len(), 128);
    // The head, one or two slots, and the checksum.
    let (one, two) = (128 - 8 - 8 - 4, 128 - 8 - 2 * 8 - 4);
    let key = DataKey::generate().unwrap();
    for (lens, fits) in [
        (vec![one], true),
        (vec![one + 1], false),
        (vec![one + 200], false),
        (vec![two - 1, 1], true),
        (vec![two, 1], false),
        (vec![1_024; 16], false),
    ] {
        let slots = table(&lens).unwrap();
        match Encryptor::new(&key, &bound, &slots, b"") {
            Ok(encryptor) => {
                assert!(fits, "{lens:?}");
                assert_eq!(Header::decode(encryptor.front()).unwrap().slots(), &slots);
            }
            Err(error) => {
                assert!(!fits, "{lens:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::LimitExceeded);
                assert!(error.to_string().contains("has room for 128"), "{error}");
            }
        }
    }
    // All that there can be fits a header of its own.
    for profile in [Profile::Compact, Profile::Durable] {
        assert!(BoundHeader::new(profile, &context, false, &table(&[1_024; 16]).unwrap()).is_ok());
    }
    for lens in [vec![], vec![1; 17]] {
        assert_eq!(table(&lens).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}

// F-16: a hint is no part of what a key is, so that nothing else would notice.
#[test]
fn each_zone_has_its_code() {
    let zones = [
        ZoneHint::None,
        ZoneHint::Global,
        ZoneHint::Kr,
        ZoneHint::Jp,
        ZoneHint::Gov,
        ZoneHint::Fin,
    ];
    for (zone, code) in zones.into_iter().zip(0..) {
        let id = KeyId::new(Provider::NcpKms, zone, "key").unwrap();
        let slots = SlotTable::new(vec![WrappedKey::new(id, [7; 60]).unwrap()]).unwrap();
        let context = EncryptionContext::new();
        let bound = BoundHeader::new(Profile::Compact, &context, false, &slots).unwrap();
        let encryptor = Encryptor::new(&DataKey::generate().unwrap(), &bound, &slots, b"").unwrap();
        // Behind the head, and the provider.
        assert_eq!(encryptor.front()[bound.as_bytes().len() + 8 + 1], code);
        let header = Header::decode(encryptor.front()).unwrap();
        assert_eq!(header.slots().slots()[0].key_id().zone(), zone);
    }
}
