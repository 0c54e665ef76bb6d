//! Any bytes as a message: no panic, and the call for whole messages and the streaming reader agree
//! on the result, its kind and the bytes.

#![no_main]

mod vectors;

use libfuzzer_sys::fuzz_target;
use ncp_envelope::format::Header;
use ncp_envelope::{DecryptPolicy, Envelope, Error, ErrorKind};
use std::io::Read;
use std::sync::LazyLock;

static ENVELOPES: LazyLock<[Envelope; 2]> = LazyLock::new(|| {
    ["", "vectors/2024"].map(|scope| {
        Envelope::builder(vectors::wrapper()).scope(scope).build().expect("an envelope")
    })
});

fuzz_target!(|message: &[u8]| {
    let wants_aad = Header::decode(message).is_ok_and(|header| header.bound().requires_aad());
    let policy =
        if wants_aad { DecryptPolicy::new().aad(b"object 4711") } else { DecryptPolicy::new() };
    for envelope in ENVELOPES.iter() {
        let whole = vectors::ready(envelope.decrypt(message, &policy));
        for buffer in [1_000, 20_000, 1 << 20] {
            let mut released = Vec::new();
            let streamed = stream(envelope, message, &policy, buffer, &mut released);
            match (&whole, &streamed) {
                (Ok(plaintext), Ok(())) => {
                    assert_eq!(**plaintext, released, "two plaintexts of one message")
                }
                (Err(one), Err(other)) => {
                    assert_ne!(one.kind(), ErrorKind::Internal, "{one}");
                    // The one exception: the call for whole messages knows the length, and detects
                    // a body that is too short before it opens any chunk.
                    let early = one.kind() == ErrorKind::Truncated
                        && other.kind() == ErrorKind::Authentication;
                    assert!(early || one.kind() == other.kind(), "{one:?} and {other:?}");
                }
                _ => panic!("one accepts, the other does not: {whole:?} and {streamed:?}"),
            }
        }
    }
});

fn stream(
    envelope: &Envelope,
    message: &[u8],
    policy: &DecryptPolicy,
    buffer: usize,
    released: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut reader = vectors::ready(envelope.buf_reader(message, policy))?;
    let mut part = vec![0; buffer];
    loop {
        match reader.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(len) => released.extend_from_slice(&part[..len]),
            Err(error) => {
                assert!(reader.read(&mut part).is_err(), "a reader went on after it had failed");
                return Err(Error::inside(&error).expect("an error of the crate"));
            }
        }
    }
}
