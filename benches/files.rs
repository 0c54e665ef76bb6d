//! Whole files, next to `cp` of the same file in the same round.
//!
//! Run with `cargo bench --bench files -- [--size MIB] [--dir DIR] [--rounds N]`. The files lie in DIR, the package's own target directory unless told
//! otherwise, and are in the page cache. Every round runs all contestants one after the other, so that a machine that changes its speed changes it
//! for all; the figures are medians over the rounds, and the ratio is the median of each round's ratio. Nobody's target exists when it starts.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ncp_envelope::io::FileOptions;
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Who runs, and the index of whom it is compared with.
type Contestant<'a> = (&'static str, usize, Box<dyn FnMut(&Path) + 'a>);

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let setting = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let mib: u64 = setting("--size").map_or(1_024, |size| size.parse().expect("--size is a number of MiB"));
    let rounds: usize = setting("--rounds").map_or(7, |rounds| rounds.parse().expect("--rounds is a number"));
    let base = setting("--dir").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(base).unwrap();
    let (plain, sealed) = (dir.path().join("plain"), dir.path().join("sealed"));
    fill(&plain, mib);

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let envelope = Envelope::builder(wrapper).build().unwrap();
    let encrypt = |target: &Path, threads: usize, sync: bool| {
        let options = FileOptions::new().threads(threads).sync(sync);
        runtime.block_on(envelope.encrypt_file(&plain, target, EncryptionContext::new(), &options)).unwrap();
    };
    let decrypt = |target: &Path, threads: usize, sync: bool| {
        let options = FileOptions::new().threads(threads).sync(sync);
        runtime.block_on(envelope.decrypt_file(&sealed, target, &DecryptPolicy::new(), &options)).unwrap();
    };
    encrypt(&sealed, 0, false);

    println!("{mib} MiB, file to file in the page cache, not synced; medians of {rounds} rounds");
    measure(
        &dir.path().join("out"),
        rounds,
        mib,
        &mut [
            ("cp", 0, Box::new(|out| copy(&plain, out, false))),
            ("encrypt, all cores", 0, Box::new(|out| encrypt(out, 0, false))),
            ("decrypt, all cores", 0, Box::new(|out| decrypt(out, 0, false))),
            ("encrypt, one thread", 0, Box::new(|out| encrypt(out, 1, false))),
            ("decrypt, one thread", 0, Box::new(|out| decrypt(out, 1, false))),
        ],
    );
    if std::env::var_os("K_NOSYNC").is_some() {
        return;
    }
    println!("\nthe same, synced");
    measure(
        &dir.path().join("out"),
        rounds,
        mib,
        &mut [
            ("cp and sync of the copy", 0, Box::new(|out| copy(&plain, out, true))),
            ("encrypt, all cores", 0, Box::new(|out| encrypt(out, 0, true))),
            ("decrypt, all cores", 0, Box::new(|out| decrypt(out, 0, true))),
        ],
    );
}

/// Runs everyone once a round and prints medians.
fn measure(out: &Path, rounds: usize, mib: u64, contestants: &mut [Contestant<'_>]) {
    let mut seconds = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
        for (own, (_, _, run)) in seconds.iter_mut().zip(&mut *contestants) {
            let _ = fs::remove_file(out);
            let start = Instant::now();
            run(out);
            // The first round fills the page cache and is not counted.
            if round > 0 {
                own.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let _ = fs::remove_file(out);
    println!("{:<28} {:>8} {:>8} {:>10}", "", "s", "GB/s", "of first");
    for (index, (name, against, _)) in contestants.iter().enumerate() {
        let ratios = seconds[index].iter().zip(&seconds[*against]).map(|(own, other)| own / other).collect();
        let wall = median(seconds[index].clone());
        let best = |i: usize| seconds[i].iter().copied().fold(f64::MAX, f64::min);
        println!(
            "{name:<28} {wall:>8.3} {:>8.2} {:>10.2} {:>10.2}",
            mib as f64 * 1_048_576.0 / wall / 1e9,
            median(ratios),
            best(index) / best(*against)
        );
    }
}

fn copy(from: &Path, to: &Path, sync: bool) {
    assert!(Command::new("cp").arg("--reflink=never").args([from, to]).status().unwrap().success());
    if sync {
        assert!(Command::new("sync").arg(to).status().unwrap().success());
    }
}

fn fill(path: &Path, mib: u64) {
    let mut file = fs::File::create(path).unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut piece = vec![0; 1 << 20];
    for _ in 0..mib {
        for word in piece.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.to_be_bytes());
        }
        file.write_all(&piece).unwrap();
    }
    file.sync_all().unwrap();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
