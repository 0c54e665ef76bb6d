//! Streams of 64 MiB on one core, in groups with the bare primitive over the same memory.
//!
//! Run with `cargo bench --bench stream`. The primitive takes 16 KiB at a time, without any format
//! around it, and writes where the contestants of its group write: to one small buffer if they pass
//! the result on, to a buffer of 64 MiB if they keep it, to a new vector if they return one. Alone
//! in a group is the primitive over one buffer that never leaves the first-level cache: what it
//! could do if reading memory cost nothing. One group has every library of the build (`--features
//! ring`) on one thread and on two.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod turns;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{Criterion, criterion_group, criterion_main};
use ncp_envelope::format::{CHUNK_LEN, Header, PREAMBLE_LEN, SEALED_CHUNK_LEN};
use ncp_envelope::{
    BlockingEnvelope, CipherBackend, DataKey, DecryptPolicy, EncryptOptions, EncryptionContext,
    Envelope, LocalKeyWrapper,
};
use std::hint::black_box;
use std::io::{Read, Write};
use turns::{Contestant, Group};

const LEN: usize = 64 << 20;
const SEALED: usize = LEN + LEN / CHUNK_LEN * (SEALED_CHUNK_LEN - CHUNK_LEN);

/// Counts what it is given; a stand-in for a socket that costs nothing.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(buf).len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What all groups work on.
struct Bench {
    key: LessSafeKey,
    envelope: BlockingEnvelope,
    plaintext: Vec<u8>,
    message: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
        let envelope = Envelope::builder(wrapper).build().unwrap().blocking();
        let plaintext: Vec<u8> =
            (0..LEN as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let message = envelope.encrypt(&plaintext, EncryptionContext::new()).unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        Self { key, envelope, plaintext, message }
    }

    /// The bare primitive, from memory to memory.
    fn seal(&self, index: usize, chunk: &[u8], out: &mut [u8]) {
        let (out, tag) = out.split_at_mut(chunk.len());
        let nonce = nonce(index);
        self.key.seal_out_of_place_scatter(nonce, Aad::empty(), chunk, out, &[], tag).unwrap();
    }

    fn seal_all(&self, out: &mut [u8]) {
        let chunks = self.plaintext.chunks(CHUNK_LEN).zip(out.chunks_mut(SEALED_CHUNK_LEN));
        for (index, (chunk, out)) in chunks.enumerate() {
            self.seal(index, chunk, out);
        }
        black_box(out);
    }
}

fn nonce(index: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn group(name: &'static str) -> Group {
    Group { name, bytes: LEN, rounds: 15, runs: 1 }
}

fn passed_on(criterion: &mut Criterion, bench: &Bench) {
    let mut small = vec![1; SEALED_CHUNK_LEN];
    let mut buffer = vec![1; 256 * 1024];
    let mut contestants: [Contestant<'_>; 3] = [
        (
            "bare, into one buffer of 16 KiB",
            Box::new(|| {
                for (index, chunk) in bench.plaintext.chunks(CHUNK_LEN).enumerate() {
                    bench.seal(index, chunk, &mut small);
                    black_box(&small);
                }
            }),
        ),
        (
            "writer, 64 MiB in one write",
            Box::new(|| {
                let context = EncryptionContext::new();
                let mut writer = bench.envelope.writer(Counter(0), context).unwrap();
                writer.write_all(&bench.plaintext).unwrap();
                assert_eq!(writer.finish().unwrap().0, bench.message.len());
            }),
        ),
        (
            "reader of a slice, 256 KiB a read",
            Box::new(|| {
                let policy = DecryptPolicy::new();
                let mut reader = bench.envelope.buf_reader(&bench.message[..], &policy).unwrap();
                let mut total = 0;
                while let len @ 1.. = reader.read(&mut buffer).unwrap() {
                    total += black_box(&buffer[..len]).len();
                }
                assert_eq!(total, LEN);
            }),
        ),
    ];
    group("stream, passed on").measure(criterion, &mut contestants);
}

fn kept(criterion: &mut Criterion, bench: &Bench) {
    let mut bare = vec![1; SEALED];
    let mut sealed = vec![1; SEALED + SEALED_CHUNK_LEN];
    let mut opened = vec![1; LEN + CHUNK_LEN];
    let mut again = Vec::new();
    let offset = Header::decode(&bench.message).unwrap().bound().body_offset();
    let preamble: &[u8; PREAMBLE_LEN] =
        bench.message[offset..offset + PREAMBLE_LEN].try_into().unwrap();
    let mut contestants: [Contestant<'_>; 4] = [
        ("bare, into a buffer of 64 MiB", Box::new(|| bench.seal_all(&mut bare))),
        (
            "encryptor",
            Box::new(|| {
                let mut encryptor = bench.envelope.encryptor(EncryptionContext::new()).unwrap();
                let progress = encryptor.update(&bench.plaintext, &mut sealed).unwrap();
                encryptor.finish(&mut sealed[progress.written..]).unwrap();
                black_box(&sealed);
            }),
        ),
        (
            "decryptor",
            Box::new(|| {
                let header = Header::decode(&bench.message).unwrap();
                let policy = DecryptPolicy::new();
                let mut decryptor = bench.envelope.decryptor(&header, preamble, &policy).unwrap();
                let body = &bench.message[offset + PREAMBLE_LEN..];
                let progress = decryptor.update(body, &mut opened).unwrap();
                decryptor.finish(&mut opened[progress.written..]).unwrap();
                black_box(&opened);
            }),
        ),
        (
            "encrypt_into",
            Box::new(|| {
                let options = EncryptOptions::default();
                bench.envelope.encrypt_into(&bench.plaintext, &options, &mut again).unwrap();
                black_box(&again);
            }),
        ),
    ];
    group("stream, kept").measure(criterion, &mut contestants);
}

/// Each library of this build by itself, and on two threads.
fn each_cipher(criterion: &mut Criterion, bench: &Bench) {
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for backend in CipherBackend::ALL {
        let envelope = Envelope::builder(wrapper.clone()).cipher(*backend).build().unwrap();
        for threads in [1, 2] {
            let name = |what: &str| -> &'static str {
                format!("{what}, {backend}, threads: {threads}").leak()
            };
            let one = envelope.threads(threads).blocking();
            let (other, mut sealed, mut opened) = (one.clone(), Vec::new(), Vec::new());
            let message = one.encrypt(&bench.plaintext, EncryptionContext::new()).unwrap();
            contestants.push((
                name("encrypt_into"),
                Box::new(move || {
                    let context = EncryptionContext::new();
                    one.encrypt_into(&bench.plaintext, context, &mut sealed).unwrap();
                    black_box(&sealed);
                }),
            ));
            contestants.push((
                name("decrypt_into"),
                Box::new(move || {
                    other.decrypt_into(&message, DecryptPolicy::new(), &mut opened).unwrap();
                    black_box(&opened);
                }),
            ));
        }
    }
    group("stream, each cipher").measure(criterion, &mut contestants);
}

fn returned(criterion: &mut Criterion, bench: &Bench) {
    let mut contestants: [Contestant<'_>; 3] = [
        ("bare, into a new vector", Box::new(|| bench.seal_all(&mut vec![0; SEALED]))),
        (
            "encrypt",
            Box::new(|| {
                let context = EncryptionContext::new();
                black_box(bench.envelope.encrypt(&bench.plaintext, context).unwrap());
            }),
        ),
        (
            "decrypt, wiped in the end",
            Box::new(|| {
                black_box(bench.envelope.decrypt(&bench.message, DecryptPolicy::new()).unwrap());
            }),
        ),
    ];
    group("stream, returned").measure(criterion, &mut contestants);
}

fn cached(criterion: &mut Criterion, bench: &Bench) {
    let mut hot = vec![0x5A; CHUNK_LEN];
    let mut contestants: [Contestant<'_>; 1] = [(
        "bare, one buffer of 16 KiB in place",
        Box::new(|| {
            for index in 0..LEN / CHUNK_LEN {
                let tag = bench
                    .key
                    .seal_in_place_separate_tag(nonce(index), Aad::empty(), &mut hot)
                    .unwrap();
                black_box((&tag, &hot));
            }
        }),
    )];
    group("stream, no memory read").measure(criterion, &mut contestants);
}

fn stream(criterion: &mut Criterion) {
    let bench = Bench::new();
    passed_on(criterion, &bench);
    kept(criterion, &bench);
    each_cipher(criterion, &bench);
    returned(criterion, &bench);
    cached(criterion, &bench);
}

criterion_group!(benches, stream);
criterion_main!(benches);
