//! Readers, writers, whole streams and files.

use crate::*;
use ncp_envelope::DecryptPolicy;
use ncp_envelope::io::FileOptions;
use std::io::{self, Cursor, Read, Write};

/// Takes so many bytes, and keeps none.
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(buf.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plaintext of that length, and then its end or a fault.
struct Source {
    text: Zeroizing<Vec<u8>>,
    at: usize,
    breaks: bool,
}

fn source(len: usize, breaks: bool) -> Source {
    Source { text: plaintext(len), at: 0, breaks }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = &self.text[self.at..];
        if rest.is_empty() && self.breaks {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }
}

const LEN: usize = 600_000;

#[test]
fn writers() {
    let _turn = begin();
    let (envelope, text) = (envelope(), plaintext(LEN));
    for room in [usize::MAX, 300_000, 10] {
        for len in [100, LEN] {
            for finish in [true, false] {
                watch("a writer", || {
                    let made = block_on(envelope.writer(Sink(room), EncryptOptions::new()));
                    let mut writer = made.unwrap();
                    let written = writer.write_all(&text[..len]);
                    if finish && written.is_ok() {
                        let _ = writer.finish();
                    }
                });
            }
        }
    }
}

#[test]
fn readers() {
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    let message = sealed(&envelope, LEN);
    let mut messages = damaged(&message);
    messages.push(message);
    let mut buf = Zeroizing::new(vec![0; 50_000]);
    for message in messages {
        for (room, most) in [(1_000, 1), (1_000, 10_000), (16_384, 10_000), (50_000, 10_000)] {
            watch("a reader", || {
                let mut reader = block_on(envelope.reader(&message[..], &open)).unwrap();
                for _ in 0..most {
                    if reader.read(&mut buf[..room]).is_ok_and(|len| len > 0) {
                        continue;
                    }
                    break;
                }
            });
        }
    }
}

#[test]
fn whole_streams() {
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    let message = sealed(&envelope, LEN);
    for room in [usize::MAX, 300_000, 10] {
        for breaks in [false, true] {
            watch("a stream that is encrypted", || {
                let source = source(LEN, breaks);
                let call = envelope.encrypt_stream(source, Sink(room), EncryptOptions::new());
                let _ = block_on(call);
            });
        }
        let mut messages = damaged(&message);
        messages.push(message.clone());
        for message in messages {
            watch("a stream that is decrypted", || {
                let source = Cursor::new(message);
                let _ = block_on(envelope.decrypt_stream(source, Sink(room), &open));
            });
        }
    }
}

#[test]
fn files() {
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (len, threads) in [(100, 1), (LEN, 1), (3 << 20, 1), (3 << 20, 3)] {
        let options = FileOptions::new().overwrite(true).threads(threads);
        std::fs::write(path("plain"), plaintext(len)).unwrap();
        watch("a file that is encrypted", || {
            let (plain, message) = (path("plain"), path("message"));
            block_on(envelope.encrypt_file_with(plain, message, EncryptOptions::new(), &options))
                .unwrap();
        });
        let message = std::fs::read(path("message")).unwrap();
        let mut messages = damaged(&message);
        messages.push(message);
        for message in messages {
            std::fs::write(path("message"), &message).unwrap();
            watch("a file that is decrypted", || {
                let (message, out) = (path("message"), path("out"));
                let _ = block_on(envelope.decrypt_file_with(message, out, &open, &options));
            });
            watch("a file that is verified", || {
                let _ = block_on(envelope.verify_file_with(path("message"), &open, &options));
            });
        }
    }
}

#[cfg(feature = "tokio")]
#[test]
fn on_tokio() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let _turn = begin();
    let (envelope, open, text) = (envelope(), DecryptPolicy::new(), plaintext(LEN));
    let message = sealed(&envelope, LEN);
    for room in [usize::MAX, 300_000, 10] {
        for finish in [true, false] {
            watch("a writer", || {
                block_on(async {
                    // An array as the sink is full at some time.
                    let mut sink = vec![0; room.min(2 * LEN)];
                    let sink = Cursor::new(&mut sink[..]);
                    let made = envelope.async_writer(sink, EncryptOptions::new()).await;
                    let mut writer = made.unwrap();
                    let written = writer.write_all(&text).await;
                    if finish && written.is_ok() {
                        let _ = writer.finish().await;
                    }
                });
            });
        }
    }
    let mut messages = damaged(&message);
    messages.push(message);
    let mut buf = Zeroizing::new(vec![0; 50_000]);
    for message in messages {
        for (room, most) in [(1_000, 1), (1_000, 10_000), (16_384, 10_000), (50_000, 10_000)] {
            watch("a reader", || {
                block_on(async {
                    let made = envelope.async_reader(&message[..], &open).await;
                    let mut reader = made.unwrap();
                    for _ in 0..most {
                        if reader.read(&mut buf[..room]).await.is_ok_and(|len| len > 0) {
                            continue;
                        }
                        break;
                    }
                });
            });
        }
    }
}

#[test]
fn readers_that_encrypt() {
    let _turn = begin();
    let envelope = envelope();
    let mut buf = vec![0; 50_000];
    for (room, most) in [(1_000, 1), (1_000, 10_000), (16_400, 10_000), (50_000, 10_000)] {
        for breaks in [false, true] {
            watch("a reader that encrypts", || {
                let source = source(LEN, breaks);
                let made = block_on(envelope.encrypt_reader(source, EncryptOptions::new()));
                let mut reader = made.unwrap();
                for _ in 0..most {
                    if !reader.read(&mut buf[..room]).is_ok_and(|len| len > 0) {
                        break;
                    }
                }
            });
        }
        #[cfg(feature = "tokio")]
        watch("an async reader that encrypts", || {
            use tokio::io::AsyncReadExt;
            block_on(async {
                let text = plaintext(LEN);
                let made = envelope.async_encrypt_reader(&text[..], EncryptOptions::new()).await;
                let mut reader = made.unwrap();
                for _ in 0..most {
                    if !reader.read(&mut buf[..room]).await.is_ok_and(|len| len > 0) {
                        break;
                    }
                }
            });
        });
    }
}

#[cfg(feature = "tokio")]
#[test]
fn streams_of_bytes() {
    use futures_util::{StreamExt, stream};
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    let message = sealed(&envelope, LEN);
    let mut messages = damaged(&message);
    messages.push(message);
    for piece in [3_000, 300_000] {
        for most in [2, 10_000] {
            watch("a stream that is encrypted", || {
                block_on(async {
                    let text = plaintext(LEN);
                    let source = stream::iter(text.chunks(piece).map(Ok::<_, io::Error>));
                    let made = envelope.encrypt_bytes(source, EncryptOptions::new()).await;
                    drop(made.unwrap().take(most).collect::<Vec<_>>().await);
                });
            });
            for message in &messages {
                watch("a stream that is decrypted", || {
                    block_on(async {
                        let source = stream::iter(message.chunks(piece).map(Ok::<_, io::Error>));
                        let made = envelope.decrypt_bytes(source, &open).await;
                        drop(made.unwrap().take(most).collect::<Vec<_>>().await);
                    });
                });
            }
        }
    }
}

#[cfg(feature = "tokio")]
#[test]
fn async_files() {
    use ncp_envelope::io::AsyncAtomicFile;
    use tokio::io::AsyncWriteExt;
    let _turn = begin();
    let directory = tempfile::tempdir().unwrap();
    let (path, text) = (directory.path().join("out"), plaintext(LEN));
    let options = FileOptions::new().overwrite(true);
    for commit in [false, true] {
        watch("an async file", || {
            block_on(async {
                let mut file = AsyncAtomicFile::create(&path, &options).await.unwrap();
                file.write_all(&text).await.unwrap();
                if commit {
                    file.commit().await.unwrap();
                }
            });
        });
    }
}
