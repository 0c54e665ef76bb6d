//! Streams of 64 MiB on one core, next to the bare primitive in the same run.
//!
//! Run with `cargo bench --bench stream`. The limit of a stream is the bare primitive over the same
//! 64 MiB of memory, 16 KiB at a time, without any format around it: into one small buffer for
//! those who pass the result on, into a buffer of 64 MiB for those who keep it, into a new vector
//! for those who return one. The third limit, one buffer that never leaves the first-level cache,
//! is what the primitive could do if reading memory cost nothing. Every round measures all
//! contestants one after the other, so that a machine that changes its speed changes it for all;
//! the figures are medians over the rounds, and the ratio is the median of each round's ratio.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ncp_envelope::format::{CHUNK_LEN, Header, PREAMBLE_LEN, SEALED_CHUNK_LEN};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, LocalKeyWrapper,
};
use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Instant;

const LEN: usize = 64 << 20;
const ROUNDS: usize = 15;
/// For each contestant in `main`, which of the first four is its limit.
const LIMIT_OF: [usize; 11] = [0, 1, 2, 3, 0, 0, 1, 1, 1, 3, 3];

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

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let envelope = Envelope::builder(wrapper).build().unwrap();
    let plaintext: Vec<u8> =
        (0..LEN as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let message = runtime.block_on(envelope.encrypt(&plaintext, EncryptionContext::new())).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let nonce = |index: usize| {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    };

    let mut hot = vec![0x5A; CHUNK_LEN];
    let mut sealed = vec![1; LEN + LEN / CHUNK_LEN * 16 + SEALED_CHUNK_LEN];
    let mut opened = vec![1; LEN + CHUNK_LEN];
    let mut buffer = vec![1; 256 * 1024];
    let offset = Header::decode(&message).unwrap().bound().body_offset();
    let preamble: &[u8; PREAMBLE_LEN] = message[offset..offset + PREAMBLE_LEN].try_into().unwrap();

    let mut kept = Vec::new();
    let mut small = vec![1; SEALED_CHUNK_LEN];
    let mut bare_sealed = vec![1; LEN + LEN / CHUNK_LEN * 16 + SEALED_CHUNK_LEN];
    let seal = |index, chunk: &[u8], out: &mut [u8]| {
        let (out, tag) = out.split_at_mut(chunk.len());
        key.seal_out_of_place_scatter(nonce(index), Aad::empty(), chunk, out, &[], tag).unwrap();
    };

    type Contestant<'a> = (&'a str, Box<dyn FnMut() + 'a>);
    let mut contestants: Vec<Contestant<'_>> = vec![
        (
            "A  bare, 16 KiB at a time, into one 16 KiB buffer",
            Box::new(|| {
                for (index, chunk) in plaintext.chunks(CHUNK_LEN).enumerate() {
                    seal(index, chunk, &mut small);
                    black_box(&small);
                }
            }),
        ),
        (
            "B  bare, 16 KiB at a time, into a reused 64 MiB buffer",
            Box::new(|| {
                for ((index, chunk), out) in plaintext
                    .chunks(CHUNK_LEN)
                    .enumerate()
                    .zip(bare_sealed.chunks_mut(SEALED_CHUNK_LEN))
                {
                    seal(index, chunk, out);
                }
                black_box(&bare_sealed);
            }),
        ),
        (
            "C  bare, one 16 KiB buffer in place, 4096 times, no memory read",
            Box::new(|| {
                for index in 0..LEN / CHUNK_LEN {
                    let tag = key
                        .seal_in_place_separate_tag(nonce(index), Aad::empty(), &mut hot)
                        .unwrap();
                    black_box((&tag, &hot));
                }
            }),
        ),
        (
            "D  bare, 16 KiB at a time, into a new 64 MiB vector",
            Box::new(|| {
                let mut sealed = vec![0; LEN + LEN / CHUNK_LEN * 16];
                for ((index, chunk), out) in
                    plaintext.chunks(CHUNK_LEN).enumerate().zip(sealed.chunks_mut(SEALED_CHUNK_LEN))
                {
                    seal(index, chunk, out);
                }
                black_box(&sealed);
            }),
        ),
        (
            "   writer: 64 MiB in one write, to a writer that counts",
            Box::new(|| {
                let mut writer = runtime
                    .block_on(envelope.writer(Counter(0), EncryptionContext::new()))
                    .unwrap();
                writer.write_all(&plaintext).unwrap();
                assert_eq!(writer.finish().unwrap().0, message.len());
            }),
        ),
        (
            "   reader: from a slice, 256 KiB a read",
            Box::new(|| {
                let mut reader = runtime
                    .block_on(envelope.buf_reader(&message[..], &DecryptPolicy::new()))
                    .unwrap();
                let mut total = 0;
                while let len @ 1.. = reader.read(&mut buffer).unwrap() {
                    total += black_box(&buffer[..len]).len();
                }
                assert_eq!(total, LEN);
            }),
        ),
        (
            "   encryptor: into one reused 64 MiB buffer",
            Box::new(|| {
                let mut encryptor =
                    runtime.block_on(envelope.encryptor(EncryptionContext::new())).unwrap();
                let progress = encryptor.update(&plaintext, &mut sealed).unwrap();
                encryptor.finish(&mut sealed[progress.written..]).unwrap();
                black_box(&sealed);
            }),
        ),
        (
            "   decryptor: into one reused 64 MiB buffer",
            Box::new(|| {
                let header = Header::decode(&message).unwrap();
                let mut decryptor = runtime
                    .block_on(envelope.decryptor(&header, preamble, &DecryptPolicy::new()))
                    .unwrap();
                let progress =
                    decryptor.update(&message[offset + PREAMBLE_LEN..], &mut opened).unwrap();
                decryptor.finish(&mut opened[progress.written..]).unwrap();
                black_box(&opened);
            }),
        ),
        (
            "   encrypt_into: a vector that is used again",
            Box::new(|| {
                runtime
                    .block_on(envelope.encrypt_into(
                        &plaintext,
                        &EncryptOptions::default(),
                        &mut kept,
                    ))
                    .unwrap();
                black_box(&kept);
            }),
        ),
        (
            "   encrypt: a new vector",
            Box::new(|| {
                black_box(
                    runtime
                        .block_on(envelope.encrypt(&plaintext, EncryptionContext::new()))
                        .unwrap(),
                );
            }),
        ),
        (
            "   decrypt: a new vector, wiped in the end",
            Box::new(|| {
                black_box(
                    runtime.block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap(),
                );
            }),
        ),
    ];

    let mut seconds = vec![Vec::new(); contestants.len()];
    for round in 0..=ROUNDS {
        for (index, (_, run)) in contestants.iter_mut().enumerate() {
            let start = Instant::now();
            run();
            let spent = start.elapsed().as_secs_f64();
            // The first round touches the memory and is not counted.
            if round > 0 {
                seconds[index].push(spent);
            }
        }
    }

    println!(
        "64 MiB on one core, medians of {ROUNDS} rounds; the ratio is to the limit with that \
         letter, in the same round"
    );
    println!("{:<62} {:>6} {:>12}", "", "GB/s", "of limit");
    for (index, (name, _)) in contestants.iter().enumerate() {
        let speed = LEN as f64 / median(seconds[index].clone()) / 1e9;
        let limit = LIMIT_OF[index];
        let ratio = median(
            seconds[limit].iter().zip(&seconds[index]).map(|(limit, own)| limit / own).collect(),
        );
        let letter = char::from(b'A' + limit as u8);
        println!("{name:<62} {speed:>6.2} {ratio:>10.3} {letter}");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
