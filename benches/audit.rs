//! How many files an audit and a rewrap process in a second.
//!
//! Run with `cargo bench --bench audit -- [--files N] [--dir DIR] [--rounds N]`. The files are in
//! DIR (default: the package's target directory), a thousand in each directory, and in the page
//! cache. The audit takes turns with a program that only opens each file and reads its first 4,096
//! bytes on one thread, so that a change of the machine's speed affects both. The rewrap uses a
//! local key, which takes no time, without a sync: it measures the walk, the lock and the write.
//! The figures are medians over the rounds.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ncp_envelope::format::Profile;
use ncp_envelope::stored::{AuditOptions, RewrapOptions, WriteOptions, audit};
use ncp_envelope::{DataKey, EncryptOptions, Envelope, LocalKeyWrapper};
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let setting = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let number = |name: &str, otherwise: usize| {
        setting(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let (files, rounds) = (number("--files", 20_000), number("--rounds", 7));
    let base =
        setting("--dir").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(base).unwrap();
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let envelope = Envelope::builder(wrapper).build().unwrap().blocking();
    let profiles = [Profile::Compact, Profile::Durable, Profile::Page];
    let messages = profiles.map(|profile| {
        envelope.encrypt([7; 2_000], EncryptOptions::new().layout(profile)).unwrap()
    });
    let paths: Vec<PathBuf> = (0..files)
        .map(|n| {
            let folder = dir.path().join(format!("{}", n / 1_000));
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("{n}.ncpe"));
            fs::write(&path, &messages[n % messages.len()]).unwrap();
            path
        })
        .collect();

    let median = |mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let rate = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        files as f64 / start.elapsed().as_secs_f64()
    };
    let one = || {
        let audit = audit(paths.clone(), &AuditOptions::new().threads(1));
        assert_eq!(audit.messages, files as u64);
    };
    let all = || {
        let audit = audit(paths.clone(), &AuditOptions::new());
        assert_eq!(audit.messages, files as u64);
    };
    let bare = || {
        let mut buf = [0; 4_096];
        for path in &paths {
            assert!(File::open(path).unwrap().read(&mut buf).unwrap() > 0);
        }
    };
    let rewrap = || {
        let quick = RewrapOptions::new().write(WriteOptions::new().sync(false));
        let report = envelope.rewrap_files(paths.clone(), &quick).unwrap();
        assert_eq!(report.rewrapped, files as u64);
    };
    let mut rates = [const { Vec::new() }; 4];
    bare();
    for _ in 0..rounds {
        let contestants: [&dyn Fn(); 4] = [&bare, &one, &all, &rewrap];
        for (rates, work) in rates.iter_mut().zip(contestants) {
            rates.push(rate(work));
        }
    }
    println!("{files} files of three layouts; files a second, medians of {rounds} rounds");
    let names = ["open and read", "audit, one thread", "audit, all cores", "rewrap, not synced"];
    for (name, rates) in names.into_iter().zip(rates) {
        println!("{name:<20}{:>10.0}", median(rates));
    }
}
