//! Slots that are replaced, headers of every layout, and bodies that are objects of their own.

use crate::canonical_form::{self, repair_checksums};
use crate::common::{KEY_ID, PROFILES, block_on, envelope, sample};
use ncp_envelope::format::{CopyState, Header, Layout, Profile};
use ncp_envelope::io::DetachedWriter;
use ncp_envelope::wrap::{Provider, ZoneHint};
use ncp_envelope::{
    DecryptPolicy, EncryptOptions, EncryptionContext, ErrorKind, Opened, WrappedKey,
};
use std::io::{Read, Write};

fn message(layout: impl Into<Layout>, plaintext: &[u8]) -> Vec<u8> {
    block_on(envelope().encrypt(plaintext, EncryptOptions::new().layout(layout))).unwrap()
}

fn opens(message: &[u8], plaintext: &[u8]) -> bool {
    match block_on(envelope().decrypt(message, &DecryptPolicy::new())) {
        Ok(opened) => {
            assert_eq!(opened, plaintext);
            true
        }
        Err(_) => false,
    }
}

/// The message after its slots were wrapped anew.
fn rewrapped(message: &[u8]) -> Vec<u8> {
    let header = Header::decode(message).unwrap();
    let slots = block_on(envelope().rewrap_keys(header.slots().slots()));
    let slots = slots.into_iter().map(Result::unwrap).collect();
    let replacement = header.replace_slots(slots).unwrap();
    let mut message = message.to_vec();
    message[replacement.offset..][..replacement.bytes.len()].copy_from_slice(&replacement.bytes);
    let header = Header::decode(&message).unwrap();
    canonical_form::check(&message, &header);
    assert_eq!(header.slots().generation(), replacement.generation);
    message
}

/// Sets the generation of one copy.
fn with_generation(message: &[u8], copy: usize, generation: u32) -> Vec<u8> {
    let header = Header::decode(message).unwrap();
    let at = header.bound().as_bytes().len() + copy * header.bound().copy_len();
    let mut message = message.to_vec();
    message[at..at + 4].copy_from_slice(&generation.to_be_bytes());
    repair_checksums(&mut message);
    message
}

fn generations(message: &[u8]) -> Vec<u32> {
    let header = Header::decode(message).unwrap();
    let generation = |copy: &CopyState| match copy {
        CopyState::Valid { generation } => *generation,
        _ => 0,
    };
    header.copies().iter().map(generation).collect()
}

// F-14, F-34: only the copy that does not count is written, and nothing else.
#[test]
fn a_replacement_leaves_region_a_the_body_and_the_copy_that_counts() {
    let plaintext = sample(20_000);
    for profile in PROFILES {
        let mut before = message(profile, &plaintext);
        let header = Header::decode(&before).unwrap();
        let start = header.bound().as_bytes().len();
        let len = header.bound().copy_len();
        for turn in 0..5 {
            let after = rewrapped(&before);
            assert!(opens(&after, &plaintext));
            // Fresh copies are alike, and the first counts; then they take turns.
            let copy = if profile == Profile::Durable { (turn + 1) % 2 } else { 0 };
            let written = start + copy * len..start + (copy + 1) * len;
            assert_eq!(before[..written.start], after[..written.start]);
            assert_eq!(before[written.end..], after[written.end..]);
            assert_ne!(before[written.clone()], after[written.clone()]);
            if profile == Profile::Durable {
                // Torn at any block or byte, the other copy counts.
                for cut in [written.start, written.start + 1, written.start + 200, written.end - 1]
                {
                    let torn = [&after[..cut], &before[cut..]].concat();
                    assert!(opens(&torn, &plaintext), "{turn} {cut}");
                }
            }
            before = after;
        }
        assert_eq!(Header::decode(&before).unwrap().slots().generation(), 6);
    }
}

// F-18, F-34: at its largest value and beyond.
#[test]
fn the_generation_after_the_largest_is_the_first_again() {
    let plaintext = sample(100);
    for profile in PROFILES {
        let copies = profile.copies();
        let mut message = message(profile, &plaintext);
        for copy in 0..copies {
            message = with_generation(&message, copy, u32::MAX - 1);
        }
        for expected in [u32::MAX, 1, 2, 3] {
            message = rewrapped(&message);
            assert!(opens(&message, &plaintext));
            assert_eq!(Header::decode(&message).unwrap().slots().generation(), expected);
        }
    }
    let durable = message(Profile::Durable, &plaintext);
    for (first, second, counts) in [
        (u32::MAX, 1, 1),
        (1, u32::MAX, 1),
        (u32::MAX, 2, u32::MAX),
        (2, u32::MAX, u32::MAX),
        (u32::MAX, u32::MAX - 1, u32::MAX),
        (1, 2, 2),
    ] {
        let message = with_generation(&with_generation(&durable, 0, first), 1, second);
        assert_eq!(generations(&message), [first, second]);
        assert_eq!(Header::decode(&message).unwrap().slots().generation(), counts);
    }
}

// F-18: two that were replaced at the same moment.
#[test]
fn of_two_copies_of_one_generation_the_first_counts() {
    let plaintext = sample(100);
    let fresh = message(Profile::Durable, &plaintext);
    let other = rewrapped(&fresh);
    let header = Header::decode(&fresh).unwrap();
    let (start, len) = (header.bound().as_bytes().len(), header.bound().copy_len());
    // Both of generation 2, wrapped apart.
    let both = [&other[..start], &rewrapped(&fresh)[start + len..start + 2 * len]].concat();
    let both = [&both[..], &other[start + len..]].concat();
    assert_eq!(generations(&both), [2, 2]);
    assert!(opens(&both, &plaintext));
    let copies = both[start..start + 2 * len].chunks(len).collect::<Vec<_>>();
    assert_ne!(copies[0], copies[1]);
    // Whichever is broken, the other one opens the message.
    for copy in 0..2 {
        let mut broken = both.clone();
        broken[start + copy * len + 20] ^= 1;
        assert!(opens(&broken, &plaintext));
    }
    // The second is the one to be written over.
    let next = rewrapped(&both);
    assert_eq!(generations(&next), [2, 3]);
    assert!(opens(&next, &plaintext));
    // The first counts, also where it opens nothing.
    let key_id = ncp_envelope::KeyId::new(Provider::Local, ZoneHint::None, KEY_ID).unwrap();
    let false_slot = WrappedKey::new(key_id, [1; 109]).unwrap();
    let mut spoiled = both;
    spoiled[start..start + len].copy_from_slice(&canonical_form::copy(2, &[false_slot], len));
    assert!(!opens(&spoiled, &plaintext));
}

// F-34
#[test]
fn slots_without_room_are_refused_and_a_page_has_room_for_many() {
    for (profile, most) in [(Profile::Compact, 1), (Profile::Durable, 16), (Profile::Page, 16)] {
        let plaintext = sample(10);
        let message = message(profile, &plaintext);
        let header = Header::decode(&message).unwrap();
        let slot = header.slots().slots()[0].clone();
        for count in 1..=16 {
            let replaced = header.replace_slots(vec![slot.clone(); count]);
            assert_eq!(replaced.is_ok(), count <= most, "{profile:?} {count}");
            if let Err(error) = replaced {
                assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            }
        }
        for count in [0, 17] {
            let refused = header.replace_slots(vec![slot.clone(); count]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
        }
    }
}

// F-9, F-14, F-19: where the body is says nothing of the context, until that needs more.
#[test]
fn a_page_ends_where_the_body_begins() {
    for (value, offset) in [(0, 4_096), (3_000, 4_096), (3_930, 8_192), (8_100, 12_288)] {
        let context = EncryptionContext::new().with("v", "x".repeat(value)).unwrap();
        let options = EncryptOptions::new().context(context).layout(Profile::Page);
        let message = block_on(envelope().encrypt(b"12345", options)).unwrap();
        let header = Header::decode(&message).unwrap();
        assert_eq!(header.bound().body_offset(), offset, "{value}");
        assert_eq!(message.len(), offset + 56 + 5 + 16);
    }
}

// F-17: a page has no second copy, so damage shows or changes nothing.
#[test]
fn every_damaged_byte_of_a_page_is_an_error_or_changes_nothing() {
    let plaintext = sample(100);
    let message = message(Profile::Page, &plaintext);
    let start = Header::decode(&message).unwrap().bound().as_bytes().len();
    let mut damaged = message.clone();
    for at in start..4_096 {
        for change in [1, 0x80, 0xFF] {
            damaged[at] ^= change;
            assert!(!opens(&damaged, &plaintext), "the checksum finds it");
            // Behind a checksum that was made to match.
            let mut forged = damaged.clone();
            repair_checksums(&mut forged);
            opens(&forged, &plaintext);
            damaged[at] ^= change;
        }
    }
}

// F-7
#[test]
fn two_profiles_at_once_are_refused() {
    for (profile, bit) in [(Profile::Durable, 8), (Profile::Page, 1)] {
        let mut message = message(profile, b"x");
        message[13] |= bit;
        let error = Header::decode(&message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("two profiles"), "{error}");
    }
}

// F-13
#[test]
fn header_and_body_apart_are_read_together_and_in_no_other_way() {
    let (plaintext, both) = (sample(40_000), DecryptPolicy::new().detached(true));
    for profile in PROFILES {
        let layout = Layout::from(profile).detached(true);
        let whole = message(layout, &plaintext);
        for step in [1, 7, 23, 24, 25, 4_096, whole.len()] {
            let mut sink = DetachedWriter::new(Vec::new(), Vec::new());
            whole.chunks(step).for_each(|part| sink.write_all(part).unwrap());
            sink.flush().unwrap();
            let (header, body) = sink.into_parts();
            assert_eq!(header.len(), Header::len_from(&whole).unwrap());
            assert_eq!([&header[..], &body].concat(), whole);
        }
        let (header, body) = whole.split_at(Header::len_from(&whole).unwrap());
        let decoded = Header::decode_detached(header).unwrap();
        assert_eq!(decoded.bound().layout(), layout);
        let reader = block_on(envelope().reader(header.chain(body), &both));
        let mut opened = Vec::new();
        reader.unwrap().read_to_end(&mut opened).unwrap();
        assert_eq!(opened, plaintext);

        let kind = |result: ncp_envelope::Result<Opened>| result.unwrap_err().kind();
        let behind = block_on(envelope().decrypt(&whole, &DecryptPolicy::new()));
        assert_eq!(kind(behind), ErrorKind::NotAccepted);
        let attached = message(profile, &plaintext);
        assert_eq!(kind(block_on(envelope().decrypt(&attached, &both))), ErrorKind::NotAccepted);
        let error = Header::decode_detached(&attached).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAccepted);
        let error = Header::decode_detached(&whole[..=header.len()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        // The flag is bound: turned over, header and body do not belong together.
        let mut turned = whole.clone();
        turned[13] ^= 2;
        let turned = block_on(envelope().decrypt(&turned, &DecryptPolicy::new()));
        assert_eq!(kind(turned), ErrorKind::Authentication);
        // The body of another message does not fit, nor this one's with a byte in front.
        let other = message(layout, &plaintext);
        for body in [&other[header.len()..], &[&[0], body].concat()] {
            let spliced = block_on(envelope().decrypt(&[header, body].concat(), &both));
            assert_eq!(kind(spliced), ErrorKind::Authentication);
        }
    }
}
