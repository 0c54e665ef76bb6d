//! Messages written by the second implementation, each good or with one fault: the crate has to
//! agree on every one, on the kind of the refusal, and on what may be released before it.

use crate::common::{Counting, block_on};
use aws_lc_rs::digest;
use ncp_envelope::format::Header;
use ncp_envelope::{CipherBackend, DecryptPolicy, Envelope, Error};
use serde_json::Value;
use std::io::{BufRead, Read};
use std::path::Path;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

struct Reading {
    result: Result<(), Error>,
    released: Vec<u8>,
}

fn stream(envelope: &Envelope, message: impl BufRead, policy: &DecryptPolicy) -> Reading {
    let mut released = Vec::new();
    let result = match block_on(envelope.reader(message, policy)) {
        Err(error) => Err(error),
        Ok(mut reader) => reader
            .read_to_end(&mut released)
            .map(drop)
            .map_err(|error| Error::inside(&error).unwrap()),
    };
    Reading { result, released }
}

/// Every one by every library.
fn both(index: &[Value]) -> impl Iterator<Item = (CipherBackend, &Value)> {
    CipherBackend::ALL.iter().flat_map(|backend| index.iter().map(|entry| (*backend, entry)))
}

#[test]
fn every_vector_reads_as_its_index_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let index: Vec<Value> =
        serde_json::from_slice(&std::fs::read(dir.join("index.json")).unwrap()).unwrap();
    assert!(index.len() > 220, "the index is there");
    let mut failures = Vec::new();
    for (backend, entry) in both(&index) {
        let file = entry["file"].as_str().unwrap();
        let message = std::fs::read(dir.join(file)).unwrap();
        let kek: [u8; 32] = hex(entry["kek"].as_str().unwrap()).try_into().unwrap();
        let wrapper = Counting::new(entry["key_id"].as_str().unwrap(), kek);
        let envelope = Envelope::builder(wrapper.clone())
            .scope(entry["scope"].as_str().unwrap())
            .cipher(backend)
            .build()
            .unwrap();
        let mut policy = DecryptPolicy::new();
        for (name, value) in entry["require"].as_object().unwrap() {
            policy = policy.require(name, value.as_str().unwrap());
        }
        if let Some(aad) = entry["aad"].as_str() {
            policy = policy.aad(hex(aad));
        }

        if let Some(slots) = entry["max_slots"].as_u64() {
            policy = policy.max_slots(usize::try_from(slots).unwrap());
        }

        let expect = entry["expect"].as_str().unwrap();
        let detached = entry["detached"].as_bool().unwrap();
        policy = policy.detached(detached);
        let whole = block_on(envelope.decrypt(&message, &policy));
        let streamed = if detached {
            // F-13: header and body one after the other, each from an object of its own.
            let header = Header::len_from(&message).unwrap().min(message.len());
            let (header, body) = message.split_at(header);
            stream(&envelope, header.chain(body), &policy)
        } else {
            stream(&envelope, &message[..], &policy)
        };
        let kind = |result: Result<(), &Error>| match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        let got = (kind(whole.as_ref().map(drop)), kind(streamed.result.as_ref().map(|_| ())));
        if got != (expect.to_owned(), expect.to_owned()) {
            failures.push(format!(
                "{file} by {backend}: expected {expect}, got {got:?}: {:?}",
                whole.as_ref().err()
            ));
            continue;
        }
        if expect == "ok" {
            let plaintext = whole.unwrap();
            assert_eq!(*plaintext, streamed.released, "{file}");
            assert_eq!(sha256(&plaintext), entry["plaintext_sha256"].as_str().unwrap(), "{file}");
        } else {
            // F-27: at most what was verified, and nothing else.
            assert_eq!(
                streamed.released.len() as u64,
                entry["released_len"].as_u64().unwrap(),
                "{file}: released length"
            );
            assert_eq!(
                sha256(&streamed.released),
                entry["released_sha256"].as_str().unwrap(),
                "{file}: released bytes"
            );
            // F-32: whatever is wrong before derivation is found before a key is asked for.
            if !["Authentication", "Truncated"].contains(&expect) {
                assert_eq!(wrapper.calls(), 0, "{file}: asked for a key");
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{} failures", failures.join("\n"), failures.len());
}
