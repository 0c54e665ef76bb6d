//! Any header whose slots are replaced repeatedly, also by writes that stop halfway: the result is
//! a header with the requested slots, in the next generation, and no other bytes change (F-18,
//! F-34).

#![no_main]

#[path = "../../tests/format/canonical_form.rs"]
mod canonical;

use libfuzzer_sys::fuzz_target;
use ncp_envelope::WrappedKey;
use ncp_envelope::format::{Header, Profile};

fuzz_target!(|input: &[u8]| {
    // The last bytes choose the replacement, the others are the message.
    let Some((script, message)) = input.split_last_chunk::<8>().map(|(a, b)| (b, a)) else {
        return;
    };
    replace(message.to_vec(), script);
    let mut repaired = message.to_vec();
    canonical::repair_checksums(&mut repaired);
    if repaired != message {
        replace(repaired, script);
    }
});

fn replace(mut message: Vec<u8>, script: &[u8]) {
    for step in script {
        let Ok(header) = Header::decode(&message) else { return };
        let slots = changed(header.slots().slots(), *step);
        let Ok(new) = header.replace_slots(slots.clone()) else {
            assert_ne!(slots, header.slots().slots(), "what is there does not fit");
            continue;
        };
        let a = header.bound().as_bytes().len();
        let end = new.offset + new.bytes.len();
        assert!(a <= new.offset && end <= header.bound().body_offset(), "outside of region B");
        assert_eq!(new.bytes.len(), header.bound().copy_len());
        if header.bound().profile() == Profile::Durable {
            // A write that stops anywhere leaves a header, with the old slots or the new ones.
            let mut torn = message.clone();
            let cut = new.bytes.len() * usize::from(*step) / 256;
            torn[new.offset..][..cut].copy_from_slice(&new.bytes[..cut]);
            let torn = Header::decode(&torn).expect("a torn copy costs the message");
            assert!(torn.slots() == header.slots() || torn.slots().slots() == slots);
        }
        let before = message.clone();
        message[new.offset..end].copy_from_slice(&new.bytes);
        assert!(before[..new.offset] == message[..new.offset] && before[end..] == message[end..]);
        let again = Header::decode(&message).expect("a replaced header is one");
        canonical::check(&message, &again);
        assert_eq!(again.bound(), header.bound());
        assert_eq!(again.slots().slots(), slots);
        assert_eq!(again.slots().generation(), new.generation);
        let next = header.slots().generation().checked_add(1).unwrap_or(1);
        assert_eq!(new.generation, next);
    }
}

/// A variation of these slots: fewer, more, in another order, longer, or the same.
fn changed(slots: &[WrappedKey], step: u8) -> Vec<WrappedKey> {
    let mut slots = slots.to_vec();
    match step % 6 {
        0 => _ = slots.pop(),
        1 => slots.push(slots[0].clone()),
        2 => slots.reverse(),
        3 | 4 => {
            let mut bytes = slots[0].as_bytes().to_vec();
            bytes.resize((bytes.len() + usize::from(step)).min(1_024), step);
            bytes[0] ^= step;
            slots[0] = WrappedKey::new(slots[0].key_id().clone(), bytes).expect("1 to 1,024 bytes");
        }
        _ => {}
    }
    slots
}
