//! Messages in memory, and the format's own types.

use crate::*;
use aws_lc_rs::{digest, hkdf};
use ncp_envelope::format::{Decryptor, PREAMBLE_LEN, RangeDecryptor};
use ncp_envelope::{CipherBackend, DecryptPolicy};

#[test]
fn messages_in_memory() {
    let _turn = begin();
    let (open, other) = (DecryptPolicy::new(), DecryptPolicy::new().aad("x"));
    let envelope = envelope();
    for len in [0, 40, CHUNK_LEN, 50_000, (1 << 20) + 7] {
        let (plain, message) = (plaintext(len), sealed(&envelope, len));
        watch("decrypt", || {
            assert!(*block_on(envelope.decrypt(&message, &open)).unwrap() == *plain);
            block_on(envelope.decrypt_many(&[&message, &message], &open));
        });
        watch("decrypt what was changed", || {
            for message in damaged(&message) {
                assert!(block_on(envelope.decrypt(&message, &open)).is_err());
                block_on(envelope.decrypt_many(&[&message, &message], &open));
            }
            assert!(block_on(envelope.decrypt(&message, &other)).is_err());
        });
    }
}

#[test]
fn buffers_that_are_used_again() {
    let _turn = begin();
    let (open, envelope) = (DecryptPolicy::new(), envelope());
    let lengths = [40, 50_000, 30_000, 1 << 20, 5, (1 << 20) + 100_000];
    let messages: Vec<_> = lengths.iter().map(|len| sealed(&envelope, *len)).collect();
    watch("decrypt into a buffer that grows", || {
        let mut out = Zeroizing::new(Vec::new());
        for (message, len) in messages.iter().zip(lengths) {
            block_on(envelope.decrypt_into(message, &open, &mut out)).unwrap();
            assert!(*out == *plaintext(len));
        }
    });
    // The one who hands the buffer in need not wipe it after a failure.
    watch("a failure wipes the buffer, whatever was in it", || {
        for changed in damaged(&messages[3]) {
            for before in [40, 50_000, 2 << 20] {
                let mut out = std::mem::take(&mut *plaintext(before));
                assert!(block_on(envelope.decrypt_into(&changed, &open, &mut out)).is_err());
                assert!(out.is_empty());
            }
        }
    });
    watch("encrypt into a buffer that held plaintext", || {
        let (text, options) = (plaintext(100_000), EncryptOptions::new());
        let mut out = std::mem::take(&mut *plaintext(90_000));
        block_on(envelope.encrypt_into(&text, &options, &mut out)).unwrap();
    });
}

// The library of one backend wipes no key, and the crate does it for it.
#[test]
fn keys_of_messages() {
    let _turn = begin();
    for backend in CipherBackend::ALL {
        let wrapper = Telling::new();
        let envelope = Envelope::builder(wrapper.clone()).cipher(*backend).build().unwrap();
        let message = sealed(&envelope, 40_000);
        let key = look_for_key_of(&message, &wrapper);
        planted(|| drop(key.map(mask).map(u64::to_le_bytes).concat()));
        watch("the key of a message", || {
            block_on(envelope.decrypt(&message, DecryptPolicy::new())).unwrap();
            for message in damaged(&message) {
                assert!(block_on(envelope.decrypt(&message, DecryptPolicy::new())).is_err());
            }
            let (decryptor, body) = opened(&envelope, &message);
            let range = decryptor.into_range();
            range.open(0, &body[..SEALED_CHUNK_LEN], &mut plaintext(CHUNK_LEN)).unwrap();
        });
    }
}

/// Looks for the first half of a message's own key from now on, and returns it masked. It is
/// derived here by docs/format.md (`F-20`, `F-21`), and not by the crate.
fn look_for_key_of(message: &[u8], wrapper: &Telling) -> [u64; 2] {
    struct Len;
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            32
        }
    }
    let header = Header::decode(message).unwrap();
    let (region_a, body) = (header.bound().as_bytes(), header.bound().body_offset());
    let lengths = [region_a.len() as u64, 0].map(u64::to_be_bytes);
    let context = [b"ncp-envelope v1\0", &lengths[0][..], region_a, &lengths[1]].concat();
    let context = digest::digest(&digest::SHA256, &context);
    let info: [&[u8]; 3] = [
        b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0",
        &message[body..body + 24],
        context.as_ref(),
    ];
    let payloads = block_on(wrapper.unwrap_keys(header.slots().slots())).unwrap();
    let data_key = &payloads[0].expose_secret()[48..];
    let mut key = Zeroizing::new([0; 32]);
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, data_key);
    prk.expand(&info, Len).unwrap().fill(&mut key[..]).unwrap();
    let words = [0, 8].map(|at| mask(word(&key[at..])));
    look_for(words);
    words
}

/// Body and decryptor of a message.
fn opened<'m>(envelope: &Envelope, message: &'m [u8]) -> (Decryptor, &'m [u8]) {
    let header = Header::decode(message).unwrap();
    let (preamble, chunks) =
        message[header.bound().body_offset()..].split_first_chunk::<PREAMBLE_LEN>().unwrap();
    let decryptor = block_on(envelope.decryptor(&header, preamble, &DecryptPolicy::new()));
    (decryptor.unwrap(), chunks)
}

/// Whether none of the text is in `bytes`.
fn is_clean(bytes: &[u8]) -> bool {
    let text = plaintext(32);
    !bytes.windows(16).any(|window| text.windows(16).any(|part| part == window))
}

// F-27: what is refused does not stay in the caller's memory either.
#[test]
fn what_a_caller_hands_in_holds_nothing_of_a_chunk_that_was_refused() {
    let _turn = begin();
    let (envelope, plain) = (envelope(), plaintext(3 * CHUNK_LEN + 5_000));
    let message = sealed(&envelope, plain.len());
    let chunks_at = Header::len_from(&message).unwrap() + PREAMBLE_LEN;
    for bad in 0..4 {
        let mut message = message.clone();
        message[chunks_at + bad * SEALED_CHUNK_LEN + 4_000] ^= 1;
        // Used before, and long enough for anything.
        let mut out = Zeroizing::new(vec![0xEE; 5 * CHUNK_LEN]);
        for piece in [usize::MAX, 5_000] {
            let (mut decryptor, chunks) = opened(&envelope, &message);
            let mut written = 0;
            let mut pieces = chunks.chunks(piece.min(chunks.len()));
            let failed = pieces.any(|mut piece| {
                while !piece.is_empty() {
                    match decryptor.update(piece, &mut out[written..]) {
                        Ok(progress) => {
                            written += progress.written;
                            piece = &piece[progress.consumed..];
                        }
                        Err(_) => return true,
                    }
                }
                false
            });
            let failed = failed || decryptor.finish(&mut out[written..]).is_err();
            assert!(failed && written == bad * CHUNK_LEN);
            assert!(out[..written] == plain[..written] && is_clean(&out[written..]), "{bad}");
            out.fill(0xEE);
        }
        let (decryptor, chunks) = opened(&envelope, &message);
        let range: RangeDecryptor = decryptor.into_range();
        assert!(range.open(0, chunks, &mut out).is_err());
        assert!(is_clean(&out), "also of those before it, which are not to be told from it");
    }
}

#[test]
fn encryptors_and_decryptors_that_are_dropped() {
    let _turn = begin();
    let envelope = envelope();
    let message = sealed(&envelope, 50_000);
    let mut out = Zeroizing::new(vec![0; 100_000]);
    for held in [0, 100, 16_383, 20_000] {
        watch("an encryptor with a rest", || {
            let plain = plaintext(held);
            let mut encryptor = block_on(envelope.encryptor(EncryptOptions::new())).unwrap();
            encryptor.update(&plain, &mut out).unwrap();
        });
        watch("one that was finished, and one that could not be", || {
            let plain = plaintext(held);
            for room in [100_000, 10] {
                let mut encryptor = block_on(envelope.encryptor(EncryptOptions::new())).unwrap();
                encryptor.update(&plain, &mut out).unwrap();
                let finished = encryptor.finish(&mut out[..room]);
                assert_eq!(finished.is_ok(), room > 10);
            }
        });
        watch("a decryptor", || {
            let (mut decryptor, chunks) = opened(&envelope, &message);
            decryptor.update(&chunks[..held], &mut out).unwrap();
            out.fill(0);
        });
    }
    watch("runs", || {
        let plain = plaintext(50_000);
        let encryptor = block_on(envelope.encryptor(EncryptOptions::new())).unwrap();
        let (_, runs) = encryptor.into_runs(50_000).unwrap();
        let claim = runs.claim(2).unwrap();
        claim.seal(&plain[..2 * CHUNK_LEN], &mut out[..2 * SEALED_CHUNK_LEN]).unwrap();
    });
}
