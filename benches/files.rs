//! Compares whole files with `cp`, pipes through the program with pipes through `cat`, and tokio's
//! writer with the plain one.
//!
//! Run with
//! `cargo bench --all-features --bench files -- [--size MIB] [--dir DIR] [--rounds N] [PART..]`.
//! MIB is 512, and N is 5, so that all benchmarks together take minutes; for a figure to quote,
//! take 1024 and 7. Parts are memory, cached, program, synced, pipes and tokio; default: all.
//! Without all features there is no program, and no pipes. The files are in DIR (default: the
//! package's target directory), and in the page cache. Every contestant takes turns with `cp`, or
//! with the baseline of its part, so that a change of the machine's speed affects both. The figures
//! are medians over the rounds. The first ratio is the median of the rounds' ratios; the second is
//! the ratio of the least times, which other load on the machine disturbs less. No target exists
//! when a contestant starts.
//!
//! If a virtual machine returns freed memory to its host, getting it back costs more than the copy.
//! Files larger than the memory that it keeps then measure the host, for `cp` and for all others.
//! If that can be turned off, turn it off for the measurement.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ncp_envelope::io::FileOptions;
use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A contestant, which writes to the given file.
type Contestant<'a> = (&'static str, Box<dyn FnMut(&Path) + 'a>);

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let [_, flag, threads, plain, out, ..] = &std::env::args().collect::<Vec<_>>()[..]
        && flag == "--peak"
    {
        return peak_of_own(threads.parse().unwrap(), Path::new(plain), Path::new(out));
    }
    let setting = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let mib: u64 =
        setting("--size").map_or(512, |size| size.parse().expect("--size is a number of MiB"));
    let rounds: usize =
        setting("--rounds").map_or(5, |rounds| rounds.parse().expect("--rounds is a number"));
    let base =
        setting("--dir").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(base).unwrap();
    let (plain, sealed) = (dir.path().join("plain"), dir.path().join("sealed"));
    fill(&plain, mib);

    let files = Work::new(&plain, &sealed);
    files.encrypt(&sealed, 0, false);

    let parts: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| {
        let all = ["memory", "cached", "program", "synced", "pipes", "tokio"];
        parts.iter().any(|own| own == part) || !parts.iter().any(|own| all.contains(&&own[..]))
    };
    let out = dir.path().join("out");
    if wanted("memory") {
        println!("\npeak memory of a process above that at its start, {mib} MiB");
        for threads in [1, 2, 16] {
            let _ = fs::remove_file(&out);
            let mut own = Command::new(std::env::current_exe().unwrap());
            let own =
                own.args(["--peak", &threads.to_string()]).args([&plain, &out]).output().unwrap();
            assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));
            print!("threads: {threads:<2} {}", String::from_utf8_lossy(&own.stdout));
        }
    }
    if wanted("cached") {
        println!(
            "\n{mib} MiB, file to file in the page cache, not synced; medians of {rounds} rounds"
        );
        let mut contestants: [Contestant<'_>; 5] = [
            ("cp", Box::new(|out| copy(&plain, out, false))),
            ("encrypt, all cores", Box::new(|out| files.encrypt(out, 0, false))),
            ("decrypt, all cores", Box::new(|out| files.decrypt(out, 0, false))),
            ("encrypt, one thread", Box::new(|out| files.encrypt(out, 1, false))),
            ("decrypt, one thread", Box::new(|out| files.decrypt(out, 1, false))),
        ];
        measure(&out, rounds, mib, &mut contestants);
    }
    // Cargo names the program also where the features leave it out.
    let program = option_env!("CARGO_BIN_EXE_ncp-envelope").filter(|_| cfg!(feature = "cli"));
    let message = dir.path().join("by-the-program");
    if let Some(program) = program.filter(|_| wanted("program") || wanted("pipes")) {
        // Its key is that of its embedded service.
        shell(
            &format!(
                "{program} encrypt --local --no-sync -o {} {}",
                message.display(),
                plain.display()
            ),
            dir.path(),
        );
    }
    if let (true, Some(program)) = (wanted("program"), program) {
        println!(
            "\n{mib} MiB, file to file, not synced, by the program: its start and that of its \
             embedded key service are included; medians of {rounds} rounds"
        );
        let run = |command: &str, from: &Path, out: &Path| {
            shell(
                &format!(
                    "{program} {command} --local --no-sync -o {} {}",
                    out.display(),
                    from.display()
                ),
                dir.path(),
            );
        };
        let mut contestants: [Contestant<'_>; 5] = [
            ("cp", Box::new(|out| copy(&plain, out, false))),
            ("encrypt, all cores", Box::new(|out| run("encrypt", &plain, out))),
            ("decrypt, all cores", Box::new(|out| run("decrypt", &message, out))),
            ("encrypt, one thread", Box::new(|out| run("encrypt --threads 1", &plain, out))),
            ("decrypt, one thread", Box::new(|out| run("decrypt --threads 1", &message, out))),
        ];
        measure(&out, rounds, mib, &mut contestants);
    }
    if wanted("synced") {
        println!("\n{mib} MiB, file to file, synced; medians of {rounds} rounds");
        let mut contestants: [Contestant<'_>; 3] = [
            ("cp, and sync of the copy", Box::new(|out| copy(&plain, out, true))),
            ("encrypt, all cores", Box::new(|out| files.encrypt(out, 0, true))),
            ("decrypt, all cores", Box::new(|out| files.decrypt(out, 0, true))),
        ];
        measure(&out, rounds, mib, &mut contestants);
    }
    if let (true, Some(program)) = (wanted("pipes"), program) {
        println!(
            "\n{mib} MiB through pipes, the start of the program and its embedded key service \
             included; medians of {rounds} rounds"
        );
        let nothing = dir.path().join("nothing");
        fs::write(&nothing, b"").unwrap();
        let through = |file: &Path, middle: &str| {
            shell(&format!("cat {} | {middle} | cat >/dev/null", file.display()), dir.path())
        };
        let mut contestants: [Contestant<'_>; 4] = [
            ("cat | cat | cat", Box::new(|_| through(&plain, "cat"))),
            (
                "cat | encrypt | cat",
                Box::new(|_| through(&plain, &format!("{program} encrypt --local -"))),
            ),
            (
                "cat | decrypt | cat",
                Box::new(|_| through(&message, &format!("{program} decrypt --local -"))),
            ),
            (
                "an empty file",
                Box::new(|_| through(&nothing, &format!("{program} encrypt --local -"))),
            ),
        ];
        measure(&out, rounds, mib, &mut contestants);
    }
    #[cfg(feature = "tokio")]
    if wanted("tokio") {
        tokio_part::measure_tokio(&files.envelope, mib, rounds);
    }
}

/// The library on two files, with a key in the process.
struct Work<'a> {
    envelope: Envelope,
    runtime: tokio::runtime::Runtime,
    plain: &'a Path,
    sealed: &'a Path,
}

impl<'a> Work<'a> {
    fn new(plain: &'a Path, sealed: &'a Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
        Self { envelope: Envelope::builder(wrapper).build().unwrap(), runtime, plain, sealed }
    }

    fn encrypt(&self, target: &Path, threads: usize, sync: bool) {
        let options = FileOptions::new().threads(threads).sync(sync);
        self.runtime
            .block_on(self.envelope.encrypt_file_with(
                self.plain,
                target,
                EncryptionContext::new(),
                &options,
            ))
            .unwrap();
    }

    fn decrypt(&self, target: &Path, threads: usize, sync: bool) {
        let options = FileOptions::new().threads(threads).sync(sync);
        self.runtime
            .block_on(self.envelope.decrypt_file_with(
                self.sealed,
                target,
                &DecryptPolicy::new(),
                &options,
            ))
            .unwrap();
    }
}

/// In a fresh process, whose memory has not grown yet: encrypts, decrypts, and prints how much more
/// memory than at the start that took.
fn peak_of_own(threads: usize, plain: &Path, out: &Path) {
    let field = |name: &str| -> f64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
    };
    let before = field("VmRSS:");
    let sealed = out.with_extension("sealed");
    let work = Work::new(plain, &sealed);
    work.encrypt(&sealed, threads, false);
    let encrypting = field("VmHWM:") - before;
    work.decrypt(out, threads, false);
    println!(
        "{encrypting:>6.1} MiB encrypting, {:.1} MiB with decrypting",
        field("VmHWM:") - before
    );
    fs::remove_file(sealed).unwrap();
    fs::remove_file(out).unwrap();
}

fn shell(command: &str, home: &Path) {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .env("HOME", home)
        .env("XDG_DATA_HOME", home)
        .stderr(std::process::Stdio::null());
    assert!(shell.status().unwrap().success());
}

/// Runs the first contestant and each of the others in turn, and prints medians.
fn measure(out: &Path, rounds: usize, mib: u64, contestants: &mut [Contestant<'_>]) {
    let (first, others) = contestants.split_first_mut().unwrap();
    let timed = |(_, run): &mut Contestant<'_>| {
        let _ = fs::remove_file(out);
        let start = Instant::now();
        run(out);
        start.elapsed().as_secs_f64()
    };
    let least = |seconds: &[f64]| seconds.iter().copied().fold(f64::MAX, f64::min);
    println!("{:<22} {:>8} {:>8} {:>24} {:>8} {:>8}", "", "s", "GB/s", first.0, "ratio", "least");
    for other in others {
        // The first round fills the page cache and is not counted.
        let (theirs, own): (Vec<_>, Vec<_>) =
            (0..=rounds).map(|_| (timed(first), timed(other))).skip(1).unzip();
        let wall = median(own.clone());
        let speed = mib as f64 * 1_048_576.0 / wall / 1e9;
        let ratio = median(own.iter().zip(&theirs).map(|(own, theirs)| own / theirs).collect());
        let least = least(&own) / least(&theirs);
        println!(
            "{:<22} {wall:>8.3} {speed:>8.2} {:>24.3} {ratio:>8.2} {least:>8.2}",
            other.0,
            median(theirs)
        );
    }
    let _ = fs::remove_file(out);
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
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
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

#[cfg(feature = "tokio")]
mod tokio_part {
    use super::{EncryptionContext, Envelope, Instant, median};
    use std::cell::Cell;
    use std::io::{self, Write};
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;

    const PIECE: usize = 64 << 20;
    const TICK: Duration = Duration::from_millis(1);

    /// Both writers over the same memory into a sink, and by how much a task on the same thread is
    /// delayed.
    pub(super) fn measure_tokio(envelope: &Envelope, mib: u64, rounds: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let plaintext = vec![7; PIECE];
        let pieces = (mib as usize * 1_048_576).div_ceil(PIECE);
        let (mut ratios, mut latest) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let start = Instant::now();
            let mut writer =
                runtime.block_on(envelope.writer(io::sink(), EncryptionContext::new())).unwrap();
            (0..pieces).for_each(|_| writer.write_all(&plaintext).unwrap());
            writer.finish().unwrap();
            let plain = start.elapsed();

            let late = Rc::new(Cell::new(Duration::ZERO));
            let start = Instant::now();
            runtime.block_on(tokio::task::LocalSet::new().run_until(async {
                let probe = tokio::task::spawn_local({
                    let late = late.clone();
                    async move {
                        loop {
                            let start = Instant::now();
                            tokio::time::sleep(TICK).await;
                            late.set(late.get().max(start.elapsed().saturating_sub(TICK)));
                        }
                    }
                });
                let mut writer = envelope
                    .async_writer(tokio::io::sink(), EncryptionContext::new())
                    .await
                    .unwrap();
                for _ in 0..pieces {
                    writer.write_all(&plaintext).await.unwrap();
                }
                writer.finish().await.unwrap();
                probe.abort();
            }));
            ratios.push(plain.as_secs_f64() / start.elapsed().as_secs_f64());
            latest.push(late.get().as_secs_f64() * 1e3);
        }
        println!("\n{mib} MiB through the writers into nothing; medians of {rounds} rounds");
        println!("the tokio writer is {:.2} times as fast as the plain one", median(ratios));
        println!(
            "a task on its thread that sleeps 1 ms wakes up at most {:.1} ms late (least {:.1})",
            median(latest.clone()),
            least(&latest)
        );

        // How long the task holds the thread for a run, compared with the cost of a blocking
        // thread, its copy not included.
        let hand_over = (0..1_000).map(|_| {
            let start = Instant::now();
            runtime.block_on(async { tokio::task::spawn_blocking(|| ()).await.unwrap() });
            start.elapsed().as_secs_f64() * 1e6
        });
        let hand_over = median(hand_over.collect());
        let mut encryptor = runtime.block_on(envelope.encryptor(EncryptionContext::new())).unwrap();
        let mut out = vec![1; 16 * 16_400];
        let seal = plaintext.chunks(16 * 16_384).map(|run| {
            let start = Instant::now();
            encryptor.update(run, &mut out).unwrap();
            start.elapsed().as_secs_f64() * 1e6
        });
        let seal = median(seal.collect());
        println!(
            "to seal 256 KiB takes {seal:.0} us, to hand work to a blocking thread and take it \
             back {hand_over:.0} us"
        );
    }

    fn least(values: &[f64]) -> f64 {
        values.iter().copied().fold(f64::MAX, f64::min)
    }
}
