//! Any bytes as a header: no panic, no second encoding of anything that is accepted (F-2), and no
//! trust in a length (F-1).

#![no_main]

#[path = "../../tests/format/canonical_form.rs"]
mod canonical;

use libfuzzer_sys::fuzz_target;
use ncp_envelope::format::{BoundHeader, Header, MAX_REGION_LEN};

fuzz_target!(|message: &[u8]| {
    look(message);
    // Nearly every mutation of the slots fails at their checksum; with a correct one it reaches
    // their content.
    let mut repaired = message.to_vec();
    canonical::repair_checksums(&mut repaired);
    if repaired != message {
        look(&repaired);
    }
});

fn look(message: &[u8]) {
    let len = Header::len_from(message);
    let header = Header::decode(message);
    if let Ok(len) = len {
        assert!(len <= 3 * MAX_REGION_LEN, "F-8, F-9: a header claims {len} bytes");
        assert!(message.len() >= len || header.is_err(), "more was decoded than there is");
    }
    if let Ok(header) = &header {
        assert_eq!(
            len.ok(),
            Some(header.bound().body_offset()),
            "two opinions about where the body starts"
        );
        canonical::check(message, header);
        // Bytes after the regions do not matter, and the bound header alone is one.
        assert!(
            Header::decode(&message[..header.bound().body_offset()])
                .is_ok_and(|again| again == *header)
        );
        assert!(
            BoundHeader::decode(header.bound().as_bytes())
                .is_ok_and(|again| again == *header.bound())
        );
    }
    if let Ok(sealed) = BoundHeader::decode(message) {
        assert_eq!(canonical::region_a(&sealed), message, "region A has a second encoding");
    }
}
