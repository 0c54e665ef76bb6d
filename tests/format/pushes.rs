//! Encryptor and decryptor as they are pushed: how much goes in and comes out, and that one that
//! failed gives nothing more.

use crate::common::{block_on, envelope, message_under, sample, slots};
use ncp_envelope::format::{
    CHUNK_LEN, Decryptor, Encryptor, Header, PREAMBLE_LEN, SEALED_CHUNK_LEN, TAG_LEN,
};
use ncp_envelope::{DataKey, EncryptOptions, Error, ErrorKind};

fn encryptor() -> Encryptor {
    block_on(envelope().encryptor(EncryptOptions::new())).unwrap()
}

/// What opens a message, and its chunks.
fn opened(plaintext: &[u8]) -> (impl Fn() -> Decryptor + use<>, Vec<u8>) {
    let key = DataKey::generate().unwrap();
    let message = message_under(&key, &slots(&key, 1), plaintext);
    let header = Header::decode(&message).unwrap();
    let body = header.bound().body_offset();
    let preamble: [u8; PREAMBLE_LEN] = *message[body..].first_chunk().unwrap();
    let make = move || Decryptor::new(&key, header.bound(), &preamble, b"").unwrap();
    (make, message[body + PREAMBLE_LEN..].to_vec())
}

/// Pushes that leave nothing, a little or much of a chunk behind.
const PUSHES: [[usize; 3]; 6] = [
    [0, 0, 0],
    [0, 5, CHUNK_LEN - 5],
    [CHUNK_LEN - 1, 1, 0],
    [CHUNK_LEN, 2 * CHUNK_LEN, 16],
    [SEALED_CHUNK_LEN - 1, 3, 2 * SEALED_CHUNK_LEN],
    [40_000, 9_200, 5 * SEALED_CHUNK_LEN],
];

// F-24
#[test]
fn what_is_written_is_as_long_as_was_said() {
    let plaintext = sample(10 * CHUNK_LEN);
    let (decryptor, chunks) = opened(&plaintext);
    for pushes in PUSHES {
        let (mut encryptor, mut decryptor) = (encryptor(), decryptor());
        let mut at = 0;
        for len in pushes {
            let mut out = vec![0; encryptor.update_len(len)];
            let progress = encryptor.update(&plaintext[at..at + len], &mut out).unwrap();
            assert_eq!((progress.consumed, progress.written), (len, out.len()));
            let mut out = vec![0; decryptor.update_len(len)];
            let progress = decryptor.update(&chunks[at..at + len], &mut out).unwrap();
            assert_eq!((progress.consumed, progress.written), (len, out.len()));
            at += len;
        }
        assert_eq!(encryptor.finish_len(), at % CHUNK_LEN + TAG_LEN);
        assert_eq!(decryptor.finish_len(), (at % SEALED_CHUNK_LEN).saturating_sub(TAG_LEN));
        let len = encryptor.finish_len();
        assert_eq!(encryptor.finish(&mut vec![0; len + 1]).unwrap(), len);
    }
    assert_eq!(decryptor().update_len(usize::MAX), usize::MAX / SEALED_CHUNK_LEN * CHUNK_LEN);
    assert_eq!(encryptor().update_len(usize::MAX), usize::MAX);
}

#[test]
fn a_chunk_waits_for_room_and_the_last_one_does_not() {
    let plaintext = sample(2 * CHUNK_LEN + 100);
    let (decryptor, chunks) = opened(&plaintext);
    let mut out = vec![0; 3 * SEALED_CHUNK_LEN];

    let mut running = encryptor();
    for (room, consumed, written) in
        [(0, 0, 0), (SEALED_CHUNK_LEN - 1, 0, 0), (SEALED_CHUNK_LEN, CHUNK_LEN, SEALED_CHUNK_LEN)]
    {
        let progress = running.update(&plaintext[..2 * CHUNK_LEN], &mut out[..room]).unwrap();
        assert_eq!((progress.consumed, progress.written), (consumed, written), "{room}");
    }
    running.update(&plaintext[..100], &mut []).unwrap();
    let error = running.finish(&mut out[..115]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("needs 116 bytes"), "{error}");

    let mut running = decryptor();
    for (room, consumed, written) in
        [(0, 0, 0), (CHUNK_LEN - 1, 0, 0), (CHUNK_LEN, SEALED_CHUNK_LEN, CHUNK_LEN)]
    {
        let progress = running.update(&chunks, &mut out[..room]).unwrap();
        assert_eq!((progress.consumed, progress.written), (consumed, written), "{room}");
    }
    let progress = running.update(&chunks[SEALED_CHUNK_LEN..], &mut out).unwrap();
    assert_eq!((progress.consumed, progress.written), (SEALED_CHUNK_LEN + 116, CHUNK_LEN));
    let error = running.finish(&mut out[..99]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("needs 100 bytes"), "{error}");
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Authentication);
}

// F-27
#[test]
fn a_decryptor_that_failed_opens_nothing_more() {
    let plaintext = sample(3 * CHUNK_LEN + 100);
    let (decryptor, chunks) = opened(&plaintext);
    for bad in 0..3 {
        let mut changed = chunks.clone();
        changed[bad * SEALED_CHUNK_LEN + 7] ^= 1;
        // All at once, and so that the chunk is put together from two pushes.
        for first in [0, 10] {
            let (mut running, mut out) = (decryptor(), vec![0; 4 * CHUNK_LEN]);
            running.update(&changed[..first], &mut out).unwrap();
            if bad > 0 {
                // What was opened before it is handed out, and the fault is told next time.
                let progress = running.update(&changed[first..], &mut out).unwrap();
                let opened = (bad * SEALED_CHUNK_LEN - first, bad * CHUNK_LEN);
                assert_eq!((progress.consumed, progress.written), opened);
                assert_eq!(out[..opened.1], plaintext[..opened.1]);
            } else {
                refused(running.update(&changed[first..], &mut out));
            }
            // Neither again, nor with the right bytes, nor with those of the next chunk.
            out.fill(0);
            for rest in [&changed[bad * SEALED_CHUNK_LEN..], &chunks[bad * SEALED_CHUNK_LEN..]] {
                for rest in [rest, &rest[SEALED_CHUNK_LEN..], &rest[..1], &[]] {
                    refused(running.update(rest, &mut out));
                }
            }
            refused(running.finish(&mut out));
            assert!(out.iter().all(|byte| *byte == 0));
        }
    }
}

// F-25
#[test]
fn without_its_last_chunk_a_message_is_truncated() {
    let (decryptor, chunks) = opened(&sample(CHUNK_LEN));
    for len in [0, 15, SEALED_CHUNK_LEN, SEALED_CHUNK_LEN + 15] {
        let mut running = decryptor();
        running.update(&chunks[..len], &mut vec![0; CHUNK_LEN]).unwrap();
        assert_eq!(running.finish(&mut []).unwrap_err().kind(), ErrorKind::Truncated, "{len}");
    }
    let mut running = decryptor();
    running.update(&chunks, &mut vec![0; CHUNK_LEN]).unwrap();
    assert_eq!(running.finish(&mut []).unwrap(), 0);
}
