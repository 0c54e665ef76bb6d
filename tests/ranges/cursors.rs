//! A cursor over a message is one over its plaintext.

use crate::common::{block_on, envelope};
use crate::kit::Counted;
use crate::made::{Made, content};
use ncp_envelope::DecryptPolicy;
use ncp_envelope::format::{CHUNK_LEN, Profile};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};

const CHUNK: i64 = CHUNK_LEN as i64;

#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    Exact(usize),
    Start(u64),
    Current(i64),
    End(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![0..40_usize, 16_380..16_390_usize, 0..120_000_usize];
    let near = || {
        let edge = (-5..=5_i64, -3..4_i64).prop_map(|(chunk, by)| chunk * CHUNK + by);
        prop_oneof![edge, -90_000..90_000_i64]
    };
    prop_oneof![
        4 => len().prop_map(Step::Read),
        1 => len().prop_map(Step::Exact),
        2 => near().prop_map(|at| Step::Start(at.unsigned_abs())),
        2 => near().prop_map(Step::Current),
        2 => near().prop_map(Step::End),
        1 => prop_oneof![Just(u64::MAX), Just(1_u64 << 40)].prop_map(Step::Start),
    ]
}

fn read_all(reader: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

proptest! {
    #![proptest_config(Config {
        cases: 150,
        rng_seed: RngSeed::Fixed(0x4E43_5052),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn a_cursor_behaves_as_one_over_the_plaintext(
        len in prop_oneof![0..3_u64, 16_383..16_386_u64, 32_767..32_770_u64, 0..90_000_u64],
        steps in vec(step(), 1..30),
    ) {
        let message = Made::new(Profile::Compact, len).message();
        let policy = DecryptPolicy::new();
        let reader = block_on(envelope().range_reader(&message[..], &policy)).unwrap();
        let (mut ours, mut theirs) = (reader.cursor(), Cursor::new(content(0, len)));
        for step in steps {
            match step {
                // One read may bring less than there is, and brings something if there is any.
                Step::Read(most) => {
                    let mut buf = vec![0xEE; most];
                    let read = ours.read(&mut buf).unwrap();
                    let there = read_all(&mut theirs, read).unwrap();
                    prop_assert_eq!(&buf[..read], &there[..]);
                    prop_assert!(buf[read..].iter().all(|byte| *byte == 0xEE));
                    prop_assert!(read > 0 || most == 0 || theirs.position() >= len);
                }
                Step::Exact(most) => {
                    let ours = read_all(&mut ours, most).unwrap();
                    prop_assert_eq!(ours, read_all(&mut theirs, most).unwrap());
                }
                seek => {
                    let to = match seek {
                        Step::Start(at) => SeekFrom::Start(at),
                        Step::Current(by) => SeekFrom::Current(by),
                        Step::End(by) => SeekFrom::End(by),
                        Step::Read(_) | Step::Exact(_) => unreachable!(),
                    };
                    let (ours, theirs) = (ours.seek(to), theirs.seek(to));
                    prop_assert_eq!(ours.map_err(|e| e.kind()), theirs.map_err(|e| e.kind()));
                }
            }
            prop_assert_eq!(ours.stream_position().unwrap(), theirs.position());
        }
    }
}

/// Small reads that follow each other open each chunk once, and read it once.
#[test]
fn small_reads_share_a_chunk() {
    let len = 50 * CHUNK as u64 + 9;
    let source = Counted::new(Made::new(Profile::Compact, len));
    let reader = block_on(envelope().range_reader(&source, &DecryptPolicy::new())).unwrap();
    source.reads();
    let (mut cursor, mut all) = (reader.cursor(), Vec::new());
    let mut buf = [0; 100];
    while let read @ 1.. = cursor.read(&mut buf).unwrap() {
        all.extend_from_slice(&buf[..read]);
    }
    assert!(all == content(0, len));
    assert!(source.reads() <= 51);
    // Records of a few bytes, through a buffer.
    cursor.rewind().unwrap();
    let mut records = BufReader::new(cursor);
    let mut at = 0;
    while !records.fill_buf().unwrap().is_empty() {
        let mut record = [0; 5];
        let there = records.fill_buf().unwrap().len().min(5);
        records.read_exact(&mut record[..there]).unwrap();
        at += there as u64;
    }
    assert_eq!(at, len);
    // A chunk or more goes straight into the buffer, 1 MiB at a time.
    let mut large = vec![0; 2 << 20];
    let mut cursor = reader.cursor();
    source.reads();
    assert_eq!(cursor.read(&mut large).unwrap(), 50 * CHUNK as usize);
    assert!(source.reads() == 1 && large.starts_with(&content(0, 50 * CHUNK as u64)));
}

/// Two of them over one reader do not know of each other.
#[test]
fn cursors_have_positions_of_their_own() {
    let message = Made::new(Profile::Compact, 40_000).message();
    let reader = block_on(envelope().range_reader(&message[..], &DecryptPolicy::new())).unwrap();
    let (mut one, mut other) = (reader.cursor(), reader.cursor());
    one.seek(SeekFrom::End(-7)).unwrap();
    assert_eq!(read_all(&mut other, 10).unwrap(), content(0, 10));
    drop(reader);
    assert_eq!(read_all(&mut one, 10).unwrap(), content(39_993, 7));
}
