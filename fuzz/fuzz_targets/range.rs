//! Ranges of a message that is changed as the input says: each is part of the plaintext or an
//! error, a length is reported only if it is right, both readers agree, and an unchanged message
//! can be read completely. And the arithmetic of lengths and ranges, for any numbers.

#![no_main]

mod script;
mod vectors;

use libfuzzer_sys::fuzz_target;
use ncp_envelope::blocking::wait;
use ncp_envelope::format::{CHUNK_LEN, Header, PREAMBLE_LEN, SEALED_CHUNK_LEN, range};
use ncp_envelope::io::{AsyncRangeReader, GetRange, RangeReader};
use ncp_envelope::wrap::BoxFuture;
use ncp_envelope::{DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind};
use script::{Script, change};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::LazyLock;

/// Some chunks come with the first read, and some do not.
const LEN: usize = 7 * CHUNK_LEN + 1_000;

struct Sample {
    envelope: Envelope,
    plaintext: Vec<u8>,
    message: Vec<u8>,
    chunks: usize,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let envelope = Envelope::builder(vectors::wrapper()).build().expect("an envelope");
    let plaintext: Vec<u8> =
        (0..LEN as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let message = vectors::ready(envelope.encrypt(&plaintext, EncryptionContext::new()));
    let message = message.expect("a message");
    let header = Header::decode(&message).expect("a header");
    Sample { chunks: header.bound().body_offset() + PREAMBLE_LEN, envelope, plaintext, message }
});

struct Memory(Vec<u8>);

impl GetRange for Memory {
    type Bytes = Vec<u8>;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        let end = self.0.len().min(range.end as usize);
        Box::pin(async move { Ok(self.0[range.start as usize..end].to_vec()) })
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async { Ok(self.0.len() as u64) })
    }
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    arithmetic(&mut script);
    let sample = &*SAMPLE;
    let (front, chunks) = sample.message.split_at(sample.chunks);
    let damaged = [front, &change(chunks, &mut script)].concat();
    let policy = DecryptPolicy::new();
    let reader = vectors::ready(sample.envelope.range_reader(&damaged[..], &policy));
    let remote = sample.envelope.async_range_reader(Memory(damaged.clone()), &policy);
    let (reader, remote) = (reader.expect("the front is whole"), wait(remote).expect("no runtime"));
    let remote = remote.expect("the front is whole");
    let same = damaged == sample.message;

    for _ in 0..1 + script.next(6) {
        one(&reader, &remote, sample, &mut script, same);
    }
    match reader.len() {
        Ok(len) => assert_eq!(len, LEN as u64, "a length that was never written"),
        Err(error) => refused(&error, same),
    }
    cursor(&reader, sample, &mut script, same);
});

/// An error, which only damage may cause.
fn refused(error: &Error, same: bool) {
    assert!(!same, "refused: {error}");
    assert!(matches!(error.kind(), ErrorKind::Authentication | ErrorKind::Truncated), "{error:?}");
}

fn one(
    reader: &RangeReader<&[u8]>,
    remote: &AsyncRangeReader<Memory>,
    sample: &Sample,
    script: &mut Script<'_>,
    same: bool,
) {
    let (at, len) = (script.next(LEN + 20_000), script.next(4 * CHUNK_LEN));
    let (start, end) = (at as u64, (at + len) as u64);
    let there = sample.plaintext.get(at..at + len);
    let kind = script.next(4);
    let (one, other) = match kind {
        0 => (reader.read_at(start, len as u64), wait(remote.read_at(start, len as u64))),
        1 => (reader.read(start..end), wait(remote.read(start..end))),
        2 => (reader.read_last(len as u64), wait(remote.read_last(len as u64))),
        _ => {
            let again = script.next(LEN) as u64;
            let ranges = [start..end, again..again, 0..1];
            let gap = script.next(3 * SEALED_CHUNK_LEN) as u64;
            let first = |mut all: Vec<_>| all.swap_remove(0);
            let one = reader.clone().merge_gap(gap).read_many(&ranges).map(first);
            let other = wait(remote.clone().merge_gap(gap).read_many(&ranges));
            (one, other.map(|other| other.map(first)))
        }
    };
    let expected = match kind {
        1 => sample.plaintext.get(at..LEN.min(at + len)).filter(|_| at < LEN),
        2 => sample.plaintext.get(LEN - len.min(LEN)..),
        _ => there,
    };
    match (one, other.expect("no runtime")) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other, "two readers");
            assert_eq!(Some(&one[..]), expected, "bytes that were never written");
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.to_string(), other.to_string());
            if one.kind() == ErrorKind::InvalidInput {
                assert!(expected.is_none(), "refused: {one}");
            } else {
                refused(&one, same);
            }
        }
        (one, other) => panic!("{:?} and {:?}", one.map(drop), other.map(drop)),
    }
}

fn cursor(reader: &RangeReader<&[u8]>, sample: &Sample, script: &mut Script<'_>, same: bool) {
    let mut cursor = reader.cursor();
    let mut at = script.next(LEN + 100);
    cursor.seek(SeekFrom::Start(at as u64)).expect("a place");
    for _ in 0..8 {
        let mut buf = vec![0xEE; 1 + script.next(3 * CHUNK_LEN)];
        match cursor.read(&mut buf) {
            Ok(0) => return assert!(at >= LEN, "an end that is none"),
            Ok(len) => {
                assert_eq!(Some(&buf[..len]), sample.plaintext.get(at..at + len));
                at += len;
            }
            Err(error) => return refused(&Error::inside(&error).expect("one of ours"), same),
        }
    }
}

/// Any numbers, often those around the ends of chunks and of the type's range.
fn number(script: &mut Script<'_>) -> u64 {
    let by = script.next(40) as u64;
    match script.next(4) {
        0 => u64::MAX - by,
        1 => (script.next(1 << 20) as u64) << script.next(45),
        2 => script.next(1 << 20) as u64 * CHUNK_LEN as u64 + by,
        _ => script.next(1 << 20) as u64 * SEALED_CHUNK_LEN as u64 + 56 + by,
    }
}

fn arithmetic(script: &mut Script<'_>) {
    let (body, offset, len) = (number(script), number(script), number(script));
    let Ok(total) = range::plaintext_len(body) else { return };
    assert_eq!(range::body_len(total).expect("it has one"), body);
    match range::covering(offset, len, total) {
        Ok(run) => {
            let end = offset.checked_add(len).expect("it is in the message");
            assert!(end <= total && run.count > 0);
            assert_eq!(run.offset, range::chunk_offset(run.first));
            assert!(run.offset + run.len <= body && run.skip < CHUNK_LEN as u64);
            assert_eq!(run.first * CHUNK_LEN as u64 + run.skip, offset);
            let plain = run.len - run.count * 16;
            assert!(run.skip + len <= plain && plain < run.skip + len + 2 * CHUNK_LEN as u64);
        }
        Err(_) => assert!(offset.checked_add(len).is_none_or(|end| end > total)),
    }
}
