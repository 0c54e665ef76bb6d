//! Ranges all over a message that is larger than anybody wants to read.

use crate::common::{counting_envelope, envelope};
use crate::kit::{Counted, Numbers, both};
use crate::made::{Made, content};
use ncp_envelope::format::{CHUNK_LEN, Layout, Profile, SEALED_CHUNK_LEN};
use ncp_envelope::io::{DetachedSource, DetachedWriter, ReadAt};
use ncp_envelope::{DecryptPolicy, EncryptOptions, EncryptionContext};
use std::fs::File;
use std::io::{self, Read, Write};

const CHUNK: u64 = CHUNK_LEN as u64;
const TWO_GIB: u64 = 2 << 30;
/// What is read before the first range.
const FIRST_READ: u64 = 64 << 10;

/// 1,000 ranges at random, of all lengths up to 1 MiB.
fn random(len: u64) -> Vec<(u64, u64)> {
    let mut numbers = Numbers(0x4E43_5045_0013);
    (0..1_000)
        .map(|_| {
            let longest = (1_u64 << numbers.below(21)).min(len);
            let range = numbers.below(longest + 1);
            (numbers.below(len - range + 1), range)
        })
        .collect()
}

/// Every boundary of the first and the last three chunks, one byte before and one behind it, to
/// every such place nearby.
fn boundaries(len: u64) -> Vec<(u64, u64)> {
    let last = len / CHUNK;
    let edges =
        (0..=3).chain(last.saturating_sub(2)..=last).map(|chunk| chunk * CHUNK).chain([len]);
    let near = |edge: u64| [edge.saturating_sub(1), edge, edge + 1];
    let places: Vec<_> = edges.flat_map(near).filter(|place| *place <= len).collect();
    let to = |from: u64| places.iter().map(move |to| (from, to.saturating_sub(from)));
    places.iter().flat_map(|from| to(*from)).filter(|(_, len)| *len < 5 * CHUNK).collect()
}

/// Whether `range` bytes cost no more than themselves, two chunks and the tags of those between.
fn is_worth(read: u64, range: u64) -> bool {
    let tags = range / CHUNK * 16;
    read <= range + tags + 2 * SEALED_CHUNK_LEN as u64
}

/// All of these ranges with every way to read them, from a source that counts.
fn reads<S: ReadAt>(source: S, policy: &DecryptPolicy, len: u64, ranges: &[(u64, u64)]) {
    let (envelope, wrapper) = counting_envelope();
    let source = Counted::new(source);
    let readers = both(&envelope, &source, policy).unwrap();
    assert_eq!(wrapper.calls(), 2);
    assert!(source.bytes() <= 2 * FIRST_READ);
    for reader in &readers {
        for &(at, range) in ranges {
            assert!(*reader.at(at, range).unwrap() == content(at, range), "{range} at {at}");
            let read = source.bytes();
            assert!(is_worth(read, range), "{range} at {at}: {read}");
        }
        assert_eq!(reader.length().unwrap(), len);
        assert!(*reader.last(100_000).unwrap() == content(len - 100_000, 100_000));
        let past = reader.at(len - 5, 6).unwrap_err();
        assert!(past.to_string().contains(&format!("past the end at {len}")), "{past}");
        assert!(*reader.from(len - 5, Some(len + 9)).unwrap() == content(len - 5, 5));
        assert!(is_worth(source.bytes(), 100_000));
    }
    // A file is asked for its key once, whatever is read.
    assert_eq!(wrapper.calls(), 2);
}

#[test]
fn ranges_of_2_gib_are_those_of_the_plaintext() {
    for (profile, len) in [(Profile::Compact, TWO_GIB), (Profile::Page, TWO_GIB + 12_345)] {
        let ranges = [random(len), boundaries(len)].concat();
        reads(Made::new(profile, len), &DecryptPolicy::new(), len, &ranges);
    }
}

// F-13
#[test]
fn ranges_of_a_detached_body_are_those_of_the_plaintext() {
    /// The body of a message, which is all that is counted as read.
    struct Body(Made);
    impl ReadAt for Body {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.read_at(buf, offset + self.0.body)
        }
        fn len(&self) -> io::Result<u64> {
            Ok(ReadAt::len(&self.0)? - self.0.body)
        }
    }
    let made = Made::new(Layout::from(Profile::Durable).detached(true), TWO_GIB - 1);
    let header = made.front()[..made.body as usize].to_vec();
    let source = DetachedSource::new(header, Body(made)).unwrap();
    let ranges = [random(TWO_GIB - 1), boundaries(TWO_GIB - 1)].concat();
    reads(source, &DecryptPolicy::new().detached(true), TWO_GIB - 1, &ranges);
}

/// The longest message that there can be (F-26).
#[test]
fn ranges_of_64_tib_are_those_of_the_plaintext() {
    let len = (64 << 40) - 1;
    let ranges = [&random(len)[..50], &boundaries(len)].concat();
    reads(Made::new(Profile::Compact, len), &DecryptPolicy::new(), len, &ranges);
}

/// Gives the plaintext that `content` is.
struct Content(u64, u64);

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = (self.1 - self.0).min(buf.len() as u64);
        buf[..len as usize].copy_from_slice(&content(self.0, len));
        self.0 += len;
        Ok(len as usize)
    }
}

/// Through files, written by the crate.
fn files(len: u64) {
    let (envelope, dir) = (envelope().blocking(), tempfile::tempdir().unwrap());
    let create = |name: &str| File::create(dir.path().join(name)).unwrap();
    let open = |name: &str| File::open(dir.path().join(name)).unwrap();
    let ranges = [random(len), boundaries(len)].concat();

    let context = EncryptionContext::new();
    envelope.encrypt_stream(Content(0, len), create("message"), context).unwrap();
    reads(open("message"), &DecryptPolicy::new(), len, &ranges);
    std::fs::remove_file(dir.path().join("message")).unwrap();

    let layout = Layout::from(Profile::Compact).detached(true);
    let sink = DetachedWriter::new(Vec::new(), create("body"));
    let options = EncryptOptions::new().layout(layout);
    let report = envelope.encrypt_stream(Content(0, len), sink, options).unwrap();
    let (header, mut body) = report.sink.into_parts();
    body.flush().unwrap();
    let source = DetachedSource::new(header, open("body")).unwrap();
    reads(source, &DecryptPolicy::new().detached(true), len, &ranges);
}

#[test]
fn ranges_of_files_are_those_of_the_plaintext() {
    files((20 << 20) + 321);
}

/// By itself: it writes 2 GiB twice.
#[test]
#[ignore = "takes 2 GiB of disk"]
fn ranges_of_files_of_2_gib_are_those_of_the_plaintext() {
    files(TWO_GIB);
}
