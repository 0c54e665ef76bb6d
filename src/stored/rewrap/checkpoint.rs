//! A record of what is done, in a file that outlives the run.
//!
//! One line for each file, appended after the file was written: its identity, its length and times
//! then, and the versions of its slots. What is read back is a hint only: it is compared with the
//! file's current metadata, and saves reading the file. A line that was half written when the
//! process was killed is cut off; a lost line costs reading one file. No names are stored: they may
//! contain anything, and a file that was moved is the same file.

use super::super::front::State;
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::KeyId;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

const KIND: &str = "ncp-envelope rewrap checkpoint ";
const VERSION: &str = "1";
/// Longer lines are nothing that was written here: 16 keys of 255 bytes fit.
const MAX_LINE: u64 = 8_192;
/// Notes that are kept back at most, in bytes.
const KEPT_BACK: usize = 16 << 10;

/// The versions that slots are under, by the key's place among those of the run.
pub(super) type Versions = Vec<(usize, Option<u32>)>;

pub(super) struct Checkpoint {
    path: PathBuf,
    file: File,
    noted: HashMap<(u64, u64), Note>,
    /// Each set of versions once: there are few.
    versions: Vec<Versions>,
    unwritten: String,
}

struct Note {
    state: State,
    versions: u32,
}

impl Checkpoint {
    /// Opens or creates the checkpoint `path` of runs for `keys`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is of another key or another version, or something else;
    /// [`ErrorKind::Io`], also while another run uses it.
    pub(super) fn open(path: &Path, keys: &[KeyId]) -> Result<Self> {
        let io = |error| cannot("open", path, error);
        // Reading a FIFO could block for ever.
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            let text = format!("checkpoint {} is no regular file: name another", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let mut options = File::options();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!(
                    "checkpoint {} is in use: another run is at work with it",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Io, text));
            }
            Err(TryLockError::Error(error)) => return Err(cannot("lock", path, error)),
        }
        let mut this = Self {
            path: path.to_owned(),
            file,
            noted: HashMap::new(),
            versions: Vec::new(),
            unwritten: String::new(),
        };
        this.load(keys)?;
        Ok(this)
    }

    /// The versions that were noted of the file that is `state` now.
    pub(super) fn versions(&self, state: &State) -> Option<&Versions> {
        let note = self.noted.get(&state.file).filter(|note| note.state == *state)?;
        self.versions.get(note.versions as usize)
    }

    /// Notes a file as it is after it was written.
    pub(super) fn note(&mut self, state: State, versions: Versions) -> Result<()> {
        if self.versions(&state) == Some(&versions) {
            return Ok(());
        }
        let written: Vec<_> = versions
            .iter()
            .map(|(key, version)| match version {
                Some(version) => format!("{key}:{version}"),
                None => format!("{key}:-"),
            })
            .collect();
        let State { file, len, modified, changed } = state;
        self.unwritten.push_str(&format!(
            "{} {} {} {len} {} {} {} {}\n",
            written.join(","),
            file.0,
            file.1,
            modified.0,
            modified.1,
            changed.0,
            changed.1
        ));
        self.keep(state, versions);
        if self.unwritten.len() >= KEPT_BACK { self.flush() } else { Ok(()) }
    }

    /// Writes what was recorded. Not synced: a lost line costs reading one file.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(self.unwritten.as_bytes());
        self.unwritten.clear();
        written.map_err(|error| cannot("write", &self.path, error))
    }

    fn keep(&mut self, state: State, versions: Versions) {
        let known = self.versions.iter().position(|known| *known == versions);
        let versions = known.unwrap_or_else(|| {
            self.versions.push(versions);
            self.versions.len() - 1
        });
        self.noted.insert(state.file, Note { state, versions: versions as u32 });
    }

    fn load(&mut self, keys: &[KeyId]) -> Result<()> {
        let head = head(keys);
        let file = self.file.try_clone().map_err(|error| cannot("read", &self.path, error))?;
        let mut lines = Lines { reader: BufReader::new(file), line: Vec::new(), end: 0 };
        let mut number = 0;
        loop {
            let whole = lines.next().map_err(|error| cannot("read", &self.path, error))?;
            let line = std::str::from_utf8(&lines.line).unwrap_or("\0");
            let refused = |why: String| {
                let text = format!("{} {why}", self.path.display());
                Err(Error::new(ErrorKind::InvalidInput, text))
            };
            match (number, whole) {
                (0 | 1, true) if line == head[number] => {}
                // A run that was stopped before its first note left nothing but this.
                (0, false) if head[0].starts_with(line) => break,
                (1, false) if head[1].starts_with(line) => break,
                (0, _) if line.starts_with(KIND) => {
                    return refused(
                        "is a checkpoint of another release: finish with that one, or remove it"
                            .to_owned(),
                    );
                }
                (0, _) => {
                    return refused(
                        "is no checkpoint of a rewrap: name a file that is not there yet"
                            .to_owned(),
                    );
                }
                (1, _) => {
                    return refused(format!(
                        "is the checkpoint of another key ({}): name another file",
                        line.strip_prefix("keys ").unwrap_or(line)
                    ));
                }
                (_, false) => break,
                (_, true) => match parse(line, keys.len()) {
                    Some((state, versions)) => self.keep(state, versions),
                    None => {
                        return refused(format!(
                            "is damaged in line {}: remove it, which costs a look at each file",
                            number + 1
                        ));
                    }
                },
            }
            number += 1;
        }
        let end = if number < head.len() { 0 } else { lines.end };
        // Half a line would spoil the next one.
        self.file.set_len(end).map_err(|error| cannot("write", &self.path, error))?;
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(end))
            .map_err(|error| cannot("write", &self.path, error))?;
        if end == 0 {
            self.unwritten = format!("{}\n{}\n", head[0], head[1]);
        }
        self.flush()
    }
}

/// Lines with an end, and the rest without.
struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Where the last line with an end ended.
    end: u64,
}

impl Lines {
    /// Whether there was a whole line.
    fn next(&mut self) -> io::Result<bool> {
        self.line.clear();
        let mut reader = io::Read::take(&mut self.reader, MAX_LINE);
        let len = reader.read_until(b'\n', &mut self.line)?;
        let whole = self.line.pop_if(|last| *last == b'\n').is_some();
        if whole {
            self.end += len as u64;
        }
        Ok(whole)
    }
}

fn head(keys: &[KeyId]) -> [String; 2] {
    let keys: Vec<_> =
        keys.iter().map(|key| format!("{}:{}", key.provider().code(), key.id())).collect();
    [format!("{KIND}{VERSION}"), format!("keys {}", keys.join(" "))]
}

fn parse(line: &str, keys: usize) -> Option<(State, Versions)> {
    let mut fields = line.split(' ');
    let versions = fields.next()?.split(',').map(|pair| {
        let (key, version) = pair.split_once(':')?;
        let key = key.parse().ok().filter(|key| *key < keys)?;
        Some((key, if version == "-" { None } else { Some(version.parse().ok()?) }))
    });
    let versions = versions.collect::<Option<Versions>>()?;
    let mut number = || fields.next()?.parse::<i128>().ok();
    let numbers: [i128; 7] =
        [(); 7].map(|()| number()).into_iter().collect::<Option<Vec<_>>>()?[..].try_into().ok()?;
    let [device, inode, len, modified, modified_ns, changed, changed_ns] = numbers;
    let state = State {
        file: (device.try_into().ok()?, inode.try_into().ok()?),
        len: len.try_into().ok()?,
        modified: (modified.try_into().ok()?, modified_ns.try_into().ok()?),
        changed: (changed.try_into().ok()?, changed_ns.try_into().ok()?),
    };
    fields.next().is_none().then_some((state, versions))
}

fn cannot(what: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format_args!("cannot {what} checkpoint {}", path.display()), error)
}
