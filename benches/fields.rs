//! Values of 64 bytes under a key ring whose keys are in memory, next to the parts that they are
//! made of; and columns of 1,000,000 values.
//!
//! Run with `cargo bench --bench fields`. The parts are those of the construction, with the
//! primitives alone and keys that are set up: a random salt, HMAC-SHA-256 and AES-256 in counter
//! mode. What is measured against them is everything: whether the ring's keys may still be used,
//! the look-up of what is derived for the field, and the parts. `benches/peers` has other
//! libraries, for values and for messages.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod turns;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use criterion::{Criterion, criterion_group, criterion_main};
use ncp_envelope::fields::FieldMode;
use ncp_envelope::{CacheLimits, DataKey, Envelope, LocalKeyWrapper};
use std::hint::black_box;
use std::time::{Duration, Instant};
use turns::{Contestant, Group};

const LEN: usize = 64;
const COLUMN: usize = 1_000_000;
const COLUMN_LEN: usize = 32;
const ROW: [u8; 8] = 4_711_u64.to_be_bytes();

struct Parts {
    mac: hmac::Key,
    cipher: EncryptingKey,
}

impl Parts {
    fn new() -> Self {
        let cipher = UnboundCipherKey::new(&AES_256, &[8; 32]).unwrap();
        Self {
            mac: hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]),
            cipher: EncryptingKey::ctr(cipher).unwrap(),
        }
    }

    fn mac(&self, salt: &[u8], value: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.mac);
        for part in [&8_u64.to_be_bytes()[..], &ROW, salt, value] {
            mac.update(part);
        }
        mac.sign()
    }

    fn apply(&self, tag: &[u8], body: &mut [u8]) {
        let counter: [u8; 16] = tag[..16].try_into().unwrap();
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        self.cipher.less_safe_encrypt(body, context).unwrap();
    }
}

fn group(name: &'static str, bytes: usize) -> Group {
    // Many short rounds: one that another process interrupts is then one of many.
    Group { name, bytes, rounds: 501, runs: 200 }
}

fn envelope() -> Envelope {
    let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate().unwrap()).unwrap();
    let limits = CacheLimits::new(Duration::from_secs(3_600));
    Envelope::builder(wrapper).cache(limits).build().unwrap()
}

fn values(criterion: &mut Criterion) {
    let ring = envelope().blocking().create_ring().unwrap();
    let field = ring.field("customers.email").unwrap();
    let fixed = field.clone().with_mode(FieldMode::Deterministic);
    let (value, parts) = ([0x5A; LEN], Parts::new());
    let (mut salted, mut bare, mut out) = (vec![0; LEN + 54], vec![0; LEN + 38], Vec::new());
    let mut out_fixed = Vec::new();
    let mut encryption: [Contestant<'_>; 5] = [
        (
            "its parts, deterministic",
            Box::new(|| {
                let tag = parts.mac(&[], black_box(&value));
                bare[38..].copy_from_slice(&value);
                parts.apply(tag.as_ref(), &mut bare[38..]);
                bare[6..38].copy_from_slice(tag.as_ref());
            }),
        ),
        (
            "its parts, randomized, a salt from the system",
            Box::new(|| {
                getrandom::fill(&mut salted[38..54]).unwrap();
                let tag = parts.mac(&salted[38..54], black_box(&value));
                salted[54..].copy_from_slice(&value);
                parts.apply(tag.as_ref(), &mut salted[54..]);
            }),
        ),
        (
            "encrypt_into, randomized",
            Box::new(|| field.encrypt_into(black_box(&value), ROW, &mut out).unwrap()),
        ),
        (
            "encrypt_into, deterministic",
            Box::new(|| fixed.encrypt_into(black_box(&value), ROW, &mut out_fixed).unwrap()),
        ),
        ("encrypt, randomized", Box::new(|| drop(field.encrypt(black_box(&value), ROW).unwrap()))),
    ];
    group("fields, encryption", LEN).measure(criterion, &mut encryption);

    let (random, fixed) = (field.encrypt(value, ROW).unwrap(), fixed.encrypt(value, ROW).unwrap());
    let (mut body, mut opened, mut opened_fixed) = (vec![0; LEN], Vec::new(), Vec::new());
    let mut decryption: [Contestant<'_>; 5] = [
        (
            "its parts, deterministic",
            Box::new(|| {
                body.copy_from_slice(black_box(&fixed[38..]));
                parts.apply(&fixed[6..], &mut body);
                black_box(parts.mac(&[], &body));
            }),
        ),
        (
            "decrypt_into, randomized",
            Box::new(|| field.decrypt_into(black_box(&random), ROW, &mut opened).unwrap()),
        ),
        (
            "decrypt_into, deterministic",
            Box::new(|| field.decrypt_into(black_box(&fixed), ROW, &mut opened_fixed).unwrap()),
        ),
        ("decrypt, randomized", Box::new(|| drop(field.decrypt(black_box(&random), ROW).unwrap()))),
        (
            "index",
            Box::new(|| {
                black_box(field.index(black_box(&value)).unwrap());
            }),
        ),
    ];
    group("fields, decryption and index", LEN).measure(criterion, &mut decryption);
}

/// Values a second, the median of some rounds; criterion's many samples would take minutes.
fn columns(_: &mut Criterion) {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let ring = envelope().blocking().create_ring().unwrap();
    let field = ring.field("customers.email").unwrap();
    let value = |at: usize| {
        let mut value = [0x5A; COLUMN_LEN];
        value[..8].copy_from_slice(&at.to_be_bytes());
        value
    };
    let rows: Vec<_> = (0..COLUMN).map(|at| (value(at), at.to_be_bytes())).collect();
    let values: Vec<_> = rows.iter().map(|(value, _)| *value).collect();
    let column = field.encrypt_many(&rows).unwrap();
    let sealed: Vec<_> = column.iter().zip(rows.iter().map(|(_, row)| row)).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("columns of {COLUMN} values of {COLUMN_LEN} bytes, {cores} cores");
    let report = |name: &str, run: &mut dyn FnMut()| {
        let mut seconds: Vec<_> = (0..7)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!("{name:<44} {:>12.0} values/s", COLUMN as f64 / seconds[seconds.len() / 2]);
    };
    report("encrypt_many", &mut || drop(field.encrypt_many(&rows).unwrap()));
    report("decrypt_many", &mut || field.decrypt_many(&sealed).unwrap().check().unwrap());
    report("index_many", &mut || drop(field.index_many(&values).unwrap()));
    let mut out = Vec::new();
    report("encrypt_into, one by one on one core", &mut || {
        rows.iter().for_each(|(value, row)| field.encrypt_into(value, row, &mut out).unwrap());
    });
}

criterion_group!(benches, values, columns);
criterion_main!(benches);
