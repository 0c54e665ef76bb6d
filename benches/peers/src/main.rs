//! Time per message or value in memory, next to other libraries, on one thread.
//!
//! `benches/peers/run` builds and runs this and everything else; see there.

mod contestant;
#[cfg(feature = "aws-esdk")]
mod esdk;
mod fields;
mod file;
mod limits;
mod openssl;
mod ours;
mod peers;
mod python;

use contestant::{Entry, Group, Operation, Rounds};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const MESSAGES: Rounds = Rounds { count: 9, turn: Duration::from_millis(40) };
/// Many short rounds: one that another process interrupts is then one of many.
const VALUES: Rounds = Rounds { count: 501, turn: Duration::from_millis(2) };
/// Each with a label, and whether the small or the large contestants run.
const SIZES: [(usize, &str); 3] = [(1 << 10, "1 KiB"), (1 << 20, "1 MiB"), (64 << 20, "64 MiB")];

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "file").is_some() {
        return file::run(arguments);
    }
    let values = arguments.next_if(|first| first == "fields").is_some();
    let (mut output, mut python, mut only) = (None, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => output = arguments.next().map(PathBuf::from),
            "--python" => python = arguments.next().map(PathBuf::from),
            "--size" if !values => only = arguments.next(),
            _ => panic!(
                "usage: ncp-envelope-peers [fields] [--json FILE] [--python PROGRAM] \
                 [--size '1 KiB']"
            ),
        }
    }
    let python = python.as_deref();
    let (rounds, tables) = if values {
        (VALUES, measure(fields::groups(python), VALUES))
    } else {
        let wanted = |label: &str| only.as_deref().is_none_or(|only| only == label);
        let sizes = SIZES.into_iter().filter(|(_, label)| wanted(label));
        let group = |(len, label)| Group { label, len, entries: entries(len, python) };
        // One size after the other: the large messages of one are gone before the next.
        (MESSAGES, sizes.flat_map(|size| measure(vec![group(size)], MESSAGES)).collect())
    };
    if let Some(output) = output {
        let text = serde_json::to_string_pretty(&json!({
            "rounds": rounds.count,
            "cipher": ours::cipher().name(),
            "sizes": Value::Array(tables),
        }))
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

/// All entries of all groups take turns in each round.
fn measure(mut groups: Vec<Group>, rounds: Rounds) -> Vec<Value> {
    let plaintexts: Vec<_> = groups.iter().map(|group| plaintext(group.len)).collect();
    for (group, plaintext) in groups.iter_mut().zip(&plaintexts) {
        group.entries.iter_mut().for_each(|entry| entry.prepare(plaintext, rounds.turn));
    }
    for _ in 0..rounds.count {
        for operation in [Operation::Encrypt, Operation::Decrypt] {
            for (group, plaintext) in groups.iter_mut().zip(&plaintexts) {
                group.entries.iter_mut().for_each(|entry| entry.round(operation, plaintext));
            }
        }
    }
    groups.iter().map(|group| report(group, rounds.count)).collect()
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn report(group: &Group, rounds: usize) -> Value {
    let Group { label, len, entries } = group;
    let ours = &entries[0];
    println!(
        "\n{label}, one thread, medians of {rounds} rounds; ratios are times of ours in the same \
         round"
    );
    println!("{:<58} {:>12} {:>8} {:>12} {:>8}", "", "encrypt us", "ratio", "decrypt us", "ratio");
    for entry in entries {
        entry.print(ours);
    }
    json!({ "len": len, "label": label,
        "rows": entries.iter().map(|entry| entry.json(ours)).collect::<Vec<_>>() })
}
