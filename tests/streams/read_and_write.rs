//! Readers and writers over I/O that behaves as I/O does: in pieces, interrupted, and failing.

use crate::common::{block_on, counting_envelope, envelope, sample};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{DecryptPolicy, EncryptOptions, EncryptionContext, Error, ErrorKind};
use std::io::{self, BufRead, BufReader, Read, Write};

const LENGTHS: [usize; 9] = [0, 1, 16_383, 16_384, 16_385, 32_768, 262_143, 262_144, (1 << 20) + 7];

/// Hands out and takes a few bytes at a time, and is interrupted every third time.
struct Awkward<T> {
    inner: T,
    turn: usize,
    most: usize,
}

impl<T> Awkward<T> {
    fn new(inner: T, most: usize) -> Self {
        Self { inner, turn: 0, most }
    }

    fn next(&mut self, len: usize) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            Err(io::ErrorKind::Interrupted.into())
        } else {
            Ok(len.min(1 + self.turn * 37 % self.most))
        }
    }
}

impl<T: Read> Read for Awkward<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.next(buf.len())?;
        self.inner.read(&mut buf[..len])
    }
}

impl<T: Write> Write for Awkward<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = self.next(buf.len())?;
        self.inner.write(&buf[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

// F-24
#[test]
fn every_length_round_trips_through_pieces_of_any_size() {
    let envelope = envelope();
    for len in LENGTHS {
        let plaintext = sample(len);
        for piece in [1 << 20, 16_384, 10_000, 999] {
            let mut writer = block_on(
                envelope.writer(Awkward::new(Vec::new(), 50_000), EncryptionContext::new()),
            )
            .unwrap();
            for part in plaintext.chunks(piece) {
                writer.write_all(part).unwrap();
            }
            let message = writer.finish().unwrap().inner;
            assert_eq!(
                *block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap(),
                plaintext,
                "{len} in {piece}"
            );

            let source = BufReader::with_capacity(piece, Awkward::new(&message[..], 40_000));
            let mut reader = block_on(envelope.buf_reader(source, &DecryptPolicy::new())).unwrap();
            let (mut back, mut buffer) = (Vec::new(), vec![0; piece]);
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    read => back.extend_from_slice(&buffer[..read]),
                }
            }
            assert_eq!(back, plaintext, "{len} in {piece}");
            assert_eq!(reader.read(&mut buffer).unwrap(), 0, "the end stays the end");
        }
    }
}

#[test]
fn a_message_that_was_not_finished_does_not_open() {
    let envelope = envelope();
    for len in [0, 1, 16_384, 40_000] {
        let mut sink = Vec::new();
        let mut writer = block_on(envelope.writer(&mut sink, EncryptionContext::new())).unwrap();
        writer.write_all(&sample(len)).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let error = block_on(envelope.decrypt(&sink, &DecryptPolicy::new())).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{len}");
    }
}

/// Takes so many bytes, then the disk is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(buf.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_failed_stays_failed() {
    let envelope = envelope();
    let mut writer = block_on(envelope.writer(Full(40_000), EncryptionContext::new())).unwrap();
    writer.write_all(&sample(20_000)).unwrap();
    assert_eq!(writer.write_all(&sample(50_000)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(writer.write_all(b"more").is_err(), "a hole in the message would go unnoticed");
    assert_eq!(writer.finish().map(drop).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_reader_survives_a_time_out_and_not_a_forgery() {
    struct Stutter<'a>(&'a [u8], bool);
    impl Read for Stutter<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl BufRead for Stutter<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            self.1 = !self.1;
            if self.1 {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(&self.0[..self.0.len().min(5_000)])
            }
        }
        fn consume(&mut self, amount: usize) {
            self.0 = &self.0[amount..];
        }
    }

    let (envelope, plaintext) = (envelope(), sample(40_000));
    let mut message = block_on(envelope.encrypt(&plaintext, EncryptionContext::new())).unwrap();
    let read = |message: &[u8]| {
        let mut reader =
            block_on(envelope.buf_reader(Stutter(message, false), &DecryptPolicy::new())).unwrap();
        let (mut back, mut buffer) = (Vec::new(), [0; 1_000]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return (back, None),
                Ok(len) => back.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    assert!(reader.read(&mut buffer).is_err(), "the error stays");
                    return (back, Error::inside(&error));
                }
            }
        }
    };
    let (back, error) = read(&message);
    assert!(back == plaintext && error.is_none());
    let last = message.len() - 1;
    message[last] ^= 1;
    let (back, error) = read(&message);
    assert_eq!(error.unwrap().kind(), ErrorKind::Authentication);
    assert_eq!(back, plaintext[..32_768]);
}

// One call to wrap, none more for any number of bytes; one to unwrap, and with a cache one for many
// reads.
#[test]
fn key_service_calls_are_counted() {
    let (envelope, wrapper) = counting_envelope();
    let mut writer = block_on(envelope.writer(Vec::new(), EncryptOptions::new())).unwrap();
    writer.write_all(&sample(1 << 20)).unwrap();
    let message = writer.finish().unwrap();
    assert_eq!(wrapper.calls(), 1);
    for _ in 0..3 {
        block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap();
    }
    assert_eq!(wrapper.calls(), 4);

    let limits = ncp_envelope::CacheLimits::new(std::time::Duration::from_secs(300));
    let cached = ncp_envelope::Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
    for _ in 0..3 {
        block_on(cached.decrypt(&message, &DecryptPolicy::new())).unwrap();
    }
    assert_eq!(wrapper.calls(), 5);
    // The policy is asked again although the key is there.
    let strict = DecryptPolicy::new().require("tenant", "42");
    assert_eq!(
        block_on(cached.decrypt(&message, &strict)).map(drop).unwrap_err().kind(),
        ErrorKind::NotAccepted
    );
}

#[test]
fn every_wrapper_conforms() {
    let wrapper = crate::common::Counting::new("conformance", [1; 32]);
    block_on(ncp_envelope::wrap::conformance::check(&wrapper)).unwrap();
}

/// Answers the first unwrap with another data key of the same scope.
#[derive(Debug)]
struct Mistaken {
    inner: crate::common::Counting,
    other: ncp_envelope::DataKey,
}

impl ncp_envelope::KeyWrapper for Mistaken {
    fn key_id(&self) -> &ncp_envelope::KeyId {
        self.inner.key_id()
    }
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [ncp_envelope::wrap::KeyPayload],
    ) -> ncp_envelope::wrap::BoxFuture<'a, ncp_envelope::Result<Vec<ncp_envelope::WrappedKey>>>
    {
        self.inner.wrap_keys(payloads)
    }
    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [ncp_envelope::WrappedKey],
    ) -> BoxFuture<'a, ncp_envelope::Result<Vec<KeyPayload>>> {
        let first = self.inner.calls() == 1;
        Box::pin(async move {
            let right = self.inner.unwrap_keys(wrapped).await?;
            Ok(if first { vec![crate::common::payload(&self.other, "")] } else { right })
        })
    }
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [ncp_envelope::WrappedKey],
    ) -> ncp_envelope::wrap::BoxFuture<'a, ncp_envelope::Result<Vec<ncp_envelope::WrappedKey>>>
    {
        self.inner.rewrap_keys(wrapped)
    }
}

// F-22: the commitment finds the mistake, and the cache does not keep it.
#[test]
fn a_key_that_does_not_open_its_message_is_not_kept() {
    let inner = crate::common::Counting::new(crate::common::KEY_ID, crate::common::KEK);
    let wrapper =
        Mistaken { inner: inner.clone(), other: ncp_envelope::DataKey::generate().unwrap() };
    let limits = ncp_envelope::CacheLimits::new(std::time::Duration::from_secs(300));
    let envelope = ncp_envelope::Envelope::builder(wrapper).cache(limits).build().unwrap();
    let mut message = block_on(envelope.encrypt(b"x", EncryptOptions::new())).unwrap();
    let read =
        |message: &[u8]| block_on(envelope.decrypt(message, &DecryptPolicy::new())).map(drop);
    assert_eq!(read(&message).unwrap_err().kind(), ErrorKind::Authentication);
    assert!(read(&message).is_ok());
    assert_eq!(inner.calls(), 3);
    // And a forged message of the same slot does not drive the right key out.
    let last = message.len() - 20;
    message[last] ^= 1;
    assert_eq!(read(&message).unwrap_err().kind(), ErrorKind::Authentication);
    message[last] ^= 1;
    assert!(read(&message).is_ok());
    assert_eq!(inner.calls(), 3);
}
