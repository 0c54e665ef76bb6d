//! Messages by several threads, in memory and through a writer: the same as by one.

use crate::common::{block_on, envelope, sample};
use ncp_envelope::format::{CHUNK_LEN, Header, SEALED_CHUNK_LEN};
use ncp_envelope::{
    CipherBackend, DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind, LocalKeyWrapper,
};
use std::io::{self, Write};

/// From 4 MiB on, threads share a message in memory.
const SHARED: usize = 4 << 20;

fn none() -> EncryptionContext {
    EncryptionContext::new()
}

#[test]
fn what_some_threads_encrypt_others_decrypt() {
    for len in [SHARED - 1, SHARED, SHARED + 1, SHARED + CHUNK_LEN, 6_000_000] {
        let plaintext = sample(len);
        for (one, other) in [(1, 2), (2, 1), (3, 5), (0, 7)] {
            let message = block_on(envelope().threads(one).encrypt(&plaintext, none())).unwrap();
            let policy = DecryptPolicy::new();
            let opened = block_on(envelope().threads(other).decrypt(&message, &policy)).unwrap();
            assert!(opened == plaintext, "{len} bytes by {one} and {other}");
        }
    }
}

#[test]
fn every_backend_opens_what_the_others_sealed() {
    let key = ncp_envelope::DataKey::generate().unwrap();
    let wrapper = LocalKeyWrapper::new("k", &key).unwrap();
    let on = |backend| Envelope::builder(wrapper.clone()).cipher(backend).build().unwrap();
    for len in [0, 100, 40_000, SHARED + 5] {
        let plaintext = sample(len);
        for sealing in CipherBackend::ALL {
            for threads in [1, 2] {
                let envelope = on(*sealing).threads(threads);
                assert_eq!(envelope.cipher(), *sealing);
                let message = block_on(envelope.encrypt(&plaintext, none())).unwrap();
                for opening in CipherBackend::ALL {
                    let envelope = on(*opening).threads(threads);
                    let opened = block_on(envelope.decrypt(&message, &DecryptPolicy::new()));
                    assert!(opened.unwrap() == plaintext, "{len}: {sealing} to {opening}");
                }
            }
        }
    }
}

// Memory that is used again, is too short, or holds something longer.
#[test]
fn buffers_are_used_again() {
    let (plaintext, envelope) = (sample(SHARED + 100), envelope().threads(2));
    let (mut message, mut opened) = (Vec::new(), Vec::new());
    for before in [0, 100, SHARED, 2 * SHARED] {
        message.resize(before, 7);
        opened.resize(before, 7);
        block_on(envelope.encrypt_into(&plaintext, none(), &mut message)).unwrap();
        block_on(envelope.decrypt_into(&message, none(), &mut opened)).unwrap();
        assert!(opened == plaintext, "{before}");
    }
    let (at, sealed_at) = (opened.as_ptr(), message.as_ptr());
    block_on(envelope.encrypt_into(&plaintext, none(), &mut message)).unwrap();
    block_on(envelope.decrypt_into(&message, none(), &mut opened)).unwrap();
    assert!(opened.as_ptr() == at && message.as_ptr() == sealed_at);
}

// F-27
#[test]
fn a_fault_in_any_run_leaves_nothing() {
    let plaintext = sample(SHARED + 100);
    let message = block_on(envelope().encrypt(&plaintext, none())).unwrap();
    let start = Header::decode(&message).unwrap().bound().body_offset() + 56;
    let chunk = |number: usize| start + number * SEALED_CHUNK_LEN;
    let last = message.len() - 1;
    let flip = |at: usize| {
        let mut changed = message.clone();
        changed[at] ^= 1;
        changed
    };
    let mut swapped = message.clone();
    let (first, second) = swapped[chunk(3)..].split_at_mut(SEALED_CHUNK_LEN);
    first.swap_with_slice(&mut second[..SEALED_CHUNK_LEN]);
    let changed = [
        flip(chunk(0)),
        flip(chunk(100) + 5),
        flip(last),
        swapped,
        message[..last].to_vec(),
        message[..chunk(255)].to_vec(),
        [&message[..], &[0]].concat(),
    ];
    for (number, changed) in changed.iter().enumerate() {
        for threads in [1, 2, 4] {
            let mut out = Vec::with_capacity(2 * SHARED);
            let envelope = envelope().threads(threads);
            let error = block_on(envelope.decrypt_into(changed, none(), &mut out)).unwrap_err();
            let kinds = [ErrorKind::Authentication, ErrorKind::Truncated];
            assert!(kinds.contains(&error.kind()), "{number}: {error}");
            assert!(out.is_empty(), "{number}");
            out.resize(2 * SHARED, 0);
            assert!(out.iter().all(|byte| *byte == 0), "{number}: something was left");
        }
    }
}

#[test]
fn a_writer_with_threads_writes_the_message_in_pieces_of_any_size() {
    for len in [0, 1, CHUNK_LEN, 8 * CHUNK_LEN - 1, 8 * CHUNK_LEN, 3_000_000] {
        let plaintext = sample(len);
        for (threads, piece) in [(2, 1_000), (3, 70_000), (2, 5_000_000)] {
            let envelope = envelope().threads(threads);
            let mut writer = block_on(envelope.writer(Vec::new(), none())).unwrap();
            for piece in plaintext.chunks(piece) {
                writer.write_all(piece).unwrap();
            }
            let message = writer.finish().unwrap();
            let opened = block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap();
            assert!(opened == plaintext, "{len} bytes in pieces of {piece}");
        }
    }
}

#[test]
fn a_flushed_writer_has_written_every_full_chunk() {
    let plaintext = sample(20 * CHUNK_LEN + 5);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let (single, shared) = (envelope(), envelope().threads(2));
    let mut writer = block_on(single.writer(&mut one, none())).unwrap();
    writer.write_all(&plaintext).unwrap();
    drop(writer);
    let mut writer = block_on(shared.writer(&mut other, none())).unwrap();
    for piece in plaintext.chunks(3 * CHUNK_LEN + 1) {
        writer.write_all(piece).unwrap();
        writer.flush().unwrap();
    }
    drop(writer);
    assert_eq!(other.len(), one.len());
    // What was not finished is no message.
    let error = block_on(shared.decrypt(&other, &DecryptPolicy::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
}

/// Refuses after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let len = buf.len().min(self.0);
        self.0 -= len;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_whose_sink_fails_stays_failed() {
    let plaintext = sample(2_000_000);
    for room in [0, 100, 300, 500_000, 1_999_999] {
        let envelope = envelope().threads(2);
        let mut writer = block_on(envelope.writer(Full(room), none())).unwrap();
        let written = writer.write_all(&plaintext).and_then(|()| writer.flush());
        if let Err(error) = written {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}");
            let again = writer.write(b"more").unwrap_err();
            assert_eq!(Error::inside(&again).unwrap().kind(), ErrorKind::Io, "{room}");
        }
        let error = writer.finish().map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{room}");
    }
}
