//! What is read, and how often.

use crate::common::{PROFILES, block_on, counting_envelope, envelope};
use crate::kit::{Counted, both};
use crate::made::{Made, content};
use ncp_envelope::format::{BoundHeader, CHUNK_LEN, Encryptor, Profile, SEALED_CHUNK_LEN};
use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope};
use std::time::Duration;

const CHUNK: u64 = CHUNK_LEN as u64;
const SEALED: u64 = SEALED_CHUNK_LEN as u64;

#[test]
fn the_first_read_is_one_and_what_it_brought_is_kept() {
    for profile in PROFILES {
        let source = Counted::new(Made::new(profile, 100 * CHUNK));
        let reader = block_on(envelope().range_reader(&source, &DecryptPolicy::new())).unwrap();
        assert_eq!((source.reads(), source.bytes()), (1, 65_536));
        assert_eq!(reader.context().get("kind"), Some("made"));
        let kept = (65_536 - source.inner.front().len() as u64) / SEALED;
        assert!(*reader.read_at(0, kept * CHUNK).unwrap() == content(0, kept * CHUNK));
        assert_eq!(source.reads(), 0);
        // Only the rest of the next one.
        assert!(*reader.read_at(kept * CHUNK, 1).unwrap() == content(kept * CHUNK, 1));
        let rest = source.inner.chunk_at(kept).end - 65_536;
        assert_eq!((source.reads(), source.bytes()), (1, rest));
    }
    // All of a short one, whatever is read of it.
    let source = Counted::new(Made::new(Profile::Compact, 3 * CHUNK));
    for reader in both(&envelope(), &source, &DecryptPolicy::new()).unwrap() {
        source.reads();
        assert!(*reader.last(u64::MAX).unwrap() == content(0, 3 * CHUNK));
        assert_eq!(source.reads(), 0);
    }
}

/// A header that does not fit the first read takes a second one.
// F-9
#[test]
fn a_header_of_any_length_is_read() {
    let key = DataKey::generate().unwrap();
    let slots = crate::common::slots(&key, 1);
    let context = EncryptionContext::new().with("kind", "made").unwrap();
    let bound = BoundHeader::new(Profile::Durable, &context, false, &slots).unwrap();
    for copy_len in [4_096_u32, 28_672, 32_768, 65_536] {
        // More room for slots than there is need for.
        let mut region_a = bound.as_bytes().to_vec();
        region_a[20..24].copy_from_slice(&copy_len.to_be_bytes());
        let bound = BoundHeader::decode(&region_a).unwrap();
        let encryptor = Encryptor::new(&key, &bound, &slots, b"").unwrap();
        let made = Made::behind(encryptor.front().to_vec(), &key, 2 * CHUNK + 5);
        let front = made.front().len() as u64;
        assert_eq!(front, 4_096 + 2 * u64::from(copy_len) + 56);
        let source = Counted::new(made);
        let reader = block_on(envelope().range_reader(&source, &DecryptPolicy::new())).unwrap();
        let reads = if front > 65_536 { 2 } else { 1 };
        assert!(source.reads() == reads && source.bytes() <= front.max(65_536), "{front}");
        assert!(*reader.read(..).unwrap() == content(0, 2 * CHUNK + 5));
        drop(reader);
        for reader in both(&envelope(), &source, &DecryptPolicy::new()).unwrap() {
            assert!(*reader.last(9).unwrap() == content(2 * CHUNK - 4, 9));
        }
    }
}

#[test]
fn neighbouring_ranges_are_read_together() {
    let len = 1_000 * CHUNK + 5;
    let source = Counted::new(Made::new(Profile::Compact, len));
    let (envelope, wrapper) = counting_envelope();
    let reader = block_on(envelope.range_reader(&source, &DecryptPolicy::new())).unwrap();
    source.reads();
    source.bytes();
    let at = |chunk: u64, len: u64| chunk * CHUNK + 9..chunk * CHUNK + 9 + len;
    let ranges =
        [at(70, 10), at(20, 10), at(20, 5), at(21, 9), at(23, CHUNK), at(24, 3), len - 9..len];
    for (gap, reads, bytes) in [(0, 5, 6 * SEALED + 21), (SEALED, 4, 7 * SEALED + 21)] {
        let reader = reader.clone().merge_gap(gap);
        let parts = reader.read_many(&ranges).unwrap();
        for (range, part) in ranges.iter().zip(&parts) {
            assert!(**part == content(range.start, range.end - range.start), "{range:?}");
        }
        // The last chunk is read once, by whoever comes first.
        let last = if gap == 0 { (0, 0) } else { (1, 21) };
        let (reads, bytes) = (reads - last.0, bytes - last.1);
        assert_eq!((source.reads() as u64, source.bytes()), (reads, bytes), "gap {gap}");
    }
    assert!(reader.read_many(&[]).unwrap().is_empty());
    assert_eq!(wrapper.calls(), 1);
}

/// A range of any length is read in pieces of 1 MiB.
#[test]
fn long_ranges_are_read_in_pieces() {
    let source = Counted::new(Made::new(Profile::Compact, 300 * CHUNK));
    let reader = block_on(envelope().range_reader(&source, &DecryptPolicy::new())).unwrap();
    source.reads();
    source.bytes();
    let bytes = reader.read_at(10 * CHUNK, 200 * CHUNK).unwrap();
    assert!(*bytes == content(10 * CHUNK, 200 * CHUNK));
    assert_eq!((source.reads(), source.bytes()), (4, 200 * SEALED));
}

/// With a cache, many readers of one message ask once, and the policy is asked for each.
#[test]
fn readers_share_the_cache() {
    let (_, wrapper) = counting_envelope();
    let limits = CacheLimits::new(Duration::from_secs(300));
    let cached = Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
    let message = Made::new(Profile::Compact, 10).message();
    for _ in 0..3 {
        both(&cached, &message[..], &DecryptPolicy::new()).unwrap();
    }
    assert_eq!(wrapper.calls(), 1);
    let strict = DecryptPolicy::new().require("kind", "other");
    assert!(both(&cached, &message[..], &strict).is_err());
}
