//! Time per message in memory, next to other libraries, on one thread.
//!
//! `benches/peers/run` builds and runs this and everything else; see there.

mod contestant;
#[cfg(feature = "aws-esdk")]
mod esdk;
mod file;
mod limits;
mod openssl;
mod ours;
mod peers;
mod python;

use contestant::{Entry, Operation};
use serde_json::{Value, json};
use std::path::PathBuf;

const ROUNDS: usize = 9;
/// Each with a label, and whether the small or the large contestants run.
const SIZES: [(usize, &str); 3] = [(1 << 10, "1 KiB"), (1 << 20, "1 MiB"), (64 << 20, "64 MiB")];

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "file").is_some() {
        return file::run(arguments);
    }
    let (mut output, mut python, mut only) = (None, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => output = arguments.next().map(PathBuf::from),
            "--python" => python = arguments.next().map(PathBuf::from),
            "--size" => only = arguments.next(),
            _ => panic!(
                "usage: ncp-envelope-peers [--json FILE] [--python PROGRAM] [--size '1 KiB']"
            ),
        }
    }
    let wanted = |label: &str| only.as_deref().is_none_or(|only| only == label);
    let sizes = SIZES
        .iter()
        .filter(|(_, label)| wanted(label))
        .map(|&(len, label)| measure(len, label, python.as_deref()))
        .collect();
    if let Some(output) = output {
        let text = serde_json::to_string_pretty(
            &json!({ "rounds": ROUNDS, "sizes": Value::Array(sizes) }),
        )
        .unwrap();
        std::fs::write(output, text + "\n").unwrap();
    }
}

/// The contestants for a size. The first is ours, and the others are compared with it.
fn entries(len: usize, python: Option<&std::path::Path>) -> Vec<Entry> {
    let mut entries = ours::entries(len);
    entries.extend(limits::entries(len));
    entries.extend(openssl::entries(len));
    entries.extend(peers::entries(len));
    #[cfg(feature = "aws-esdk")]
    entries.extend(esdk::entries(len));
    #[cfg(not(feature = "aws-esdk"))]
    entries.push(Entry::missing(
        "AWS Encryption SDK for Rust",
        "it did not build here, or was left out with PEERS_AWS_ESDK=no",
    ));
    entries.extend(python::entries(len, python));
    entries
}

fn measure(len: usize, label: &str, python: Option<&std::path::Path>) -> Value {
    let plaintext: Vec<u8> =
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut entries = entries(len, python);
    for entry in &mut entries {
        entry.prepare(&plaintext);
    }
    for _ in 0..ROUNDS {
        for operation in [Operation::Encrypt, Operation::Decrypt] {
            for entry in &mut entries {
                entry.round(operation, &plaintext);
            }
        }
    }
    let (ours, _) = entries.split_first().unwrap();
    println!(
        "\n{label}, one thread, medians of {ROUNDS} rounds; ratios are times of ours in the same \
         round"
    );
    println!("{:<58} {:>12} {:>8} {:>12} {:>8}", "", "encrypt us", "ratio", "decrypt us", "ratio");
    for entry in &entries {
        entry.print(ours);
    }
    json!({ "len": len, "label": label,
        "rows": entries.iter().map(|entry| entry.json(ours, len)).collect::<Vec<_>>() })
}
