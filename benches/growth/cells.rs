//! Bytes of one message, and files in one call.

use crate::machine;
use ncp_envelope::io::{FileOptions, FilesOptions};
use ncp_envelope::{BlockingEnvelope, DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What one process measures.
pub(crate) struct Cell {
    /// Bytes, files, keys or tenants.
    pub(crate) units: u64,
    pub(crate) times: u64,
    pub(crate) dir: PathBuf,
}

/// The name of a line, and its figure in this cell: seconds or bytes for each unit, or bytes.
pub(crate) type Figures = Vec<(String, f64)>;

const NONE: [(&str, &str); 0] = [];
const FILE_LEN: usize = 1 << 10;
const PER_DIRECTORY: u64 = 100;

impl Cell {
    /// The fewer units, the more rounds.
    fn rounds(&self) -> u64 {
        (30 / self.times).clamp(1, 5)
    }

    /// Seconds for each unit.
    pub(crate) fn each(&self, run: impl FnOnce()) -> f64 {
        seconds(run) / self.units as f64
    }
}

pub(crate) fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

pub(crate) fn wrapper() -> LocalKeyWrapper {
    LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap()
}

fn envelope() -> BlockingEnvelope {
    Envelope::builder(wrapper()).build().unwrap().blocking()
}

/// From file to file, next to `cp`. At most two files of the size are there at a time.
pub(crate) fn message(cell: &Cell) -> Figures {
    let dir = tempfile::tempdir_in(&cell.dir).unwrap();
    let [source, message, out] = ["source", "message", "out"].map(|name| dir.path().join(name));
    let (envelope, options) = (envelope(), FileOptions::new().sync(false));
    let mut lines = [const { Vec::new() }; 5];
    for round in 0..cell.rounds() {
        if round == 0 {
            io::copy(&mut Source::new(cell.units), &mut File::create(&source).unwrap()).unwrap();
        }
        let copy = cell.each(|| copy(&source, &out));
        fs::remove_file(&out).unwrap();
        let encrypt = cell.each(|| {
            envelope.encrypt_file_with(&source, &message, NONE, &options).unwrap();
        });
        if round + 1 == cell.rounds() {
            fs::remove_file(&source).unwrap();
        }
        let decrypt = cell.each(|| {
            let policy = DecryptPolicy::new();
            envelope.decrypt_file_with(&message, &out, policy, &options).unwrap();
        });
        fs::remove_file(&message).unwrap();
        assert_eq!(fs::metadata(&out).unwrap().len(), cell.units);
        fs::remove_file(&out).unwrap();
        let figures = [copy, encrypt, encrypt / copy, decrypt, decrypt / copy];
        lines.iter_mut().zip(figures).for_each(|(line, figure)| line.push(figure));
    }
    let names = ["cp", "encrypt_file", "encrypt_of_cp", "decrypt_file", "decrypt_of_cp"];
    let mut figures = medians(&names, lines);
    figures.push(("peak".to_owned(), machine::peak()));
    figures
}

/// Generated, encrypted and thrown away; and encrypted, through a pipe, decrypted.
pub(crate) fn stream(cell: &Cell) -> Figures {
    let envelope = envelope();
    let mut lines = [const { Vec::new() }; 2];
    for _ in 0..cell.rounds() {
        lines[0].push(cell.each(|| {
            envelope.encrypt_stream(Source::new(cell.units), io::sink(), NONE).unwrap();
        }));
        lines[1].push(cell.each(|| {
            let (reader, writer) = io::pipe().unwrap();
            let (source, writing) = (Source::new(cell.units), envelope.clone());
            let writing = std::thread::spawn(move || {
                writing.encrypt_stream(source, writer, NONE).unwrap();
            });
            let counted = Counted(0);
            let report = envelope.decrypt_stream(reader, counted, DecryptPolicy::new()).unwrap();
            assert_eq!(report.sink.0, cell.units);
            writing.join().unwrap();
        }));
    }
    let mut figures = medians(&["encrypt_stream", "both_streams"], lines);
    figures.push(("peak".to_owned(), machine::peak()));
    figures
}

/// Many small files, next to a loop that copies them.
pub(crate) fn files(cell: &Cell) -> Figures {
    let dir = tempfile::tempdir_in(&cell.dir).unwrap();
    let (units, envelope) = (cell.units, envelope());
    let pairs = |from: &str, to: &str| {
        let (from, to) = (dir.path().join(from), dir.path().join(to));
        let name =
            |file: u64| PathBuf::from((file / PER_DIRECTORY).to_string()).join(file.to_string());
        (0..units).map(move |file| (from.join(name(file)), to.join(name(file))))
    };
    let directories = |name: &str| {
        let _ = fs::remove_dir_all(dir.path().join(name));
        for directory in 0..units.div_ceil(PER_DIRECTORY) {
            fs::create_dir_all(dir.path().join(name).join(directory.to_string())).unwrap();
        }
    };
    directories("plain");
    for (file, _) in pairs("plain", "plain") {
        fs::write(file, [7; FILE_LEN]).unwrap();
    }
    let how = FilesOptions::new().each(FileOptions::new().sync(false));
    let mut lines = [const { Vec::new() }; 3];
    for _ in 0..cell.rounds() {
        directories("out");
        lines[0].push(cell.each(|| {
            pairs("plain", "out").for_each(|(from, to)| assert!(fs::copy(from, to).is_ok()));
        }));
        directories("sealed");
        lines[1].push(cell.each(|| {
            let report = envelope.encrypt_files(pairs("plain", "sealed"), NONE, &how).unwrap();
            assert_eq!(report.check().unwrap().done, units);
        }));
        directories("out");
        lines[2].push(cell.each(|| {
            let policy = DecryptPolicy::new();
            let report = envelope.decrypt_files(pairs("sealed", "out"), policy, &how).unwrap();
            assert_eq!(report.check().unwrap().done, units);
        }));
    }
    let mut figures = medians(&["copy", "encrypt_files", "decrypt_files"], lines);
    figures.push(("peak".to_owned(), machine::peak()));
    figures
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn medians<const N: usize>(names: &[&str; N], lines: [Vec<f64>; N]) -> Figures {
    names.iter().zip(lines).map(|(name, line)| ((*name).to_owned(), median(line))).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--reflink=never").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// That many bytes, which no file system stores as a hole.
struct Source {
    left: u64,
    block: Vec<u8>,
}

impl Source {
    fn new(len: u64) -> Self {
        let mut random = Random(len);
        let block = (0..1 << 17).flat_map(|_| random.next().to_ne_bytes()).collect();
        Self { left: len, block }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = (self.left.min(out.len() as u64) as usize).min(self.block.len());
        out[..len].copy_from_slice(&self.block[..len]);
        self.left -= len as u64;
        Ok(len)
    }
}

struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// xorshift: the order of look-ups, and bytes that do not repeat soon.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
