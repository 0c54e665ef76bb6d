//! Compares many files in one call with copying their tree, and with one process of `age` for each.
//!
//! Run with `cargo bench --bench many -- [--files N] [--size KIB] [--dir DIR] [--rounds N]
//! [--no-synced]`: 10,000 files of 16 KiB, and 5 rounds. The files are in DIR (default: the
//! package's target directory), and in the page cache. Every contestant takes turns with the copy,
//! so that a change of the machine's speed affects both; the ratio is the median of the rounds'
//! ratios. What is synced is compared with a copy that does for each file what makes it durable:
//! its content and its directory are synced.
//!
//! Each contestant has a directory of its own, and all are removed at the end only: ext4 looks at
//! every inode that was removed in the last minutes before it takes one, which makes a second copy
//! several times as slow. With the defaults that takes 12 GiB. What was written before is on the
//! disk when a contestant starts.
//!
//! `age`, if it is there, gets 500 of the files, and its time is scaled to all of them. The peak of
//! memory is that of a process that encrypts the tree and decrypts it, and does nothing else.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ncp_envelope::io::{FileOptions, FilesOptions, FilesReport};
use ncp_envelope::{BlockingEnvelope, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// As many as are enough to know how long one takes.
const AGE_FILES: usize = 500;
/// In one directory.
const PER_DIRECTORY: usize = 100;
const NONE: [(&str, &str); 0] = [];

/// A contestant, which writes to the given directory.
type Contestant<'a> = (&'static str, Box<dyn FnMut(&Path) + 'a>);

fn main() {
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let setting = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let is_set = |name: &str| std::env::args().any(|argument| argument == name);
    let number = |name: &str, otherwise: usize| {
        setting(name).map_or(otherwise, |text| text.parse().expect("a number is missing"))
    };
    let (files, kib) = (number("--files", 10_000), number("--size", 16));
    let rounds = number("--rounds", 5);
    let base =
        setting("--dir").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    if let Some(dir) = setting("--peak-of") {
        return peak_of(Tree { files, dir: PathBuf::from(dir), envelope: envelope() });
    }
    let dir = tempfile::tempdir_in(base).unwrap();
    let tree = Tree { files, dir: dir.path().to_owned(), envelope: envelope() };
    tree.fill(kib << 10);
    tree.encrypt(&dir.path().join("sealed"), false);
    let calls = tree.envelope.stats().wrap.calls;
    println!("\n{files} files of {kib} KiB: {calls} calls to wrap their keys");
    print_peak(&tree);

    println!("\n{files} files of {kib} KiB, not synced; medians of {rounds} rounds");
    let out = dir.path().join("out");
    tree.measure(
        &out,
        rounds,
        &mut [
            ("cp -r", Box::new(|out| copy(&tree.dir.join("plain"), &out.join("plain")))),
            ("encrypt", Box::new(|out| tree.encrypt(out, false))),
            ("decrypt", Box::new(|out| tree.decrypt(out, false))),
            ("verify", Box::new(|_| tree.verify())),
        ],
    );
    if let Some(age) = Age::find(&tree) {
        println!("\nthe same, and one process of age for each file (500 of them, scaled)");
        tree.measure(
            &out,
            rounds,
            &mut [
                ("encrypt", Box::new(|out| tree.encrypt(out, false))),
                ("age -e", Box::new(|out| age.encrypt(out))),
            ],
        );
        tree.measure(
            &out,
            rounds,
            &mut [
                ("decrypt", Box::new(|out| tree.decrypt(out, false))),
                ("age -d", Box::new(|out| age.decrypt(out))),
            ],
        );
    }
    if is_set("--no-synced") {
        return;
    }
    println!("\n{files} files of {kib} KiB, synced; medians of {rounds} rounds");
    tree.measure(
        &out,
        rounds,
        &mut [
            ("copy and sync each", Box::new(|out| tree.copy_synced(out))),
            ("encrypt", Box::new(|out| tree.encrypt(out, true))),
            ("decrypt", Box::new(|out| tree.decrypt(out, true))),
        ],
    );
}

struct Tree {
    files: usize,
    dir: PathBuf,
    envelope: BlockingEnvelope,
}

impl Tree {
    fn fill(&self, len: usize) {
        let mut content = vec![0; len];
        for (source, _) in self.pairs("plain", &self.dir.join("plain")) {
            let mark = source.as_os_str().as_encoded_bytes();
            let marked = mark.len().min(len);
            content[..marked].copy_from_slice(&mark[..marked]);
            fs::write(source, &content).unwrap();
        }
    }

    /// With the directories of the targets.
    fn pairs(&self, from: &str, to: &Path) -> Vec<(PathBuf, PathBuf)> {
        let from = self.dir.join(from);
        let names = (0..self.files).map(|file| {
            let directory = format!("{:04}", file / PER_DIRECTORY);
            if file % PER_DIRECTORY == 0 {
                fs::create_dir_all(to.join(&directory)).unwrap();
            }
            Path::new(&directory).join(file.to_string())
        });
        names.map(|name| (from.join(&name), to.join(&name))).collect()
    }

    fn how(sync: bool) -> FilesOptions {
        FilesOptions::new().each(FileOptions::new().sync(sync))
    }

    fn encrypt(&self, to: &Path, sync: bool) {
        let pairs = self.pairs("plain", to);
        self.done(self.envelope.encrypt_files(pairs, NONE, &Self::how(sync)).unwrap());
    }

    fn done(&self, report: FilesReport) {
        assert_eq!(report.check().unwrap().done, self.files as u64);
    }

    fn decrypt(&self, to: &Path, sync: bool) {
        let (pairs, policy) = (self.pairs("sealed", to), DecryptPolicy::new());
        self.done(self.envelope.decrypt_files(pairs, policy, &Self::how(sync)).unwrap());
    }

    fn verify(&self) {
        let sealed = self.dir.join("sealed");
        let sources = self.pairs("sealed", &sealed).into_iter().map(|(source, _)| source);
        let policy = DecryptPolicy::new();
        self.done(self.envelope.verify_files(sources, policy, &Self::how(true)).unwrap());
    }

    fn copy_synced(&self, to: &Path) {
        for (source, target) in self.pairs("plain", to) {
            fs::copy(&source, &target).unwrap();
            File::open(&target).unwrap().sync_all().unwrap();
            File::open(target.parent().unwrap()).unwrap().sync_all().unwrap();
        }
    }

    /// Runs the first contestant and each of the others in turn, and prints medians.
    fn measure(&self, out: &Path, rounds: usize, contestants: &mut [Contestant<'_>]) {
        let (first, others) = contestants.split_first_mut().unwrap();
        let mut runs = 0;
        let mut timed = |(name, run): &mut Contestant<'_>| {
            // Other tables may have some.
            while out.join(runs.to_string()).exists() {
                runs += 1;
            }
            let out = out.join(runs.to_string());
            fs::create_dir_all(&out).unwrap();
            assert!(Command::new("sync").status().unwrap().success());
            let start = Instant::now();
            run(&out);
            let took = start.elapsed().as_secs_f64();
            // Of as many files as the others have.
            let share =
                if name.starts_with("age") { AGE_FILES.min(self.files) } else { self.files };
            took * self.files as f64 / share as f64
        };
        println!("{:<10} {:>8} {:>9} {:>20} {:>8}", "", "s", "files/s", first.0, "ratio");
        for other in others {
            // The first round fills the page cache and is not counted.
            let (theirs, own): (Vec<_>, Vec<_>) =
                (0..=rounds).map(|_| (timed(first), timed(other))).skip(1).unzip();
            let wall = median(own.clone());
            let ratio = median(own.iter().zip(&theirs).map(|(own, theirs)| own / theirs).collect());
            println!(
                "{:<10} {wall:>8.3} {:>9.0} {:>20.3} {ratio:>8.2}",
                other.0,
                self.files as f64 / wall,
                median(theirs)
            );
        }
    }
}

/// The program `age`, and what it has for the first files of a tree.
struct Age<'a> {
    tree: &'a Tree,
    key: PathBuf,
    recipient: String,
}

impl<'a> Age<'a> {
    /// None if there is none.
    fn find(tree: &'a Tree) -> Option<Self> {
        let made = Command::new("age-keygen").output().ok().filter(|made| made.status.success())?;
        let text = String::from_utf8(made.stdout).unwrap();
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.unwrap().to_owned();
        let key = tree.dir.join("age.key");
        fs::write(&key, text).unwrap();
        let this = Self { tree, key, recipient };
        this.encrypt(&tree.dir.join("aged"));
        Some(this)
    }

    fn encrypt(&self, to: &Path) {
        self.each("plain", to, |age| age.args(["-e", "-r", &self.recipient]));
    }

    fn decrypt(&self, to: &Path) {
        self.each("aged", to, |age| age.args(["-d", "-i"]).arg(&self.key));
    }

    fn each(&self, from: &str, to: &Path, what: impl Fn(&mut Command) -> &mut Command) {
        for (source, target) in self.tree.pairs(from, to).into_iter().take(AGE_FILES) {
            let mut age = Command::new("age");
            let done = what(&mut age).arg("-o").args([target, source]).status();
            assert!(done.unwrap().success());
        }
    }
}

/// Measures a process of its own.
fn print_peak(tree: &Tree) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--files", &tree.files.to_string(), "--peak-of"])
        .arg(&tree.dir)
        .output()
        .unwrap();
    assert!(child.status.success());
    print!("{}", String::from_utf8(child.stdout).unwrap());
}

/// What that process does.
fn peak_of(tree: Tree) {
    tree.encrypt(&tree.dir.join("peak/sealed"), false);
    let sealed = Tree { dir: tree.dir.join("peak"), ..tree };
    sealed.decrypt(&sealed.dir.join("opened"), false);
    // Other systems have other ways.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!(
        "a process that encrypts and decrypts them: {} at its peak",
        peak.unwrap_or("?").trim()
    );
}

fn envelope() -> BlockingEnvelope {
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    Envelope::builder(wrapper).build().unwrap().blocking()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-r", "--reflink=never"]).args([from, to]).status();
    assert!(copied.unwrap().success());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
