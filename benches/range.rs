//! Ranges of one message in memory, by one thread and by two; and the whole message compared with
//! `decrypt`.
//!
//! Run with `cargo bench --bench range`. Ranges of three lengths, at the same places in every run;
//! two threads read half of them each, from one reader. Every round measures all contestants one
//! after the other, so that a change of the machine's speed affects all of them. The figures are
//! medians over the rounds; a ratio is the median of the rounds' ratios.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ncp_envelope::io::RangeReader;
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
use std::hint::black_box;
use std::ops::Range;
use std::thread;
use std::time::Instant;

const LEN: u64 = 64 << 20;
const ROUNDS: usize = 15;
/// The length of a range, and how many there are.
const RANGES: [(u64, u64); 3] = [(4 << 10, 8_000), (64 << 10, 2_000), (1 << 20, 200)];

/// Reads the ranges with these indices.
fn read(reader: &RangeReader<&[u8]>, len: u64, numbers: Range<u64>) {
    let mut buf = vec![0; len as usize];
    for number in numbers {
        let at = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (LEN - len);
        reader.read_into(&mut buf, at).unwrap();
        black_box(&buf);
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let envelope = Envelope::builder(wrapper).build().unwrap().blocking();
    let plaintext: Vec<u8> =
        (0..LEN as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let message = envelope.encrypt(&plaintext, EncryptionContext::new()).unwrap();
    drop(plaintext);
    let policy = DecryptPolicy::new();
    let reader = envelope.range_reader(&message[..], &policy).unwrap();

    println!("ranges of a message of 64 MiB in memory, medians of {ROUNDS} rounds");
    println!("{:<34} {:>10} {:>11} {:>6}", "", "one thread", "two threads", "ratio");
    for (len, count) in RANGES {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let alone = seconds(|| read(&reader, len, 0..count));
            let together = seconds(|| {
                thread::scope(|scope| {
                    scope.spawn(|| read(&reader, len, 0..count / 2));
                    read(&reader, len, count / 2..count);
                });
            });
            // The first round touches the memory and is not counted.
            if round > 0 {
                one.push(alone);
                two.push(together);
            }
        }
        let ratio = median(one.iter().zip(&two).map(|(one, two)| one / two).collect());
        let speed = |seconds: Vec<f64>| (len * count) as f64 / median(seconds) / 1e9;
        let name = format!("{count} ranges of {} KiB", len >> 10);
        let (one, two) = (speed(one), speed(two));
        println!("{name:<34} {one:>5.2} GB/s {two:>6.2} GB/s {ratio:>6.2}");
    }

    let (mut ranges, mut whole) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let all = seconds(|| drop(black_box(reader.read(..).unwrap())));
        let decrypt = seconds(|| drop(black_box(envelope.decrypt(&message, &policy).unwrap())));
        if round > 0 {
            ranges.push(all);
            whole.push(decrypt);
        }
    }
    let ratio = median(whole.iter().zip(&ranges).map(|(whole, all)| whole / all).collect());
    let speed = |seconds: Vec<f64>| LEN as f64 / median(seconds) / 1e9;
    println!("\nall of it, into a new buffer that is wiped in the end");
    println!("{:<34} {:>5.2} GB/s", "decrypt", speed(whole));
    println!("{:<34} {:>5.2} GB/s {ratio:>20.2} of decrypt", "as one range", speed(ranges));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
