//! A fault at every call to the inner writer, for each of its calls: what failed stays failed, so
//! that no message has a hole, and no failure goes unnoticed.

use crate::common::{block_on, envelope, sample};
use ncp_envelope::format::Header;
use ncp_envelope::{DecryptPolicy, EncryptOptions, EncryptionContext, Error, ErrorKind};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

/// A writer one of whose calls fails, and the ones after it do not.
#[derive(Clone)]
struct Flaky(Arc<Mutex<State>>);

struct State {
    taken: Vec<u8>,
    calls: usize,
    failing: usize,
    fault: Fault,
    /// How much had been taken when the call failed.
    failed_at: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Error,
    /// A write that takes nothing, which is no progress; other calls fail.
    Nothing,
}

impl Flaky {
    fn new(failing: usize, fault: Fault) -> Self {
        let state = State { taken: Vec::new(), calls: 0, failing, fault, failed_at: None };
        Self(Arc::new(Mutex::new(state)))
    }

    fn call(&self, bytes: Option<&[u8]>) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        if state.calls == state.failing {
            state.failed_at = Some(state.taken.len());
            return match (state.fault, bytes) {
                (Fault::Nothing, Some(_)) => Ok(0),
                _ => Err(io::ErrorKind::StorageFull.into()),
            };
        }
        // In pieces, so that a call that fails is the first of its kind or any other.
        let bytes = bytes.unwrap_or_default();
        let len = bytes.len().min(100_000);
        state.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    /// Checks what became of the steps, each with its name: all behind the first that failed, if
    /// there was a failure, and none otherwise. Whether there was one.
    fn judge(self, steps: &[(&str, Result<(), ErrorKind>)], plaintext: &[u8]) -> bool {
        let state = self.0.lock().unwrap();
        let what = format!("call {} of {}: {steps:?}", state.failing, state.calls);
        let Some(failed_at) = state.failed_at else {
            assert!(steps.iter().all(|(_, result)| result.is_ok()), "{what}");
            let opened = block_on(envelope().decrypt(&state.taken, &DecryptPolicy::new()));
            assert!(opened.unwrap() == plaintext);
            return false;
        };
        let first = steps.iter().position(|(_, result)| result.is_err()).expect(&what);
        assert!(steps[first..].iter().all(|(_, result)| *result == Err(ErrorKind::Io)), "{what}");
        assert_eq!(state.taken.len(), failed_at, "written after a failure, {what}");
        true
    }
}

impl Write for Flaky {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.call(Some(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.call(None).map(drop)
    }
}

/// What an I/O error is to this crate.
fn kind<T>(result: io::Result<T>) -> Result<(), ErrorKind> {
    let kind = |error| Error::inside(&error).map_or(ErrorKind::Io, |inside| inside.kind());
    result.map(drop).map_err(kind)
}

const FAULTS: [Fault; 2] = [Fault::Error, Fault::Nothing];

#[test]
fn a_writer_goes_on_after_no_failure_of_any_call() {
    let (envelope, plaintext) = (envelope(), sample(600_000));
    for fault in FAULTS {
        let failed = (1..).take_while(|failing| {
            let sink = Flaky::new(*failing, fault);
            let mut writer =
                block_on(envelope.writer(sink.clone(), EncryptOptions::new())).unwrap();
            let steps = [
                ("write", kind(writer.write_all(&plaintext[..20_000]))),
                ("write much", kind(writer.write_all(&plaintext[20_000..500_000]))),
                ("flush", kind(writer.flush())),
                ("flush again", kind(writer.flush())),
                ("write little", kind(writer.write_all(&plaintext[500_000..500_005]))),
                ("write the rest", kind(writer.write_all(&plaintext[500_005..]))),
                ("finish", kind(writer.finish().map_err(io::Error::from))),
            ];
            sink.judge(&steps, &plaintext)
        });
        assert!(failed.count() > 10);
    }
}

#[test]
fn a_flush_that_was_interrupted_is_made_again() {
    struct Interrupted(bool);
    impl Write for Interrupted {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0 = !self.0;
            if self.0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        }
    }
    let writer = envelope().blocking().writer(Interrupted(false), EncryptOptions::new());
    let mut writer = writer.unwrap();
    writer.flush().unwrap();
    assert!(!writer.finish().unwrap().0);
}

// F-27
#[test]
fn a_reader_that_refused_a_chunk_reads_no_later_one() {
    let (envelope, plaintext) = (envelope(), sample(100_000));
    let mut message = block_on(envelope.encrypt(&plaintext, EncryptionContext::new())).unwrap();
    let body = Header::len_from(&message).unwrap() + 56;
    message[body + 2 * 16_400] ^= 1;
    // Straight into the caller's buffer, and by way of the reader's own.
    for room in [50_000, 16_384, 1_000] {
        let mut buf = vec![0; room];
        let mut reader = block_on(envelope.reader(&message[..], &DecryptPolicy::new())).unwrap();
        let mut back = Vec::new();
        let error = loop {
            match reader.read(&mut buf) {
                Ok(len) => back.extend_from_slice(&buf[..len]),
                Err(error) => break error,
            }
        };
        assert!(back == plaintext[..2 * 16_384]);
        buf.fill(0);
        for _ in 0..20 {
            let again = reader.read(&mut buf).unwrap_err();
            assert_eq!((kind::<()>(Err(again)), error.kind()), AUTHENTICATION);
            assert!(buf.iter().all(|byte| *byte == 0));
        }
    }
}

const AUTHENTICATION: (Result<(), ErrorKind>, io::ErrorKind) =
    (Err(ErrorKind::Authentication), io::ErrorKind::InvalidData);

#[cfg(feature = "tokio")]
mod on_tokio {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

    impl AsyncWrite for Flaky {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(self.call(Some(buf)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(self.call(None).map(drop))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(self.call(None).map(drop))
        }
    }

    async fn steps(failing: usize, fault: Fault, shut_down: bool) -> bool {
        let (sink, plaintext) = (Flaky::new(failing, fault), sample(600_000));
        let mut writer =
            envelope().async_writer(sink.clone(), EncryptOptions::new()).await.unwrap();
        let mut steps = vec![
            ("write", kind(writer.write_all(&plaintext[..20_000]).await)),
            ("write much", kind(writer.write_all(&plaintext[20_000..500_000]).await)),
            ("flush", kind(writer.flush().await)),
            ("flush again", kind(writer.flush().await)),
            ("write little", kind(writer.write_all(&plaintext[500_000..500_005]).await)),
            ("write the rest", kind(writer.write_all(&plaintext[500_005..]).await)),
        ];
        if shut_down {
            steps.push(("shut down", kind(writer.shutdown().await)));
            steps.push(("flush the end", kind(writer.flush().await)));
        }
        steps.push(("finish", kind(writer.finish().await.map_err(io::Error::from))));
        tokio::task::spawn_blocking(move || sink.judge(&steps, &plaintext)).await.unwrap()
    }

    #[tokio::test]
    async fn a_writer_goes_on_after_no_failure_of_any_call() {
        for (fault, shut_down) in FAULTS.into_iter().flat_map(|f| [(f, false), (f, true)]) {
            let mut failing = 1;
            while steps(failing, fault, shut_down).await {
                failing += 1;
            }
            assert!(failing > 10);
        }
    }

    #[tokio::test]
    async fn nothing_is_written_behind_an_end_and_nothing_is_said_to_have_failed() {
        let (envelope, mut sink) = (envelope(), Vec::new());
        let mut writer = envelope.async_writer(&mut sink, EncryptOptions::new()).await.unwrap();
        writer.write_all(b"all of it").await.unwrap();
        writer.shutdown().await.unwrap();
        for _ in 0..2 {
            let error = writer.write(b"more").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("ended by a shutdown"), "{error}");
        }
        writer.flush().await.unwrap();
        writer.shutdown().await.unwrap();
        writer.finish().await.unwrap();
        let opened = envelope.decrypt(&sink, &DecryptPolicy::new()).await.unwrap();
        assert_eq!(opened, b"all of it");
    }

    // F-27
    #[tokio::test]
    async fn a_reader_that_refused_a_chunk_reads_no_later_one() {
        let (envelope, plaintext) = (envelope(), sample(100_000));
        let mut message = envelope.encrypt(&plaintext, EncryptionContext::new()).await.unwrap();
        let body = Header::len_from(&message).unwrap() + 56;
        message[body + 2 * 16_400] ^= 1;
        for room in [50_000, 16_384, 1_000] {
            let mut buf = vec![0; room];
            let mut reader =
                envelope.async_reader(&message[..], &DecryptPolicy::new()).await.unwrap();
            let mut back = Vec::new();
            let error = loop {
                match reader.read(&mut buf).await {
                    Ok(len) => back.extend_from_slice(&buf[..len]),
                    Err(error) => break error,
                }
            };
            assert!(back == plaintext[..2 * 16_384]);
            buf.fill(0);
            for _ in 0..20 {
                let again = reader.read(&mut buf).await.unwrap_err();
                assert_eq!((kind::<()>(Err(again)), error.kind()), AUTHENTICATION);
                assert!(buf.iter().all(|byte| *byte == 0));
            }
        }
    }
}
