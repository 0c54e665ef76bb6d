//! The tokio reader and writer, over pipes that make every poll wait.

#![cfg(feature = "tokio")]

use crate::common::{block_on, envelope, sample};
use ncp_envelope::{DecryptPolicy, EncryptionContext, Error, ErrorKind};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
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
                let mut writer =
                    envelope.async_writer(near, EncryptionContext::new()).await.unwrap();
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
                assert_eq!(
                    *envelope.decrypt(&message, &DecryptPolicy::new()).await.unwrap(),
                    plaintext,
                    "{len}"
                );

                let (mut near, far) = tokio::io::duplex(10_000);
                let send = tokio::spawn(async move { near.write_all(&message).await });
                let mut reader = envelope.async_reader(far, &DecryptPolicy::new()).await.unwrap();
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
        assert_eq!(
            reader.read(&mut [0; 10]).await.map_err(|e| e.kind()),
            Err(io::ErrorKind::InvalidData),
            "and the error stays"
        );
    });
}

/// A peer that never has to be waited for.
struct Ready;

impl tokio::io::AsyncWrite for Ready {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_busy_stream_lets_other_tasks_run() {
    use std::cell::Cell;
    use std::rc::Rc;
    block_on(tokio::task::LocalSet::new().run_until(async {
        let (envelope, plaintext) = (envelope(), sample(32 << 20));
        let message = envelope.encrypt(&plaintext, EncryptionContext::new()).await.unwrap();
        let turns = Rc::new(Cell::new(0));
        tokio::task::spawn_local({
            let turns = turns.clone();
            async move {
                loop {
                    turns.set(turns.get() + 1);
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut writer = envelope.async_writer(Ready, EncryptionContext::new()).await.unwrap();
        let before = turns.get();
        writer.write_all(&plaintext).await.unwrap();
        // 128 runs of 256 KiB, and at most 8 of them at a stretch.
        assert!(turns.get() >= before + 15, "{} turns while writing", turns.get() - before);
        writer.shutdown().await.unwrap();

        let mut reader = envelope.async_reader(&message[..], &DecryptPolicy::new()).await.unwrap();
        let mut back = vec![0; plaintext.len()];
        let before = turns.get();
        reader.read_exact(&mut back).await.unwrap();
        assert!(turns.get() >= before + 15, "{} turns while reading", turns.get() - before);
        assert_eq!((back == plaintext, reader.read(&mut [0; 10]).await.unwrap()), (true, 0));
    }));
}
