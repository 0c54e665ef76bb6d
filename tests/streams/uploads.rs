//! Readers that encrypt what they read.

use crate::common::{block_on, counting_envelope, envelope, sample};
use ncp_envelope::{DecryptPolicy, EncryptionContext, Error, ErrorKind};
use std::io::{self, Read};

const LENGTHS: [usize; 9] = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 300_000];
const ROOMS: [usize; 8] = [1, 100, 8_192, 16_399, 16_400, 40_000, 65_600, 1 << 20];

fn opened(message: &[u8]) -> Vec<u8> {
    block_on(envelope().decrypt(message, &DecryptPolicy::new())).unwrap().to_vec()
}

/// Reads to the end with a buffer of this size.
fn read_all(reader: &mut impl Read, room: usize) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(all),
            len => all.extend_from_slice(&buffer[..len]),
        }
    }
}

/// What the reads bring, in this order, and after that the end.
struct Script<'a>(Vec<Result<&'a [u8], io::ErrorKind>>);

impl Read for Script<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.first_mut() {
            None => Ok(0),
            Some(Ok(bytes)) => {
                let len = bytes.read(buf)?;
                if bytes.is_empty() {
                    let _ = self.0.remove(0);
                }
                Ok(len)
            }
            Some(Err(kind)) => {
                let error = (*kind).into();
                let _ = self.0.remove(0);
                Err(error)
            }
        }
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncRead for Script<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let len = self.read(buf.initialize_unfilled())?;
        buf.advance(len);
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn every_length_is_read_as_a_message_through_buffers_of_any_size() {
    let (envelope, wrapper) = counting_envelope();
    for len in LENGTHS {
        let plaintext = sample(len);
        for piece in [usize::MAX, 10_000, 999] {
            for room in ROOMS {
                if room == 1 && len > 70_000 {
                    continue;
                }
                let pieces = plaintext.chunks(piece.min(len.max(1))).map(Ok).collect();
                let calls = wrapper.calls();
                let mut reader =
                    block_on(envelope.encrypt_reader(Script(pieces), EncryptionContext::new()))
                        .unwrap();
                let message = read_all(&mut reader, room).unwrap();
                assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0, "the end stays the end");
                assert_eq!(wrapper.calls(), calls + 1);
                assert!(opened(&message) == plaintext, "{len} in {piece} through {room}");
            }
        }
    }
}

#[test]
fn a_source_that_breaks_off_never_becomes_a_message() {
    use io::ErrorKind::{ConnectionReset, UnexpectedEof};
    let (envelope, plaintext) = (envelope(), sample(40_000));
    for kind in [ConnectionReset, UnexpectedEof] {
        for before in [0, 1, 16_384, 40_000] {
            // It says next that it is at its end.
            let script = || Script(vec![Ok(&plaintext[..before.max(1)]), Err(kind)]);
            let start = envelope.encrypt_reader(script(), EncryptionContext::new());
            let mut reader = block_on(start).unwrap();
            let error = read_all(&mut reader, 8_192).unwrap_err();
            // Code that reads records would take that for their end.
            assert_ne!(error.kind(), UnexpectedEof);
            for _ in 0..2 {
                let error = reader.read(&mut [0; 100]).unwrap_err();
                assert_eq!(Error::inside(&error).unwrap().kind(), ErrorKind::Io, "{error}");
            }
        }
    }
}

#[test]
fn a_source_that_would_block_is_read_on() {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    let plaintext = sample(40_000);
    let script = [WouldBlock, TimedOut, Interrupted]
        .into_iter()
        .flat_map(|kind| plaintext.chunks(9_000).flat_map(move |part| [Err(kind), Ok(part)]));
    let source = Script(script.collect());
    let mut reader = block_on(envelope().encrypt_reader(source, EncryptionContext::new())).unwrap();
    let (mut message, mut buffer, mut again) = (Vec::new(), [0; 20_000], 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => message.extend_from_slice(&buffer[..len]),
            Err(error) => {
                assert!([WouldBlock, TimedOut].contains(&error.kind()), "{error}");
                again += 1;
            }
        }
    }
    assert_eq!(again, 10, "an interrupted read is not the caller's matter");
    assert!(opened(&message) == plaintext.repeat(3));
}

#[cfg(feature = "tokio")]
#[test]
fn tokio_uploads_are_the_same() {
    use tokio::io::AsyncReadExt;
    for len in LENGTHS {
        let plaintext = sample(len);
        for room in ROOMS {
            if room == 1 && len > 70_000 {
                continue;
            }
            let message = block_on(async {
                // A pipe with a small buffer makes polls pend.
                let (mut near, far) = tokio::io::duplex(10_000);
                let plaintext = plaintext.clone();
                let send = tokio::spawn(async move {
                    tokio::io::AsyncWriteExt::write_all(&mut near, &plaintext).await
                });
                let mut reader =
                    envelope().async_encrypt_reader(far, EncryptionContext::new()).await.unwrap();
                let (mut message, mut buffer) = (Vec::new(), vec![0; room]);
                loop {
                    match reader.read(&mut buffer).await.unwrap() {
                        0 => break,
                        len => message.extend_from_slice(&buffer[..len]),
                    }
                }
                assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
                send.await.unwrap().unwrap();
                message
            });
            assert!(opened(&message) == plaintext, "{len} through {room}");
        }
    }
    block_on(async {
        let source = Script(vec![Ok(b"half of it"), Err(io::ErrorKind::TimedOut)]);
        let mut reader =
            envelope().async_encrypt_reader(source, EncryptionContext::new()).await.unwrap();
        reader.read_to_end(&mut Vec::new()).await.unwrap_err();
        let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(Error::inside(&error).unwrap().kind(), ErrorKind::Io);
    });
}
