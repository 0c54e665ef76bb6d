//! The tokio reader and writer, over pipes that make every poll wait.

#![cfg(feature = "tokio")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{block_on, envelope, sample};
use ncp_envelope::{DecryptPolicy, EncryptionContext, Error, ErrorKind};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LENGTHS: [usize; 9] = [0, 1, 16_383, 16_384, 16_385, 32_768, 262_143, 262_144, (1 << 20) + 7];

#[test]
fn tokio_readers_and_writers_do_the_same() {
    block_on(async {
        let envelope = envelope();
        for len in LENGTHS {
            let plaintext = sample(len);
            for shut_down in [false, true] {
                // A pipe with a small buffer makes every poll path pend.
                let (near, mut far) = tokio::io::duplex(10_000);
                let collect = tokio::spawn(async move {
                    let mut message = Vec::new();
                    far.read_to_end(&mut message).await.unwrap();
                    message
                });
                let mut writer = envelope.async_writer(near, EncryptionContext::new()).await.unwrap();
                for part in plaintext.chunks(70_000) {
                    writer.write_all(part).await.unwrap();
                }
                writer.flush().await.unwrap();
                if shut_down {
                    writer.shutdown().await.unwrap()
                } else {
                    drop(writer.finish().await.unwrap())
                }
                let message = collect.await.unwrap();
                assert_eq!(*envelope.decrypt(&message, &DecryptPolicy::new()).await.unwrap(), plaintext, "{len}");

                let (mut near, far) = tokio::io::duplex(10_000);
                let send = tokio::spawn(async move { near.write_all(&message).await });
                let mut reader = envelope.async_reader(tokio::io::BufReader::new(far), &DecryptPolicy::new()).await.unwrap();
                let mut back = Vec::with_capacity(100);
                reader.read_to_end(&mut back).await.unwrap();
                send.await.unwrap().unwrap();
                assert_eq!(back, plaintext, "{len}");
            }
        }
    });
}

#[test]
fn a_tokio_message_that_was_dropped_or_cut_does_not_open() {
    block_on(async {
        let (envelope, plaintext) = (envelope(), sample(40_000));
        let mut sink = Vec::new();
        let mut writer = envelope.async_writer(&mut sink, EncryptionContext::new()).await.unwrap();
        writer.write_all(&plaintext).await.unwrap();
        writer.flush().await.unwrap();
        drop(writer);
        let mut reader = envelope.async_reader(&sink[..], &DecryptPolicy::new()).await.unwrap();
        let mut back = Vec::new();
        let error = Error::inside(&reader.read_to_end(&mut back).await.unwrap_err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Truncated);
        assert_eq!(back, plaintext[..32_768], "the verified part came out, and no more");
        assert_eq!(reader.read(&mut [0; 10]).await.map_err(|e| e.kind()), Err(io::ErrorKind::UnexpectedEof), "and the error stays");
    });
}
