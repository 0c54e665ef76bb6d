//! A message of three chunks, changed in every way an attacker can: nothing that was not verified
//! comes out.

use crate::common::{block_on, envelope, message_under, sample, slots};
use ncp_envelope::format::{Header, PREAMBLE_LEN, Profile, SEALED_CHUNK_LEN};
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind};
use std::io::Read;
use std::ops::Range;

const LEN: usize = 2 * 16_384 + 5_000;

/// Reads through the streaming reader and checks that what came out is a verified prefix, cut at a
/// chunk.
fn read(envelope: &Envelope, message: &[u8], plaintext: &[u8]) -> Result<(), Error> {
    let mut reader = block_on_local(envelope.reader(message, &DecryptPolicy::new()))?;
    let mut out = vec![0xEE; plaintext.len() + SEALED_CHUNK_LEN];
    let mut len = 0;
    let result = loop {
        match reader.read(&mut out[len..]) {
            Ok(0) => break Ok(()),
            Ok(read) => len += read,
            Err(error) => break Err(Error::inside(&error).expect("an error of the crate")),
        }
    };
    assert_eq!(
        out[..len],
        plaintext[..len.min(plaintext.len())],
        "bytes that were never written came out"
    );
    match &result {
        Ok(()) => assert_eq!(len, plaintext.len(), "a shortened message read as whole"),
        Err(_) => {
            assert_eq!(len % 16_384, 0, "part of a chunk came out");
            // The caller's own buffer holds nothing of the refused chunk either.
            assert!(
                out[len..].iter().all(|byte| *byte == 0xEE || *byte == 0),
                "unverified bytes were left in the caller's buffer"
            );
        }
    }
    result
}

// The local wrapper never waits, so a runtime for each of 300,000 reads is not needed.
fn block_on_local<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the local wrapper waited"),
    }
}

fn slot_area(message: &[u8]) -> Range<usize> {
    let header = Header::decode(message).unwrap();
    header.bound().as_bytes().len()..header.bound().body_offset()
}

fn chunk(message: &[u8], index: usize) -> Range<usize> {
    let start = Header::decode(message).unwrap().bound().body_offset()
        + PREAMBLE_LEN
        + index * SEALED_CHUNK_LEN;
    start..(start + SEALED_CHUNK_LEN).min(message.len())
}

// F-2, F-17, F-20, F-22, F-23, F-27, F-28
#[test]
fn every_single_bit_flip_is_refused() {
    let (envelope, plaintext) = (envelope(), sample(LEN));
    let context = EncryptionContext::new().with("purpose", "tamper").unwrap();
    let mut message = block_on(envelope.encrypt(&plaintext, &context)).unwrap();
    assert!(read(&envelope, &message, &plaintext).is_ok());
    let slots = slot_area(&message);
    let mut harmless = 0;
    for bit in 0..message.len() * 8 {
        message[bit / 8] ^= 1 << (bit % 8);
        // In the slots a flip may change nothing that counts (the zone hint, with its checksum,
        // cannot be one bit); everywhere else it is refused.
        match read(&envelope, &message, &plaintext) {
            Ok(()) => {
                assert!(
                    slots.contains(&(bit / 8)),
                    "bit {bit} was flipped and the message read as whole"
                );
                harmless += 1;
            }
            Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "bit {bit}: {error}"),
        }
        message[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(harmless, 0, "the checksum finds every single flip in a compact message's slots");
}

// F-14, F-17, F-18
#[test]
fn flips_in_either_copy_of_durable_slots_change_nothing_of_the_plaintext() {
    let (envelope, plaintext) = (envelope(), sample(100));
    let options = ncp_envelope::EncryptOptions::new().layout(Profile::Durable);
    let mut message = block_on(envelope.encrypt(&plaintext, options)).unwrap();
    let slots = slot_area(&message);
    assert_eq!(slots, 4_096..12_288);
    for bit in slots.start * 8..slots.end * 8 {
        message[bit / 8] ^= 1 << (bit % 8);
        read(&envelope, &message, &plaintext).expect("the other copy stands in");
        message[bit / 8] ^= 1 << (bit % 8);
    }
}

// F-24, F-25
#[test]
fn every_truncation_is_refused() {
    let (envelope, plaintext) = (envelope(), sample(LEN));
    let message = block_on(envelope.encrypt(&plaintext, EncryptionContext::new())).unwrap();
    for len in 0..message.len() {
        let error =
            read(&envelope, &message[..len], &plaintext).expect_err("cut short and read as whole");
        assert!(
            matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Authentication),
            "{len}: {error:?}"
        );
        assert!(block_on_local(envelope.decrypt(&message[..len], &DecryptPolicy::new())).is_err());
    }
    for extra in [1, 15, 16, 17, SEALED_CHUNK_LEN, 2 * SEALED_CHUNK_LEN] {
        let longer = [&message[..], &vec![0; extra]].concat();
        assert!(read(&envelope, &longer, &plaintext).is_err(), "{extra} bytes were appended");
    }
}

// F-22, F-23
#[test]
fn chunks_cannot_be_swapped_repeated_dropped_or_spliced() {
    let (envelope, key) = (envelope(), DataKey::generate().unwrap());
    let slots = slots(&key, 1);
    let (plaintext, other_plaintext) = (sample(LEN), sample(2 * LEN)[LEN..].to_vec());
    let message = message_under(&key, &slots, &plaintext);
    let other = message_under(&key, &slots, &other_plaintext);
    assert!(
        read(&envelope, &message, &plaintext).is_ok()
            && read(&envelope, &other, &other_plaintext).is_ok()
    );
    let part = |message: &[u8], index| message[chunk(message, index)].to_vec();
    let front = message[..chunk(&message, 0).start].to_vec();
    let own = [part(&message, 0), part(&message, 1), part(&message, 2)];
    let foreign = [part(&other, 0), part(&other, 1), part(&other, 2)];

    // Every sequence of 1 to 4 of the six chunks but the true one.
    let all: Vec<&Vec<u8>> = own.iter().chain(&foreign).collect();
    let mut tried = 0;
    for len in 1..=4_u32 {
        for code in 0..6_usize.pow(len) {
            let picks: Vec<usize> = (0..len).map(|at| code / 6_usize.pow(at) % 6).collect();
            if picks == [0, 1, 2] {
                continue;
            }
            let mut forged = front.clone();
            picks.iter().for_each(|pick| forged.extend_from_slice(all[*pick]));
            assert!(
                read(&envelope, &forged, &plaintext).is_err(),
                "chunks {picks:?} read as a message"
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 6 + 36 + 216 + 1_296 - 1);

    // The other message's salt and commitment with these chunks, and the halves mixed.
    let salt = front.len() - PREAMBLE_LEN..front.len() - 32;
    let commitment = front.len() - 32..front.len();
    for range in [salt.clone(), commitment.clone(), salt.start..commitment.end] {
        let mut forged = message.clone();
        forged[range.clone()].copy_from_slice(&other[range]);
        assert_eq!(
            read(&envelope, &forged, &plaintext).unwrap_err().kind(),
            ErrorKind::Authentication
        );
    }
}

// F-21, F-33: another data key in the slot can make a message unreadable, not readable as something
// else.
#[test]
fn a_replaced_slot_can_only_fail() {
    let envelope = envelope();
    let (key, other_key) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
    let plaintext = sample(LEN);
    let message = message_under(&key, &slots(&key, 1), &plaintext);
    let donor = message_under(&other_key, &slots(&other_key, 1), &plaintext);
    let mut forged = message.clone();
    let area = slot_area(&message);
    assert_eq!(area, slot_area(&donor));
    forged[area.clone()].copy_from_slice(&donor[area]);
    assert_eq!(read(&envelope, &forged, &plaintext).unwrap_err().kind(), ErrorKind::Authentication);
}

// F-20: context and associated data cannot trade bytes, and neither can be dropped.
#[test]
fn associated_data_is_bound() {
    let envelope = envelope();
    let options = ncp_envelope::EncryptOptions::new().aad("volume 7");
    let message = block_on(envelope.encrypt(b"data", options)).unwrap();
    let kind = |policy| block_on(envelope.decrypt(&message, &policy)).map(drop).unwrap_err().kind();
    assert!(block_on(envelope.decrypt(&message, &DecryptPolicy::new().aad("volume 7"))).is_ok());
    assert_eq!(kind(DecryptPolicy::new().aad("volume 8")), ErrorKind::Authentication);
    assert_eq!(kind(DecryptPolicy::new().aad("volume 7 ")), ErrorKind::Authentication);
    assert_eq!(kind(DecryptPolicy::new()), ErrorKind::NotAccepted);
}
