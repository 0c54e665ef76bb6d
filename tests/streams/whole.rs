//! Streams in one call: from a `Read` to a `Write`.

use crate::common::{block_on, sample};
use ncp_envelope::format::{Header, Profile, SEALED_CHUNK_LEN};
use ncp_envelope::io::StreamReport;
use ncp_envelope::{
    DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, Error, ErrorKind, Result,
    ToEncryptOptions,
};
use std::io::{self, Cursor, Read, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LENGTHS: [usize; 8] = [0, 1, 16_383, 16_384, 131_071, 131_072, 131_073, (1 << 20) + 7];
const PATIENCE: Duration = Duration::from_secs(60);

/// A sink that is looked into meanwhile, and refuses after so many bytes.
#[derive(Clone)]
struct Shared {
    bytes: Arc<Mutex<Vec<u8>>>,
    most: usize,
}

impl Shared {
    fn new(most: usize) -> Self {
        Self { bytes: Arc::default(), most }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap();
        if bytes.len() >= self.most {
            return Err(io::Error::other("the sink is full"));
        }
        bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pieces as they are sent, and the end when the sender is gone. Interrupted before each.
struct Pieces(Receiver<Vec<u8>>, bool);

fn pieces() -> (Sender<Vec<u8>>, Pieces) {
    let (send, receive) = mpsc::channel();
    (send, Pieces(receive, false))
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Ok(piece) = self.0.recv_timeout(PATIENCE) else { return Ok(0) };
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// Fails after its bytes.
struct Broken<R>(R);

impl<R: Read> Read for Broken<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::Error::other("the source is broken")),
            len => Ok(len),
        }
    }
}

fn envelope() -> Envelope {
    // This file is two modules.
    let threads = if module_path!().ends_with("shared") { 3 } else { 1 };
    crate::common::envelope().threads(threads)
}

fn encrypt(plaintext: &[u8], options: impl ToEncryptOptions) -> StreamReport<Vec<u8>> {
    let source = Cursor::new(plaintext.to_vec());
    block_on(envelope().encrypt_stream(source, Vec::new(), options)).unwrap()
}

fn decrypt<W: Write + Send + 'static>(message: &[u8], sink: W) -> Result<StreamReport<W>> {
    let source = Cursor::new(message.to_vec());
    block_on(envelope().decrypt_stream(source, sink, &DecryptPolicy::new()))
}

fn until(happened: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "it did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_length_is_the_message_of_the_other_calls() {
    for len in LENGTHS {
        let plaintext = sample(len);
        let sealed = encrypt(&plaintext, EncryptionContext::new());
        assert_eq!(
            (sealed.bytes_read, sealed.bytes_written),
            (len as u64, sealed.sink.len() as u64)
        );
        let whole = block_on(envelope().decrypt(&sealed.sink, &DecryptPolicy::new())).unwrap();
        assert_eq!(*whole, plaintext, "{len}");

        let message = block_on(envelope().encrypt(&plaintext, EncryptionContext::new())).unwrap();
        let opened = decrypt(&message, Vec::new()).unwrap();
        assert_eq!(opened.sink, plaintext, "{len}");
        assert_eq!((opened.bytes_read, opened.bytes_written), (message.len() as u64, len as u64));
    }
}

#[test]
fn a_header_longer_than_a_buffer_is_written_whole() {
    let context = EncryptionContext::new().with("a", "v".repeat(8_000)).unwrap();
    let options = EncryptOptions::new().context(context).layout(Profile::Durable);
    let sealed = encrypt(b"short", options);
    assert_eq!(decrypt(&sealed.sink, Vec::new()).unwrap().sink, b"short");
}

#[test]
fn what_a_read_brings_goes_on_before_the_next_read() {
    let (send, source) = pieces();
    let sink = Shared::new(usize::MAX);
    let (envelope, seen) = (envelope(), sink.clone());
    let call = std::thread::spawn(move || {
        block_on(envelope.encrypt_stream(source, sink, EncryptionContext::new())).map(drop)
    });
    let plaintext = sample(3 * 16_384 + 5);
    for (at, piece) in plaintext.chunks(16_384).enumerate() {
        send.send(piece.to_vec()).unwrap();
        // The header may be there before the first piece is.
        until(|| {
            let bytes = seen.bytes();
            let body = Header::len_from(&bytes).map(|len| bytes.len().saturating_sub(len + 56));
            body.is_ok_and(|len| len >= at.min(3) * SEALED_CHUNK_LEN)
        });
    }
    drop(send);
    call.join().unwrap().unwrap();
    let opened = block_on(self::envelope().decrypt(&seen.bytes(), &DecryptPolicy::new())).unwrap();
    assert_eq!(*opened, plaintext);
}

// F-27
#[test]
fn a_sink_is_given_what_was_verified_before_the_fault_and_no_more() {
    let plaintext = sample(20 * 16_384);
    let mut message = encrypt(&plaintext, EncryptionContext::new()).sink;
    let body = Header::len_from(&message).unwrap() + 56;
    let cut = message[..body + 17 * SEALED_CHUNK_LEN + 9].to_vec();
    message[body + 11 * SEALED_CHUNK_LEN] ^= 1;
    for (message, chunks, kind) in
        [(&message, 11, ErrorKind::Authentication), (&cut, 17, ErrorKind::Truncated)]
    {
        let sink = Shared::new(usize::MAX);
        assert_eq!(decrypt(message, sink.clone()).map(drop).unwrap_err().kind(), kind);
        assert_eq!(sink.bytes(), plaintext[..chunks * 16_384]);
    }
}

// The first buffer goes to a sink that takes nothing, and all of the second one is refused.
#[test]
fn the_fault_of_a_message_is_told_before_that_of_the_sink() {
    let mut message = encrypt(&sample(20 * 16_384), EncryptionContext::new()).sink;
    let body = Header::len_from(&message).unwrap() + 56;
    message[body + 8 * SEALED_CHUNK_LEN] ^= 1;
    let error = decrypt(&message, Shared::new(0)).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

#[test]
fn faults_of_both_ends_say_which_end() {
    let plaintext = sample(1 << 20);
    let message = encrypt(&plaintext, EncryptionContext::new()).sink;
    let options = || EncryptOptions::new();
    let policy = DecryptPolicy::new();
    let errors: [Error; 5] = [
        block_on(envelope().encrypt_stream(Broken(io::empty()), Vec::new(), options()))
            .map(drop)
            .unwrap_err(),
        block_on(envelope().decrypt_stream(
            Broken(Cursor::new(message[..message.len() - 9].to_vec())),
            Vec::new(),
            &policy,
        ))
        .map(drop)
        .unwrap_err(),
        block_on(envelope().encrypt_stream(
            Cursor::new(plaintext.clone()),
            Shared::new(100_000),
            options(),
        ))
        .map(drop)
        .unwrap_err(),
        // The header is written on another thread than what follows.
        block_on(envelope().encrypt_stream(io::empty(), Shared::new(0), options()))
            .map(drop)
            .unwrap_err(),
        decrypt(&message, Shared::new(100_000)).map(drop).unwrap_err(),
    ];
    let read = "cannot read the input: the source is broken";
    let write = "cannot write the output: the sink is full";
    for (error, text) in errors.iter().zip([read, read, write, write, write]) {
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Io, text));
    }
    // An error of the crate that travels through an I/O error arrives as what it was.
    struct Inner;
    impl Read for Inner {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Error::new(ErrorKind::Throttled, "inside").into())
        }
    }
    let error = block_on(envelope().encrypt_stream(Inner, Vec::new(), options())).map(drop);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Throttled);
}

#[test]
fn a_source_that_cannot_be_read_leaves_the_sink_as_it_was() {
    // A directory can be opened, on Unix, and not be read.
    let dir = tempfile::tempdir().unwrap();
    for source in [
        Box::new(Broken(io::empty())) as Box<dyn Read + Send>,
        #[cfg(unix)]
        Box::new(std::fs::File::open(dir.path()).unwrap()),
    ] {
        let sink = Shared::new(usize::MAX);
        let envelope = envelope();
        let call = envelope.encrypt_stream(source, sink.clone(), EncryptOptions::new());
        let error = block_on(call).map(drop).unwrap_err();
        assert!(error.to_string().starts_with("cannot read the input: "), "{error}");
        assert_eq!(sink.bytes(), b"");
    }
}

// Without the feature a stream is worked on where it is polled.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_dropped_call_stops_at_its_next_buffer_and_drops_its_sink() {
    let (send, source) = pieces();
    let sink = Shared::new(usize::MAX);
    let seen = sink.clone();
    let envelope = envelope();
    let call = tokio::spawn(async move {
        envelope.encrypt_stream(source, sink, EncryptOptions::new()).await.map(drop)
    });
    send.send(sample(16_384)).unwrap();
    let watched = seen.clone();
    tokio::task::spawn_blocking(move || until(|| watched.bytes().len() > SEALED_CHUNK_LEN))
        .await
        .unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // The read that was under way brings one more piece; then the source is let go.
    let sent = tokio::task::spawn_blocking(move || {
        let start = std::time::Instant::now();
        let mut sent = 0;
        while send.send(sample(16_384)).is_ok() {
            sent += 1;
            assert!(start.elapsed() < PATIENCE, "the source is still read");
            std::thread::sleep(Duration::from_millis(5));
        }
        sent
    });
    assert!(sent.await.unwrap() > 0);
    until(|| Arc::strong_count(&seen.bytes) == 1);
    let message = seen.bytes();
    let opened = self::envelope().decrypt(&message, &DecryptPolicy::new()).await;
    assert!(opened.is_err(), "half a message opened");
}
