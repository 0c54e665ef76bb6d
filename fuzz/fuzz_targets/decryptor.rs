//! A message of three chunks, changed and pushed in pieces as the input says: the output is a
//! verified prefix that ends with a chunk (F-27), only the unchanged message is complete, and there
//! is no output after an error.

#![no_main]

mod script;
mod vectors;

use libfuzzer_sys::fuzz_target;
use ncp_envelope::format::{CHUNK_LEN, Decryptor, Header, PREAMBLE_LEN};
use ncp_envelope::{DataKey, DecryptPolicy, Envelope, KeyWrapper};
use script::{Script, change};
use std::sync::LazyLock;

struct Sample {
    header: Header,
    preamble: [u8; PREAMBLE_LEN],
    chunks: &'static [u8],
    key: DataKey,
    plaintext: Vec<u8>,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let wrapper = vectors::wrapper();
    let header = Header::decode(vectors::THREE_CHUNKS).expect("a header");
    let (preamble, chunks) = vectors::THREE_CHUNKS[header.bound().body_offset()..]
        .split_first_chunk()
        .map(|(a, b)| (*a, b))
        .expect("a preamble");
    let payload = vectors::ready(wrapper.unwrap_keys(header.slots().slots())).expect("the payload");
    let key = DataKey::copy_from(payload[0].expose_secret()[48..].try_into().expect("F-28"));
    let envelope = Envelope::builder(wrapper).build().expect("an envelope");
    let plaintext = vectors::ready(envelope.decrypt(vectors::THREE_CHUNKS, &DecryptPolicy::new()))
        .expect("a plaintext")
        .to_vec();
    Sample { header, preamble, chunks, key, plaintext }
});

fuzz_target!(|input: &[u8]| {
    let sample = &*SAMPLE;
    let mut script = Script(input);
    let body = change(sample.chunks, &mut script);

    let mut decryptor = Decryptor::new(&sample.key, sample.header.bound(), &sample.preamble, b"")
        .expect("the commitment fits");
    let mut released = Vec::new();
    let mut rest = &body[..];
    let mut failed = false;
    while !rest.is_empty() && !failed {
        let part = &rest[..rest.len().min(1 + script.next(3 * CHUNK_LEN))];
        let mut out = vec![0xEE; script.next(4 * CHUNK_LEN)];
        let promised = decryptor.update_len(part.len());
        match decryptor.update(part, &mut out) {
            Ok(progress) => {
                assert!(
                    progress.consumed <= part.len() && progress.written <= promised.min(out.len())
                );
                assert_eq!(progress.written % CHUNK_LEN, 0, "part of a chunk came out");
                assert!(
                    out[progress.written..].iter().all(|byte| *byte == 0xEE || *byte == 0),
                    "F-27: more was written than was verified"
                );
                released.extend_from_slice(&out[..progress.written]);
                rest = &rest[progress.consumed..];
                if progress.consumed == 0 {
                    // The buffer has no space for a chunk. Enlarge it, so that every script ends.
                    let mut out = vec![0; CHUNK_LEN];
                    match decryptor.update(rest, &mut out) {
                        Ok(progress) => {
                            assert!(
                                progress.consumed > 0,
                                "stuck with {} bytes and room for a chunk",
                                rest.len()
                            );
                            released.extend_from_slice(&out[..progress.written]);
                            rest = &rest[progress.consumed..];
                        }
                        Err(_) => failed = true,
                    }
                }
            }
            Err(_) => failed = true,
        }
    }
    if failed {
        assert!(
            decryptor.update(&[], &mut vec![0; CHUNK_LEN]).is_err(),
            "an update after a failed one"
        );
    }
    let mut last = vec![0; decryptor.finish_len()];
    let end = decryptor.finish(&mut last);
    if let Ok(len) = end {
        assert_eq!(len, last.len());
        released.extend_from_slice(&last);
    }
    assert!(sample.plaintext.starts_with(&released), "bytes came out that were never written");
    assert_eq!(end.is_ok() && !failed, body == sample.chunks, "{end:?}");
});
