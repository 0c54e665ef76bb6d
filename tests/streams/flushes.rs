//! Who says that all was written has flushed it: an inner writer may have a buffer of its own.

use crate::common::{block_on, envelope, sample};
use ncp_envelope::{DecryptPolicy, EncryptionContext};
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// What reached the end and what only a buffer.
#[derive(Clone, Default)]
struct Buffered(Arc<Mutex<(Vec<u8>, Vec<u8>)>>);

impl Buffered {
    fn buffered(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    fn arrived(&self) -> Vec<u8> {
        self.0.lock().unwrap().0.clone()
    }
}

impl Write for Buffered {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().1.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let (arrived, buffer) = &mut *self.0.lock().unwrap();
        arrived.append(buffer);
        Ok(())
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(&mut *self, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Write::flush(&mut *self))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

fn opens(sink: &Buffered, plaintext: &[u8]) {
    assert_eq!(sink.buffered(), 0);
    let opened = block_on(envelope().decrypt(&sink.arrived(), &DecryptPolicy::new()));
    assert!(opened.unwrap() == plaintext);
}

#[test]
fn a_message_that_is_finished_has_arrived() {
    let plaintext = sample(40_000);
    let sink = Buffered::default();
    let mut writer = block_on(envelope().writer(sink.clone(), EncryptionContext::new())).unwrap();
    writer.write_all(&plaintext).unwrap();
    assert!(sink.buffered() > 0);
    writer.flush().unwrap();
    assert_eq!(sink.buffered(), 0);
    assert!(sink.arrived().len() > 32_768, "two chunks are full");
    writer.finish().unwrap();
    opens(&sink, &plaintext);
}

#[test]
fn a_tokio_message_that_is_finished_has_arrived() {
    let plaintext = sample(40_000);
    for shut_down in [false, true] {
        let sink = Buffered::default();
        block_on(async {
            let options = EncryptionContext::new();
            let mut writer = envelope().async_writer(sink.clone(), options).await.unwrap();
            writer.write_all(&plaintext).await.unwrap();
            writer.flush().await.unwrap();
            assert_eq!(sink.buffered(), 0);
            assert!(sink.arrived().len() > 32_768, "two chunks are full");
            if shut_down {
                writer.shutdown().await.unwrap();
            } else {
                writer.finish().await.unwrap();
            }
        });
        opens(&sink, &plaintext);
    }
}

#[test]
fn a_stream_that_ended_has_arrived() {
    let plaintext = sample(400_000);
    let (message, copy) = (Buffered::default(), Buffered::default());
    let source = io::Cursor::new(plaintext.clone());
    let (envelope, options) = (envelope(), EncryptionContext::new());
    block_on(envelope.encrypt_stream(source, message.clone(), options)).unwrap();
    opens(&message, &plaintext);
    let (source, policy) = (io::Cursor::new(message.arrived()), DecryptPolicy::new());
    block_on(envelope.decrypt_stream(source, copy.clone(), &policy)).unwrap();
    assert_eq!(copy.buffered(), 0);
    assert!(copy.arrived() == plaintext);
}
