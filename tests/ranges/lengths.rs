//! Messages of few bytes, where everything is near the end.

use crate::common::{PROFILES, envelope};
use crate::kit::both;
use crate::made::{Made, content};
use ncp_envelope::{DecryptPolicy, ErrorKind};

const LENGTHS: [u64; 8] = [0, 1, 16_383, 16_384, 16_385, 32_768, 49_151, 100_000];

// F-24
#[test]
fn suffixes_are_right_at_every_length() {
    let envelope = envelope();
    for (len, profile) in LENGTHS.into_iter().flat_map(|len| PROFILES.map(|one| (len, one))) {
        // Fresh ones for each suffix, so that each comes to the end first.
        for n in [0, 1, 2, 16_383, 16_384, 16_385, 99_999, 100_000, 100_001, u64::MAX] {
            let message = Made::new(profile, len).message();
            for reader in both(&envelope, &message[..], &DecryptPolicy::new()).unwrap() {
                let n = n.min(len);
                assert!(*reader.last(n).unwrap() == content(len - n, n), "{n} of {len}");
                assert_eq!(reader.length().unwrap(), len);
            }
        }
    }
}

#[test]
fn ranges_end_where_the_message_does() {
    let envelope = envelope();
    for len in LENGTHS {
        let message = Made::new(PROFILES[0], len).message();
        for reader in both(&envelope, &message[..], &DecryptPolicy::new()).unwrap() {
            let near =
                [0, 1, 16_383, 16_384, 16_385, len.saturating_sub(1), len, len + 1, u64::MAX];
            for (from, to) in near.into_iter().flat_map(|from| near.map(|to| (from, to))) {
                let what = format!("{from}..{to} of {len}");
                // As HTTP has it.
                match reader.from(from, Some(to)) {
                    Ok(bytes) => {
                        assert!(from <= to && from <= len, "{what}");
                        let end = to.min(len);
                        assert!(*bytes == content(from, end - from), "{what}");
                    }
                    Err(error) => {
                        assert!(from >= len || from > to, "{what}: {error}");
                        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
                    }
                }
                // Exactly.
                let exact = reader.at(from, to.saturating_sub(from));
                let mut buf = vec![0xEE; 200_000.min(to.saturating_sub(from)) as usize];
                let filled = reader.fill(&mut buf, from);
                let many = reader.many(&[0..0, from..to, 0..len]);
                if from.max(to) <= len {
                    let bytes = content(from, to.saturating_sub(from));
                    assert!(*exact.unwrap() == bytes && filled.is_ok() && buf == bytes, "{what}");
                } else {
                    let error = exact.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
                    let said = format!("at {from} goes past the end at {len}");
                    assert!(error.to_string().contains(&said), "{what}: {error}");
                    assert!(filled.is_err() && buf.iter().all(|byte| *byte == 0), "{what}");
                }
                match many {
                    Ok(parts) => {
                        assert!(from <= to && to <= len && *parts[2] == content(0, len), "{what}");
                        assert!(parts[0].is_empty() && *parts[1] == content(from, to - from));
                    }
                    Err(error) => {
                        assert!(from > to || to > len, "{what}: {error}");
                        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
                    }
                }
            }
            assert!(*reader.from(0, None).unwrap_or_default() == content(0, len));
            assert_eq!(reader.from(0, None).is_err(), len == 0, "as HTTP has it");
            assert_eq!(reader.from(len, None).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
