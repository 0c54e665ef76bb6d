//! A header read from a source: no byte behind it, and the refusals of one in memory.

use crate::common::{PROFILES, block_on, envelope, sample};
use ncp_envelope::format::Header;
use ncp_envelope::{EncryptOptions, EncryptionContext, Error, ErrorKind};
use std::io::{self, Read};

/// Gives a byte at a time, is interrupted before each, and fails where its bytes end.
struct Dripping<'a> {
    bytes: &'a [u8],
    interrupted: bool,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        match (self.interrupted, self.bytes) {
            (true, _) => Err(io::ErrorKind::Interrupted.into()),
            (false, []) => Err(io::Error::other("the line is dead")),
            (false, bytes) => {
                let len = bytes.len().min(buf.len()).min(1);
                buf[..len].copy_from_slice(&bytes[..len]);
                self.bytes = &bytes[len..];
                Ok(len)
            }
        }
    }
}

fn messages() -> Vec<Vec<u8>> {
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    let of = |profile| EncryptOptions::new().context(context.clone()).layout(profile);
    let seal = |profile| block_on(envelope().encrypt(&sample(40_000), of(profile))).unwrap();
    PROFILES.into_iter().map(seal).collect()
}

/// What reading from every kind of source says, as one.
fn read(bytes: &[u8]) -> Result<Header, (ErrorKind, String)> {
    let said = |error: Error| (error.kind(), error.to_string());
    let read = Header::read_from(bytes).map_err(said);
    #[cfg(feature = "tokio")]
    assert_eq!(block_on(Header::read_from_async(bytes)).map_err(said), read);
    read
}

#[test]
fn a_header_is_read_and_nothing_behind_it() {
    for message in messages() {
        let header = Header::decode(&message).unwrap();
        let len = header.bound().body_offset();
        assert_eq!(read(&message).unwrap(), header);
        assert_eq!(read(&message[..len]).unwrap(), header, "the end of the input is right there");
        let mut source = &message[..];
        assert_eq!(Header::read_from(&mut source).unwrap(), header);
        assert_eq!(source.len(), message.len() - len);
        // It would fail if it were asked for one byte more.
        let dripping = Dripping { bytes: &message[..len], interrupted: false };
        assert_eq!(Header::read_from(dripping).unwrap(), header);
        #[cfg(feature = "tokio")]
        {
            let mut source = &message[..];
            assert_eq!(block_on(Header::read_from_async(&mut source)).unwrap(), header);
            assert_eq!(source.len(), message.len() - len);
        }
    }
}

#[test]
fn a_header_that_is_cut_or_changed_is_refused_as_one_in_memory_is() {
    for message in messages() {
        let len = Header::len_from(&message).unwrap();
        let decoded =
            |bytes: &[u8]| Header::decode(bytes).map_err(|error| (error.kind(), error.to_string()));
        let step = (len / 500).max(1);
        for cut in (0..len).step_by(step).chain([1, 7, 8, 23, 24, 25, len - 1]) {
            assert!(read(&message[..cut]).is_err(), "{cut}");
            assert_eq!(read(&message[..cut]), decoded(&message[..cut]), "{cut}");
        }
        for at in (0..len).step_by(step).chain(0..24) {
            for bit in [1, 0x80] {
                let mut changed = message.clone();
                changed[at] ^= bit;
                assert_eq!(read(&changed), decoded(&changed), "{at}");
            }
        }
    }
}

#[test]
fn a_source_that_fails_is_no_header_that_is_cut() {
    let message = &messages()[0];
    for cut in [0, 5, 24, 100] {
        let dripping = Dripping { bytes: &message[..cut], interrupted: false };
        let error = Header::read_from(dripping).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{cut}");
        assert!(error.to_string().contains("the line is dead"), "{error}");
    }
}
