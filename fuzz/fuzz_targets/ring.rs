//! Any bytes as a key ring: no panic, no second encoding of anything that is accepted, and
//! every change of it is a ring again, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncp_envelope::fields::RingDocument;

fuzz_target!(|ring: &[u8]| {
    look(ring);
    // Nearly every mutation fails at the checksum; with a correct one it reaches the entries.
    if let Some((body, _)) = ring.split_last_chunk::<4>() {
        let repaired = [body, &crc32c::crc32c(body).to_be_bytes()].concat();
        if repaired != ring {
            look(&repaired);
        }
    }
});

fn look(bytes: &[u8]) {
    let Ok(ring) = RingDocument::decode(bytes) else { return };
    assert_eq!(ring.to_bytes(), bytes, "R-1: a ring has a second encoding");
    assert!((2..=1_024).contains(&ring.entries().len()));
    let newest = [ring.value_key(), ring.index_key()];
    for entry in ring.entries() {
        assert!((1..=ring.highest()).contains(&entry.number()));
        assert!((1..=16).contains(&entry.slots().len()));
        let _ = format!("{ring:?} {} {:?}", entry.role(), entry.created());
    }
    // A long ring is copied for each.
    for entry in ring.entries().iter().take(8) {
        match ring.retire(entry.number()) {
            Ok(less) => {
                assert!(!newest.contains(&entry.number()), "the newest key was retired");
                assert_eq!(newest, [less.value_key(), less.index_key()]);
                assert_eq!(less.highest(), ring.highest());
                assert!(RingDocument::decode(&less.to_bytes()).is_ok_and(|again| again == less));
            }
            Err(_) => assert!(newest.contains(&entry.number()), "an old key was not retired"),
        }
    }
}
