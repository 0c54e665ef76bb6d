//! Compares the program's encryption of CSV columns with a plain copy by the same csv crate.
//!
//! Run with `cargo bench --all-features --bench csv -- [--records N] [--rounds N]`: 1,000,000
//! records of 5 columns, 2 of them encrypted, and 5 rounds. All read a file in the page cache and
//! write to a file that is not synced. Every contestant takes turns with the copy, so that a change
//! of the machine's speed affects both; the ratio is the median of the rounds' ratios. The time of
//! the program is that of the whole process, its start and the call for the ring's keys included.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const BUFFER: usize = 256 << 10;

type Contestant<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let setting = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let number = |name: &str, otherwise: usize| {
        setting(name).map_or(otherwise, |text| text.parse().expect("a number is missing"))
    };
    let (records, rounds) = (number("--records", 1_000_000), number("--rounds", 5));
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fill(&dir.path().join("plain.csv"), records);
    run(dir.path(), "ring create --local --ring ring", None, "made");
    let options = "--local --ring ring --column name --column email --row-column id";
    let encrypt = format!("field csv encrypt {options}");
    let indexed = format!("field csv encrypt {options} --index email");
    let decrypt = format!("field csv decrypt {options}");
    run(dir.path(), &encrypt, Some("plain.csv"), "sealed.csv");
    let place = dir.path();
    let mut contestants: [Contestant<'_>; 4] = [
        ("copy of records", Box::new(|| copy(place))),
        ("encrypt", Box::new(|| run(place, &encrypt, Some("plain.csv"), "out"))),
        ("encrypt, with an index", Box::new(|| run(place, &indexed, Some("plain.csv"), "out"))),
        ("decrypt", Box::new(|| run(place, &decrypt, Some("sealed.csv"), "out"))),
    ];
    let mut seconds = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
        for ((_, contestant), seconds) in contestants.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            contestant();
            // The first round reads the files into the page cache.
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    println!("\n{records} records of 5 columns, 2 encrypted; medians of {rounds} rounds");
    println!("{:<28} {:>10} {:>16}", "", "seconds", "of its speed");
    for ((name, _), own) in contestants.iter().zip(&seconds) {
        let ratios = seconds[0].iter().zip(own).map(|(copy, own)| copy / own).collect();
        println!("{name:<28} {:>10.2} {:>16.3}", median(own.clone()), median(ratios));
    }
}

fn fill(path: &Path, records: usize) {
    let mut out = BufWriter::with_capacity(BUFFER, File::create(path).unwrap());
    writeln!(out, "id,name,email,city,balance").unwrap();
    for id in 0..records {
        writeln!(out, "{id},Person Number {id},person.{id}@example.com,Seoul,{}.50", id % 9_973)
            .unwrap();
    }
    out.flush().unwrap();
}

fn copy(dir: &Path) {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(BUFFER)
        .from_reader(File::open(dir.join("plain.csv")).unwrap());
    let out = File::create(dir.join("out")).unwrap();
    let mut writer = WriterBuilder::new().buffer_capacity(BUFFER).from_writer(out);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).unwrap() {
        writer.write_byte_record(&record).unwrap();
    }
    writer.flush().unwrap();
}

fn run(dir: &Path, args: &str, input: Option<&str>, output: &str) {
    let input = input.map_or_else(Stdio::null, |name| File::open(dir.join(name)).unwrap().into());
    let status = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"))
        .args(["-q"])
        .args(args.split(' '))
        .current_dir(dir)
        .env("XDG_DATA_HOME", dir.join("data"))
        .stdin(input)
        .stdout(File::create(dir.join(output)).unwrap())
        .status();
    assert!(status.unwrap().success(), "{args}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
