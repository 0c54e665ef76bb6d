//! Slots of several keys, and slots that one implementation replaces under the eyes of the other
//! (F-18, F-33, F-34).

use super::bench::{Bench, Stored, hex, kind, profile_name};
use crate::canonical_form::{self, repair_checksums};
use crate::common::{PROFILES, block_on, payload, sample};
use ncp_envelope::format::{BoundHeader, Encryptor, Header, Layout, Profile, SlotTable};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptionContext, Envelope, KeyWrapper, LocalKeyWrapper,
};
use serde_json::{Value, json};
use std::fs;

/// A key that both sides have.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Key {
    id: &'static str,
    kek: [u8; 32],
}

const KEYS: [Key; 3] = [
    Key { id: "korea", kek: [1; 32] },
    Key { id: "japan", kek: [2; 32] },
    Key { id: "a-safe", kek: [3; 32] },
];
const STRANGER: Key = Key { id: "stranger", kek: [4; 32] };
const IMPOSTOR: Key = Key { id: "japan", kek: [5; 32] };

impl Key {
    fn wrapper(self) -> LocalKeyWrapper {
        LocalKeyWrapper::new(self.id, &DataKey::copy_from(&self.kek)).unwrap()
    }

    fn envelope(self) -> Envelope {
        Envelope::builder(self.wrapper()).build().unwrap()
    }
}

fn listed(keys: &[Key]) -> Value {
    keys.iter().map(|key| json!([key.id, hex(&key.kek)])).collect()
}

/// Writes a message under all of [`KEYS`], by the second implementation or by the crate.
fn write(bench: &mut Bench, python: bool, plaintext: &[u8], layout: Layout) -> Stored {
    let stored = bench.stored(layout);
    if python {
        let plain = bench.file("plain");
        fs::write(&plain, plaintext).unwrap();
        let request = json!({
            "op": "encrypt",
            "keys": listed(&KEYS),
            "profile": profile_name(layout.profile()),
            "detached": stored.header,
            "in": plain,
            "out": stored.message,
        });
        bench.second.ask(&request).unwrap();
        return stored;
    }
    let key = DataKey::generate().unwrap();
    let wrap = |of: Key| block_on(of.wrapper().wrap_keys(&[payload(&key, "")])).unwrap().remove(0);
    let slots = SlotTable::new(KEYS.map(wrap).to_vec()).unwrap();
    let bound = BoundHeader::new(layout, &EncryptionContext::new(), false, &slots).unwrap();
    let mut encryptor = Encryptor::new(&key, &bound, &slots, b"").unwrap();
    let mut message = encryptor.front().to_vec();
    let mut chunks = vec![0; encryptor.update_len(plaintext.len())];
    encryptor.update(plaintext, &mut chunks).unwrap();
    let mut last = vec![0; encryptor.finish_len()];
    encryptor.finish(&mut last).unwrap();
    message.extend(chunks.into_iter().chain(last));
    stored.store(&message);
    stored
}

fn read_python(bench: &mut Bench, keys: &[Key], stored: &Stored) -> Result<Vec<u8>, String> {
    let out = bench.file("out");
    let request = json!({
        "op": "decrypt",
        "keys": listed(keys),
        "detached": stored.header,
        "in": stored.message,
        "out": out,
    });
    bench.second.ask(&request).map(|_| fs::read(&out).unwrap())
}

fn read_rust(key: Key, stored: &Stored) -> Result<Vec<u8>, String> {
    let policy = DecryptPolicy::new().detached(stored.header.is_some());
    block_on(key.envelope().decrypt(&stored.bytes(), &policy))
        .map(|plaintext| plaintext.to_vec())
        .map_err(kind)
}

/// Each key opens the message, here and there.
fn opens_for_all(bench: &mut Bench, stored: &Stored, plaintext: &[u8]) {
    for key in KEYS {
        assert!(read_rust(key, stored).as_deref() == Ok(plaintext), "{key:?}");
        assert!(read_python(bench, &[key], stored).as_deref() == Ok(plaintext), "{key:?}");
    }
}

fn layouts() -> impl Iterator<Item = Layout> {
    PROFILES
        .into_iter()
        .flat_map(|profile| [false, true].map(|detached| Layout::from(profile).detached(detached)))
}

// F-15, F-16, F-33
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn each_reader_finds_its_slot_among_those_of_others() {
    let mut bench = Bench::new();
    let plaintext = sample(20_000);
    for layout in layouts() {
        for python in [true, false] {
            let stored = write(&mut bench, python, &plaintext, layout);
            opens_for_all(&mut bench, &stored, &plaintext);
            for (key, refused) in [(STRANGER, "KeyNotAllowed"), (IMPOSTOR, "Authentication")] {
                let refused = Err(refused.to_owned());
                assert_eq!(read_rust(key, &stored), refused);
                assert_eq!(read_python(&mut bench, &[key], &stored), refused);
            }
            // One key that opens it is enough, wherever it stands.
            for keys in [&[IMPOSTOR, KEYS[0]], &[KEYS[2], IMPOSTOR], &[STRANGER, KEYS[1]]] {
                let read = read_python(&mut bench, keys, &stored);
                assert!(read.as_deref() == Ok(&plaintext), "{keys:?}");
            }
        }
    }
    bench.second.stop();
}

/// Wraps the slot of `key` anew in place, by the second implementation or by the crate.
fn rewrap(bench: &mut Bench, python: bool, key: Key, stored: &Stored) -> u32 {
    if python {
        let request = json!({ "op": "rewrap", "keys": listed(&[key]), "in": stored.slots() });
        let answer = bench.second.ask(&request).unwrap();
        return u32::try_from(answer["generation"].as_u64().unwrap()).unwrap();
    }
    let mut object = fs::read(stored.slots()).unwrap();
    let header = Header::decode(&object).unwrap();
    let mut slots = header.slots().slots().to_vec();
    let at = slots.iter().position(|slot| slot.key_id().id() == key.id).unwrap();
    slots[at] = block_on(key.envelope().rewrap_keys(&slots[at..=at])).remove(0).unwrap();
    let replacement = header.replace_slots(slots).unwrap();
    object[replacement.offset..][..replacement.bytes.len()].copy_from_slice(&replacement.bytes);
    fs::write(stored.slots(), object).unwrap();
    replacement.generation
}

/// Gives every copy of the slots this generation.
fn set_generation(stored: &Stored, generation: u32) {
    let mut message = stored.bytes();
    let bound = Header::decode(&message).unwrap().bound().clone();
    for copy in 0..bound.profile().copies() {
        let at = bound.as_bytes().len() + copy * bound.copy_len();
        message[at..at + 4].copy_from_slice(&generation.to_be_bytes());
    }
    repair_checksums(&mut message);
    stored.store(&message);
}

// F-14, F-18, F-34: in turns, past the largest generation.
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn each_reads_and_goes_on_from_what_the_other_rewrapped() {
    let mut bench = Bench::new();
    let plaintext = sample(20_000);
    let turns = [true, true, false, false, true, false, true];
    for layout in layouts() {
        for python in [true, false] {
            let stored = write(&mut bench, python, &plaintext, layout);
            set_generation(&stored, u32::MAX - 2);
            let generations = [u32::MAX - 1, u32::MAX, 1, 2, 3, 4, 5];
            for (turn, (by_python, expected)) in turns.into_iter().zip(generations).enumerate() {
                let key = KEYS[turn % KEYS.len()];
                let before = stored.bytes();
                let header = Header::decode(&before).unwrap();
                let same = header.replace_slots(header.slots().slots().to_vec()).unwrap();
                assert_eq!(rewrap(&mut bench, by_python, key, &stored), expected);
                let after = stored.bytes();
                let now = Header::decode(&after).unwrap();
                canonical_form::check(&after, &now);
                assert_eq!(now.slots().generation(), expected);
                // Only the copy that did not count was written, and in it one slot is another.
                let end = same.offset + same.bytes.len();
                assert_eq!(before[..same.offset], after[..same.offset]);
                assert!(before[end..] == after[end..]);
                for (old, new) in header.slots().slots().iter().zip(now.slots().slots()) {
                    assert_eq!(old.key_id(), new.key_id());
                    assert_eq!(old != new, old.key_id().id() == key.id, "{layout:?} {turn}");
                }
                opens_for_all(&mut bench, &stored, &plaintext);
            }
        }
    }
    bench.second.stop();
}

// F-18: one by each at the same moment.
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn both_let_the_first_of_two_copies_of_one_generation_count() {
    let mut bench = Bench::new();
    let plaintext = sample(100);
    let layout = Layout::from(Profile::Durable);
    for python_first in [true, false] {
        let stored = write(&mut bench, python_first, &plaintext, layout);
        let fresh = stored.bytes();
        let bound = Header::decode(&fresh).unwrap().bound().clone();
        let second = bound.as_bytes().len() + bound.copy_len()..bound.body_offset();
        let mut copies = [python_first, !python_first].map(|python| {
            stored.store(&fresh);
            rewrap(&mut bench, python, KEYS[0], &stored);
            stored.bytes()[second.clone()].to_vec()
        });
        for _ in 0..2 {
            let front = bound.as_bytes();
            let tied = [front, &copies[0], &copies[1], &fresh[second.end..]].concat();
            stored.store(&tied);
            let header = Header::decode(&tied).unwrap();
            assert_eq!(header.slots().generation(), 2);
            canonical_form::check(&tied, &header);
            opens_for_all(&mut bench, &stored, &plaintext);
            // The first stays, the second is written over.
            for python in [true, false] {
                stored.store(&tied);
                assert_eq!(rewrap(&mut bench, python, KEYS[1], &stored), 3);
                let after = stored.bytes();
                assert_eq!(after[..second.start], tied[..second.start]);
                assert_ne!(after[second.clone()], tied[second.clone()]);
                opens_for_all(&mut bench, &stored, &plaintext);
            }
            copies.reverse();
        }
    }
    bench.second.stop();
}

// F-34
#[test]
#[ignore = "needs the Python environment that .ci/run makes"]
fn a_key_of_no_slot_or_another_key_of_that_name_changes_nothing() {
    let mut bench = Bench::new();
    for layout in layouts() {
        let stored = write(&mut bench, true, &sample(10), layout);
        let before = stored.bytes();
        for (key, refused) in [(STRANGER, "KeyNotAllowed"), (IMPOSTOR, "Authentication")] {
            let request = json!({ "op": "rewrap", "keys": listed(&[key]), "in": stored.slots() });
            assert_eq!(bench.second.ask(&request).unwrap_err(), refused);
            let slots = Header::decode(&before).unwrap().slots().slots().to_vec();
            assert!(block_on(key.envelope().rewrap_keys(&slots)).iter().all(Result::is_err));
            assert!(stored.bytes() == before);
        }
    }
    bench.second.stop();
}
