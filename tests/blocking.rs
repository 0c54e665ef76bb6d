//! The calls without `async`, with the real client over loopback HTTP.

#![cfg(all(feature = "kms", feature = "emulator"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::sample;
use ncp_envelope::blocking::wait;
use ncp_envelope::emulator::{Emulator, Fault, FaultKind, FaultShape};
use ncp_envelope::format::{Header, PREAMBLE_LEN};
use ncp_envelope::io::FileOptions;
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use ncp_envelope::wrap::conformance;
use ncp_envelope::{
    BlockingEnvelope, CacheLimits, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope,
    ErrorKind,
};
use std::io::{Cursor, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const CALLERS: usize = 8;

fn emulator() -> Emulator {
    Emulator::builder().unthrottled().start_blocking().unwrap()
}

fn key(emulator: &Emulator) -> Key {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_owned()))
        .credentials(account)
        .build()
        .unwrap()
        .key(emulator.key_tag())
        .unwrap()
}

fn blocking(emulator: &Emulator) -> BlockingEnvelope {
    Envelope::builder(key(emulator)).scope("s").build().unwrap().blocking()
}

/// Fails if `work` does not end within far more time than anything here takes.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, over) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    over.recv_timeout(Duration::from_secs(120)).expect("waits for ever, or has failed")
}

#[test]
fn every_call_does_what_the_async_one_does() {
    let emulator = emulator();
    let envelope = blocking(&emulator);
    let (options, policy) = (EncryptOptions::new(), DecryptPolicy::new());
    let plaintext = sample(100_000);

    let message = envelope.encrypt(&plaintext, &options).unwrap();
    assert_eq!(*envelope.decrypt(&message, &policy).unwrap(), plaintext);
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    envelope.encrypt_into(&plaintext, &options, &mut sealed).unwrap();
    envelope.decrypt_into(&sealed, &policy, &mut opened).unwrap();
    assert_eq!(opened, plaintext);

    let before = emulator.request_count();
    let many = envelope.encrypt_many([b"a", b"b", b"c"], &options).unwrap();
    let back = envelope.decrypt_many(&many, &policy);
    assert!(back.into_iter().zip([b"a", b"b", b"c"]).all(|(back, text)| back.unwrap() == text));
    assert_eq!(emulator.request_count() - before, 2, "keys share calls");

    let mut writer = envelope.writer(Vec::new(), &options).unwrap();
    writer.write_all(&plaintext).unwrap();
    let message = writer.finish().unwrap();
    let mut back = Vec::new();
    envelope.reader(&message[..], &policy).unwrap().read_to_end(&mut back).unwrap();
    assert_eq!(back, plaintext);

    let ranges = envelope.range_reader(&message[..], &policy).unwrap();
    assert_eq!(*ranges.read_at(50_000, 9).unwrap(), plaintext[50_000..50_009]);

    let source = Cursor::new(plaintext.clone());
    let sealed = envelope.encrypt_stream(source, Vec::new(), &options).unwrap().sink;
    let opened = envelope.decrypt_stream(Cursor::new(sealed), Vec::new(), &policy).unwrap();
    assert_eq!(opened.sink, plaintext);

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("in"), sample(3_000_000)).unwrap();
    let files = FileOptions::new();
    envelope.encrypt_file_with(path("in"), path("sealed"), &options, &files).unwrap();
    envelope.decrypt_file_with(path("sealed"), path("out"), &policy, &files).unwrap();
    assert_eq!(std::fs::read(path("in")).unwrap(), std::fs::read(path("out")).unwrap());
    let verified = envelope.verify_file_with(path("sealed"), &policy, &files).unwrap();
    assert_eq!(verified.bytes_written, 3_000_000);

    let header = Header::decode(&message).unwrap();
    let body = header.bound().body_offset();
    let preamble = message[body..].first_chunk::<PREAMBLE_LEN>().unwrap();
    envelope.admit(&header, &policy).unwrap();
    envelope.decryptor(&header, preamble, &policy).unwrap();
    envelope.encryptor(&options).unwrap();
    let rewrapped = envelope.rewrap_keys(header.slots().slots());
    assert!(rewrapped.iter().all(Result::is_ok));
    let other = envelope.for_scope("other").unwrap();
    assert_eq!(
        other.decrypt(&message, &policy).map(drop).unwrap_err().kind(),
        ErrorKind::Authentication
    );
}

#[test]
fn threads_share_calls_and_the_cache() {
    let emulator = emulator();
    let limits = CacheLimits::new(Duration::from_secs(60));
    let envelope = Envelope::builder(key(&emulator)).cache(limits).build().unwrap().blocking();
    let message = envelope.encrypt(b"x", EncryptOptions::new()).unwrap();
    emulator.set_latency(Duration::from_millis(200));
    let before = emulator.request_count();
    let threads: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (envelope, message) = (envelope.clone(), message.clone());
            thread::spawn(move || envelope.decrypt(&message, DecryptPolicy::new()).unwrap())
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), b"x");
    }
    assert_eq!(emulator.request_count() - before, 1, "single flight");
    assert_eq!(envelope.stats().cache.keys, 1);
    envelope.forget_keys();
    assert_eq!(envelope.stats().cache.keys, 0);
}

#[test]
fn errors_and_faults_come_through() {
    let emulator = emulator();
    let envelope = blocking(&emulator);
    let message = envelope.encrypt(b"x", EncryptionContext::new()).unwrap();
    wait(
        emulator.inject(
            Fault::new(FaultKind::Status {
                status: 503,
                shape: FaultShape::Service,
                retry_after: None,
            })
            .times(1),
        ),
    )
    .unwrap()
    .unwrap();
    assert_eq!(envelope.decrypt(&message, DecryptPolicy::new()).unwrap(), b"x");
    wait(emulator.disable_key(emulator.key_tag())).unwrap().unwrap();
    let error = envelope.decrypt(&message, DecryptPolicy::new()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnusable);
    // Another envelope, which has not seen that.
    let envelope = blocking(&emulator);
    wait(emulator.shutdown()).unwrap();
    let error = envelope.decrypt(&message, DecryptPolicy::new()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn other_futures_of_the_crate_can_be_waited_for() {
    let emulator = emulator();
    let key = key(&emulator);
    let ciphertext = wait(key.encrypt(b"single")).unwrap().unwrap();
    assert_eq!(wait(key.decrypt(&ciphertext)).unwrap().unwrap().expose_secret(), b"single");
    let page = wait(key.client().keys().page(1, 10)).unwrap().unwrap();
    assert_eq!(page.items.len(), 1);
    wait(conformance::check(&key)).unwrap().unwrap();
}

#[test]
fn within_a_runtime_it_is_an_error_and_no_deadlock() {
    ends(|| {
        let emulator = emulator();
        let envelope = blocking(&emulator);
        let message = envelope.encrypt(b"x", EncryptionContext::new()).unwrap();
        let before = emulator.request_count();
        let refused = |envelope: &BlockingEnvelope, message: &[u8]| {
            let policy = DecryptPolicy::new();
            let mut errors = vec![
                envelope.encrypt(b"x", EncryptionContext::new()).map(drop).unwrap_err(),
                envelope.decrypt(message, &policy).map(drop).unwrap_err(),
                envelope.encrypt_many([b"x"], EncryptionContext::new()).map(drop).unwrap_err(),
                wait(std::future::ready(())).unwrap_err(),
                Emulator::builder().start_blocking().map(drop).unwrap_err(),
            ];
            let many = envelope.decrypt_many([message, message], &policy);
            assert_eq!(many.len(), 2);
            errors.extend(many.into_iter().map(|one| one.map(drop).unwrap_err()));
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains("use the async call"), "{error}");
            }
        };
        let current = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        current.block_on(async { refused(&envelope, &message) });
        let many = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (theirs, sealed) = (envelope.clone(), message.clone());
        many.block_on(async move {
            tokio::spawn(async move { refused(&theirs, &sealed) }).await.unwrap();
        });
        assert_eq!(emulator.request_count(), before, "no call was made");
        // The refused call works outside the runtime.
        assert_eq!(envelope.decrypt(&message, DecryptPolicy::new()).unwrap(), b"x");
    });
}
