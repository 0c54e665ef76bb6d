//! What ranges can be read from.

use crate::common::{envelope, sample};
use crate::kit::both;
use crate::made::{Made, content};
use ncp_envelope::format::{CHUNK_LEN, Layout, Profile};
use ncp_envelope::io::{DetachedSource, ReadAt, Seekable, SourceFile};
use ncp_envelope::{DecryptPolicy, Error, ErrorKind};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LEN: u64 = 20 * CHUNK_LEN as u64 + 99;

fn message() -> Vec<u8> {
    Made::new(Profile::Compact, LEN).message()
}

/// Reads the same from whatever it is.
fn reads(what: &str, source: impl ReadAt) {
    for reader in both(&envelope(), source, &DecryptPolicy::new()).unwrap() {
        for (at, len) in [(0, 1), (40_000, 200_000), (LEN - 100, 100), (0, LEN)] {
            assert!(*reader.at(at, len).unwrap() == content(at, len), "{what}: {len} at {at}");
        }
        assert_eq!(reader.length().unwrap(), LEN, "{what}");
    }
}

#[test]
fn memory_and_files_and_what_points_to_them_are_sources() {
    let message = message();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&message).unwrap();
    reads("a slice", &message[..]);
    reads("a vector", message.clone());
    reads("a reference", &message);
    reads("an Arc", Arc::<[u8]>::from(&message[..]));
    reads("an object", Box::new(message.clone()) as Box<dyn ReadAt>);
    reads("a file, wherever it stands", &file);
    reads("a file", file.try_clone().unwrap());
    reads("what can seek", Seekable::new(Cursor::new(message.clone())));
    #[cfg(unix)]
    assert_eq!(file.stream_position().unwrap(), message.len() as u64, "nobody moved it");
    reads("a file that can seek", Seekable::new(file));
    assert!(!message.is_empty() && !ReadAt::is_empty(&message).unwrap());
    let mut inner = Seekable::new(Cursor::new(message)).into_inner();
    assert_eq!(inner.seek(SeekFrom::End(0)).unwrap(), inner.get_ref().len() as u64);
}

#[test]
fn a_source_file_begins_where_it_was_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, [&sample(1_234)[..], &message()].concat()).unwrap();
    let mut file = File::open(&path).unwrap();
    file.seek(SeekFrom::Start(1_234)).unwrap();
    reads("behind something", SourceFile::from_file(file, "f").unwrap());
    // It stays what it was when it was opened.
    std::fs::write(&path, message()).unwrap();
    let source = SourceFile::open(&path).unwrap();
    let readers = both(&envelope(), source, &DecryptPolicy::new()).unwrap();
    File::options().append(true).open(&path).unwrap().write_all(&[7; 20_000]).unwrap();
    assert!(*readers[0].last(50).unwrap() == content(LEN - 50, 50));
    File::options().write(true).open(&path).unwrap().set_len(100_000).unwrap();
    let error = readers[1].last(50).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
}

#[cfg(unix)]
#[test]
fn what_has_no_length_has_no_ranges() {
    let (reader, mut writer) = io::pipe().unwrap();
    let feed = std::thread::spawn(move || writer.write_all(&message()));
    let file = File::from(std::os::fd::OwnedFd::from(reader));
    let source = SourceFile::from_file(file, "a pipe").unwrap();
    let error = both(&envelope(), source, &DecryptPolicy::new()).map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Io), "{error}");
    let _ = feed.join().unwrap();
}

/// Reads in pieces, is interrupted, and fails once.
struct Awkward(Vec<u8>, AtomicUsize);

impl ReadAt for Awkward {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let turn = self.1.fetch_add(1, Ordering::SeqCst);
        if turn == 40 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if turn % 3 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buf.len().min(1 + turn * 997 % 50_000);
        self.0.read_at(&mut buf[..len], offset)
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

#[test]
fn reads_in_pieces_are_put_together_and_a_failure_is_not_kept() {
    let source = Awkward(message(), AtomicUsize::new(0));
    let reader = envelope().blocking().range_reader(source, DecryptPolicy::new()).unwrap();
    let mut failures = 0;
    for turn in 0..100 {
        let at = turn * 3_000;
        match reader.read_at(at, 25_000) {
            Ok(bytes) => assert!(*bytes == content(at, 25_000)),
            Err(error) => {
                failures += 1;
                assert_eq!(error.kind(), ErrorKind::Io);
                assert!(error.to_string().starts_with("cannot read the message: "), "{error}");
            }
        }
    }
    assert_eq!((failures, reader.len().unwrap()), (1, LEN));
}

// F-13
#[test]
fn header_and_body_are_told_apart() {
    let policy = DecryptPolicy::new().detached(true);
    let whole = Made::new(Profile::Compact, 1_000);
    let apart = Made::new(Layout::from(Profile::Compact).detached(true), 1_000);
    let cut = |made: &Made| {
        let message = made.message();
        let (header, body) = message.split_at(made.body as usize);
        (header.to_vec(), body.to_vec())
    };
    let refused = |header: &[u8]| DetachedSource::new(header, [0_u8; 0]).unwrap_err().kind();
    let (header, body) = cut(&apart);
    let source = || DetachedSource::new(header.clone(), body.clone()).unwrap();
    for reader in both(&envelope(), source(), &policy).unwrap() {
        assert!(*reader.at(0, 1_000).unwrap() == content(0, 1_000));
    }
    assert_eq!(refused(&cut(&whole).0), ErrorKind::NotAccepted);
    assert_eq!(refused(&apart.message()), ErrorKind::Malformed);
    assert_eq!(refused(&header[..header.len() - 1]), ErrorKind::Truncated);
    assert_eq!(refused(b"no message at all here"), ErrorKind::Malformed);
    let not_expected = both(&envelope(), source(), &DecryptPolicy::new()).map(drop);
    assert_eq!(not_expected.unwrap_err().kind(), ErrorKind::NotAccepted);
    // The body of another message, and none.
    let other = Made::new(Layout::from(Profile::Durable).detached(true), 1_000);
    let mixed = DetachedSource::new(header.clone(), cut(&other).1).unwrap();
    let error = both(&envelope(), mixed, &policy).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    let alone = DetachedSource::new(header.clone(), Vec::new()).unwrap();
    let error = both(&envelope(), alone, &policy).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
}

/// As an I/O error, nothing is the end of a file that is not.
#[test]
fn a_cursor_over_half_a_message_does_not_end() {
    let message = message();
    let half = &message[..message.len() / 16_400 / 2 * 16_400 + 1_000];
    let reader = envelope().blocking().range_reader(half, DecryptPolicy::new()).unwrap();
    let error = reader.cursor().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(Error::inside(&error).unwrap().kind(), ErrorKind::Authentication);
}
