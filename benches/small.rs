//! Messages of 1 KiB under a data key that is in memory, next to the parts that they are made of.
//!
//! Run with `cargo bench --bench small`. The parts are those of the construction, each done with
//! the primitives alone: a random salt, the derivation (SHA-256 of the header, HMAC-SHA-512 twice
//! with the key kept, the scratch wiped), the set-up of the message's key, and one chunk sealed or
//! opened. In a row they run as they must in a message, each on the result of the one before. What
//! is measured against them is everything: header, slots, policy, look-up and the parts.
//!
//! A third group is the parts one by one, to see where the time goes, and what reading a header
//! costs. Headers of messages under one data key are the same, and are not read again; "decrypt,
//! header not seen lately" shows the difference.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod turns;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use criterion::{Criterion, criterion_group, criterion_main};
use ncp_envelope::format::Header;
use ncp_envelope::wrap::KeyPayload;
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, KeyWrapper,
    LocalKeyWrapper, ReuseLimits,
};
use std::hint::black_box;
use std::time::Duration;
use turns::{Contestant, Group};
use zeroize::Zeroize;

const LEN: usize = 1_024;
const INFO: usize = 48;
const SALT: usize = 24;

fn key(material: &[u8; 128]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &black_box(material)[..32]).unwrap())
}

/// What the construction does with a kept key to get from a header and a salt to a message key and
/// a commitment.
fn derive(kept: &hmac::Key, region_a: &[u8], salt: &[u8; SALT]) -> [u8; 128] {
    let mut framed = [0; 512];
    framed[..16].copy_from_slice(b"ncp-envelope v1\0");
    framed[16..24].copy_from_slice(&(region_a.len() as u64).to_be_bytes());
    framed[24..24 + region_a.len()].copy_from_slice(black_box(region_a));
    let context = digest::digest(&digest::SHA256, &framed[..32 + region_a.len()]);
    let mut input = [0; 64 + INFO + SALT + 32 + 1];
    input[64 + INFO..][..SALT].copy_from_slice(salt);
    input[64 + INFO + SALT..][..32].copy_from_slice(context.as_ref());
    let mut material = [0; 128];
    let first = hmac::sign(kept, &input[64..]);
    material[..64].copy_from_slice(first.as_ref());
    input[..64].copy_from_slice(first.as_ref());
    material[64..].copy_from_slice(hmac::sign(kept, &input).as_ref());
    input.as_mut_slice().zeroize();
    material
}

fn random_salt() -> [u8; SALT] {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).unwrap();
    salt
}

fn seal(key: &LessSafeKey, plaintext: &[u8], sealed: &mut [u8]) {
    let (out, tag) = sealed.split_at_mut(LEN);
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    key.seal_out_of_place_scatter(nonce, Aad::empty(), black_box(plaintext), out, &[], tag)
        .unwrap();
}

fn open(key: &LessSafeKey, sealed: &[u8], out: &mut [u8]) {
    let (ciphertext, tag) = sealed.split_at(LEN);
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    key.open_separate_gather(nonce, Aad::empty(), black_box(ciphertext), tag, out).unwrap();
}

fn group(name: &'static str) -> Group {
    // Many short rounds: one that another process interrupts is then one of many.
    Group { name, bytes: LEN, rounds: 1_001, runs: 100 }
}

fn small(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let hour = Duration::from_secs(3_600);
    let wrapper =
        LocalKeyWrapper::new("01234567-89ab-cdef-0123-456789abcdef", &DataKey::generate().unwrap())
            .unwrap();
    let wrapper = std::sync::Arc::new(wrapper);
    let envelope = Envelope::builder(wrapper.clone())
        .cache(CacheLimits::new(hour))
        .reuse(ReuseLimits::new(hour).with_max_messages(1 << 32))
        .build()
        .unwrap();
    let context = EncryptionContext::new().with("kind", "invoice").unwrap();
    let options = EncryptOptions::new().context(context);
    let policy = DecryptPolicy::new().require("kind", "invoice");
    let plaintext = [0x5A; LEN];
    let message = runtime.block_on(envelope.encrypt(plaintext, &options)).unwrap();
    runtime.block_on(envelope.decrypt(&message, &policy)).unwrap();

    let header = Header::decode(&message).unwrap();
    let slot = header.slots().slots()[0].clone();
    let region_a = header.bound().as_bytes().to_vec();
    let payload: Vec<KeyPayload> = runtime.block_on(wrapper.unwrap_keys(&[slot])).unwrap();
    let data_key = DataKey::copy_from(payload[0].expose_secret()[48..].try_into().unwrap());
    let kept = hmac::Key::new(hmac::HMAC_SHA512, data_key.expose_secret());
    let salt = [3; SALT];
    let material = derive(&kept, &region_a, &salt);
    let aead = key(&material);
    let mut sealed = vec![0; LEN + 16];
    seal(&aead, &plaintext, &mut sealed);

    let (mut row, mut into) = (sealed.clone(), Vec::new());
    let mut encryption: [Contestant<'_>; 2] = [
        (
            "its parts, in a row",
            Box::new(|| {
                let mut material = derive(&kept, &region_a, &random_salt());
                seal(&key(&material), &plaintext, &mut row);
                material.as_mut_slice().zeroize();
            }),
        ),
        (
            "encrypt_into",
            Box::new(|| poll(envelope.encrypt_into(black_box(&plaintext), &options, &mut into))),
        ),
    ];
    group("small, encryption").measure(criterion, &mut encryption);

    // More headers of the same length than are remembered, each with a context of its own.
    let others = |number: u32| {
        let context = EncryptionContext::new().with("kind", "invoice").unwrap();
        let context = context.with("number", format!("{number:04}")).unwrap();
        runtime.block_on(envelope.encrypt(plaintext, context)).unwrap()
    };
    let others: Vec<Vec<u8>> = (0..512).map(others).collect();
    let (mut row, mut opened, mut opened_other) = (vec![0; LEN], Vec::new(), Vec::new());
    let mut next = others.iter().cycle();
    let mut decryption: [Contestant<'_>; 3] = [
        (
            "its parts, in a row",
            Box::new(|| {
                let mut material = derive(&kept, &region_a, black_box(&salt));
                open(&key(&material), &sealed, &mut row);
                material.as_mut_slice().zeroize();
            }),
        ),
        (
            "decrypt_into",
            Box::new(|| poll(envelope.decrypt_into(black_box(&message), &policy, &mut opened))),
        ),
        (
            "decrypt_into, header not seen lately",
            Box::new(|| {
                let message = next.next().unwrap();
                poll(envelope.decrypt_into(message, &policy, &mut opened_other));
            }),
        ),
    ];
    group("small, decryption").measure(criterion, &mut decryption);

    let (mut sealed_again, mut out) = (sealed.clone(), vec![0; LEN]);
    let mut parts: [Contestant<'_>; 6] = [
        (
            "random salt",
            Box::new(|| {
                black_box(random_salt());
            }),
        ),
        (
            "derivation, key kept",
            Box::new(|| {
                let mut material = derive(&kept, &region_a, black_box(&salt));
                black_box(&material);
                material.as_mut_slice().zeroize();
            }),
        ),
        ("key set-up", Box::new(|| drop(black_box(key(&material))))),
        ("one seal", Box::new(|| seal(&aead, &plaintext, &mut sealed_again))),
        ("one open", Box::new(|| open(&aead, &sealed, &mut out))),
        ("header read", Box::new(|| drop(black_box(Header::decode(black_box(&message)).unwrap())))),
    ];
    let mut parts_group = criterion.benchmark_group("small, parts");
    parts_group.warm_up_time(Duration::from_millis(300));
    parts_group.measurement_time(Duration::from_secs(1)).nresamples(10_000);
    for (name, run) in &mut parts {
        parts_group.bench_function(*name, |bencher| bencher.iter(&mut *run));
    }
    parts_group.finish();
}

/// All of it is ready at once: the keys are in memory.
fn poll<T>(future: impl Future<Output = ncp_envelope::Result<T>>) {
    let polled =
        std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(_))));
}

criterion_group!(benches, small);
criterion_main!(benches);
