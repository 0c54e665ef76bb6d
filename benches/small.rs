//! Messages of 1 KiB under a data key that is in memory, next to the sum of what they are made of,
//! in the same run.
//!
//! Run with `cargo bench --bench small`. The parts are those of the construction, each done with
//! the primitives alone: a random salt, the derivation (SHA-256 of the header, HMAC-SHA-512 twice
//! with the key kept, the scratch wiped), the set-up of the message's key, and one chunk sealed or
//! opened. What is measured against them is everything: header, slots, policy, look-up and the
//! parts. In a row they run as they have to in a message, each on what the one before gave; one by
//! one each repeats itself, which caches and branch predictors like better. Every round measures
//! all contestants one after the other; figures are medians over the rounds, ratios the medians of
//! each round's ratio.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use ncp_envelope::format::Header;
use ncp_envelope::wrap::KeyPayload;
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, KeyWrapper,
    LocalKeyWrapper, ReuseLimits,
};
use std::hint::black_box;
use std::time::{Duration, Instant};
use zeroize::Zeroize;

const LEN: usize = 1_024;
// Many short rounds: one that another process interrupts is then one of many.
const ROUNDS: usize = 1_001;
const PER_ROUND: u32 = 100;
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

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
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
    let options =
        EncryptOptions::new().context(EncryptionContext::new().with("kind", "invoice").unwrap());
    let policy = DecryptPolicy::new().require("kind", "invoice");
    let plaintext = [0x5A; LEN];
    let message = runtime.block_on(envelope.encrypt(&plaintext, &options)).unwrap();
    runtime.block_on(envelope.decrypt(&message, &policy)).unwrap();

    let header = Header::decode(&message).unwrap();
    let slot = header.slots().slots()[0].clone();
    let region_a = header.bound().as_bytes().to_vec();
    let payload: Vec<KeyPayload> = runtime.block_on(wrapper.unwrap_keys(&[slot])).unwrap();
    let data_key = DataKey::copy_from(payload[0].expose_secret()[48..].try_into().unwrap());
    let kept = hmac::Key::new(hmac::HMAC_SHA512, data_key.expose_secret());
    let fixed_salt = [3; SALT];
    let fixed = derive(&kept, &region_a, &fixed_salt);
    let aead = key(&fixed);
    let nonce = || Nonce::assume_unique_for_key([0; 12]);
    let mut sealed = vec![0; LEN + 16];
    {
        let (out, tag) = sealed.split_at_mut(LEN);
        aead.seal_out_of_place_scatter(nonce(), Aad::empty(), &plaintext, out, &[], tag).unwrap();
    }
    let sealed_copy = sealed.clone();
    let (mut out, mut into, mut opened, mut row_out) =
        (vec![0; LEN], Vec::new(), Vec::new(), vec![0; LEN]);
    let mut row_sealed = sealed.clone();
    type Contestant<'a> = (&'a str, Box<dyn FnMut() + 'a>);
    let mut contestants: Vec<Contestant<'_>> = vec![
        (
            "random salt",
            Box::new(|| {
                black_box(random_salt());
            }),
        ),
        (
            "derivation, key kept",
            Box::new(|| {
                let mut material = derive(&kept, &region_a, black_box(&fixed_salt));
                black_box(&material);
                material.as_mut_slice().zeroize();
            }),
        ),
        ("key set-up", Box::new(|| drop(black_box(key(&fixed))))),
        (
            "one seal",
            Box::new(|| {
                let (out, tag) = sealed.split_at_mut(LEN);
                aead.seal_out_of_place_scatter(
                    nonce(),
                    Aad::empty(),
                    black_box(&plaintext),
                    out,
                    &[],
                    tag,
                )
                .unwrap();
            }),
        ),
        (
            "one open",
            Box::new(|| {
                let (ciphertext, tag) = sealed_copy.split_at(LEN);
                aead.open_separate_gather(
                    nonce(),
                    Aad::empty(),
                    black_box(ciphertext),
                    tag,
                    &mut out,
                )
                .unwrap();
            }),
        ),
        (
            "all parts of encryption, in a row",
            Box::new(|| {
                let mut material = derive(&kept, &region_a, &random_salt());
                let aead = key(&material);
                let (out, tag) = row_sealed.split_at_mut(LEN);
                aead.seal_out_of_place_scatter(
                    nonce(),
                    Aad::empty(),
                    black_box(&plaintext),
                    out,
                    &[],
                    tag,
                )
                .unwrap();
                material.as_mut_slice().zeroize();
            }),
        ),
        (
            "all parts of decryption, in a row",
            Box::new(|| {
                let mut material = derive(&kept, &region_a, black_box(&fixed_salt));
                let aead = key(&material);
                let (ciphertext, tag) = sealed_copy.split_at(LEN);
                aead.open_separate_gather(
                    nonce(),
                    Aad::empty(),
                    black_box(ciphertext),
                    tag,
                    &mut row_out,
                )
                .unwrap();
                material.as_mut_slice().zeroize();
            }),
        ),
        (
            "encrypt_into",
            Box::new(|| {
                poll(envelope.encrypt_into(black_box(&plaintext), &options, &mut into));
            }),
        ),
        (
            "decrypt_into",
            Box::new(|| {
                poll(envelope.decrypt_into(black_box(&message), &policy, &mut opened));
            }),
        ),
    ];

    let mut times = vec![Vec::new(); contestants.len()];
    for round in 0..=ROUNDS {
        for (index, (_, run)) in contestants.iter_mut().enumerate() {
            let begun = Instant::now();
            for _ in 0..PER_ROUND {
                run();
            }
            let each = begun.elapsed().as_nanos() as f64 / f64::from(PER_ROUND);
            if round > 0 {
                times[index].push(each);
            }
        }
    }

    println!(
        "1 KiB messages, data key in memory, one thread; medians of {ROUNDS} rounds of \
         {PER_ROUND}\n"
    );
    for (index, (name, _)) in contestants.iter().enumerate() {
        println!("{name:<38} {:>8.0} ns", median(times[index].clone()));
    }
    let [salt, derive, setup, seal, open, encrypt_row, decrypt_row, encrypt, decrypt] =
        [0, 1, 2, 3, 4, 5, 6, 7, 8];
    let ratio = |of: usize, parts: &[usize]| {
        median(
            (0..ROUNDS)
                .map(|round| {
                    times[of][round] / parts.iter().map(|part| times[*part][round]).sum::<f64>()
                })
                .collect(),
        )
    };
    println!("\n{:<14} {:>24} {:>30}", "", "of its parts in a row", "of its parts one by one, sum");
    for (name, of, row, parts) in [
        ("encrypt_into", encrypt, encrypt_row, &[salt, derive, setup, seal][..]),
        ("decrypt_into", decrypt, decrypt_row, &[derive, setup, open]),
    ] {
        println!("{name:<14} {:>24.3} {:>30.3}", ratio(of, &[row]), ratio(of, parts));
    }
}

/// All of it is ready at once: the keys are in memory.
fn poll<T>(future: impl Future<Output = ncp_envelope::Result<T>>) {
    let polled =
        std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(_))));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
