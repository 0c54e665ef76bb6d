//! The state directory: one file, one lock, and temporary files that killed processes left behind.
//!
//! The file is replaced atomically, so a reader sees the old or the new state and needs no lock. It
//! contains a checksum of the state: a key that a disk or an editor has changed is still a key, but
//! decrypts nothing. Writers hold the lock, so a temporary file found under the lock is abandoned.

use crate::emulator::state::content::{Preset, State};
use crate::emulator::text;
use crate::error::{Error, ErrorKind, Result};
use crate::output;
use aws_lc_rs::digest;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Version of the state file this release writes.
const VERSION: u32 = 3;
/// Distinguishes a state file from other JSON.
const FORMAT: &str = "ncp-envelope-emulator";
/// No state file is larger: thousands of keys with hundreds of versions fit.
const MAX_FILE: u64 = 64 << 20;

/// How long to wait for the lock; a change takes milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The fields of every version.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole<'a> {
    #[serde(rename = "format")]
    _format: &'a str,
    #[serde(rename = "version")]
    _version: u32,
    /// Checksum of the state as written in the file, in hexadecimal.
    sha256: &'a str,
    #[serde(borrow)]
    state: &'a RawValue,
}

/// The state in `dir`, created from `preset` if there is none.
pub(crate) fn open_or_create(dir: &Path, preset: &Preset, now: i64) -> Result<State> {
    create_dir(dir).map_err(|error| failed("cannot create the state directory", dir, error))?;
    let _lock = lock(dir)?;
    sweep(dir).map_err(|error| failed("cannot remove what a killed process left", dir, error))?;
    if let Some(state) = read(dir)? {
        return Ok(state);
    }
    let state = State::new(preset, now)?;
    write(dir, &state)?;
    Ok(state)
}

/// Waits for the lock of the directory; dropping the file releases it. The lock file stays, since
/// removing it would be a race.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("state.lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(&path)
        .map_err(|error| failed("cannot open the state's lock", &path, error))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(failed("cannot lock the state", &path, error));
            }
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_TIMEOUT => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another process has held {} for {} seconds: end it, or use another state \
                     directory",
                    path.display(),
                    LOCK_TIMEOUT.as_secs()
                );
                return Err(Error::new(ErrorKind::Io, message));
            }
        }
    }
}

/// The state in the file, if there is one.
pub(crate) fn read(dir: &Path) -> Result<Option<State>> {
    let path = &path(dir);
    let mut text = Zeroizing::new(Vec::new());
    match File::open(path) {
        Ok(file) => {
            // Reserved at once: a growing buffer would leave copies of secrets behind.
            let len = file.metadata().map_or(0, |metadata| metadata.len().min(MAX_FILE));
            text.reserve_exact(usize::try_from(len).unwrap_or(0).saturating_add(1));
            file.take(MAX_FILE)
                .read_to_end(&mut text)
                .map_err(|error| failed("cannot read the state", path, error))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("cannot open the state", path, error)),
    }
    let head: Head = serde_json::from_slice(&text).map_err(|_| damaged(dir))?;
    if head.format != FORMAT {
        return Err(damaged(dir));
    }
    if head.version != VERSION {
        let message = format!(
            "state file {} is of version {}; this release reads version {VERSION}",
            path.display(),
            head.version
        );
        return Err(Error::new(ErrorKind::UnsupportedVersion, message));
    }
    // The parser's errors may quote secrets, so they are dropped.
    let whole: Whole<'_> = serde_json::from_slice(&text).map_err(|_| damaged(dir))?;
    let state = whole.state.get();
    if whole.sha256 != checksum(state.as_bytes()) {
        let message = format!(
            "state file {} was edited or is damaged, as its checksum does not match: restore a \
             copy of it, or move it away to start with a new state",
            path.display()
        );
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    let state: State = serde_json::from_str(state).map_err(|_| damaged(dir))?;
    state.check().map_err(|_| damaged(dir))?;
    Ok(Some(state))
}

/// Replaces the file. The caller must hold the lock.
pub(crate) fn write(dir: &Path, state: &State) -> Result<()> {
    let state = Zeroizing::new(
        serde_json::to_vec_pretty(state)
            .map_err(|_| Error::new(ErrorKind::Internal, "cannot write the state as JSON"))?,
    );
    let head = format!(
        "{{\n\"format\": \"{FORMAT}\",\n\"version\": {VERSION},\n\"sha256\": \"{}\",\n\"state\": ",
        checksum(&state)
    );
    let parts = [head.as_bytes(), &state, b"\n}\n"];
    output::replace_secrets(&path(dir), &parts).map_err(|error| {
        let what = format!("cannot write the state {}: {error}", path(dir).display());
        Error::with_source(ErrorKind::Io, what, error)
    })
}

/// The error for a state that no emulator can have written.
pub(crate) fn damaged(dir: &Path) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!(
            "state file {} is damaged: restore a copy of it, or move it away to start with a new \
             state",
            path(dir).display()
        ),
    )
}

/// The error for a state file that disappeared.
pub(crate) fn gone(dir: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("the emulator's state file {} is gone", path(dir).display()))
}

fn path(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Removes temporary files: they contain all keys. The caller holds the lock, so nobody is writing
/// them.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if output::is_temporary(&entry.file_name()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn checksum(bytes: &[u8]) -> String {
    text::hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("{what} {}: {error}", path.display()), error)
}
