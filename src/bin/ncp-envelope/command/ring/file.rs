//! The file of a key ring.
//!
//! Promises: a ring is complete under its name, or not there; a new one never takes the place of
//! another; and of two programs that change one at the same time, the second sees what the first
//! has written. A lost rotation would lose every row that was encrypted after it.

use crate::input::{Input, blocking};
use crate::status::Failure;
use clap::Args;
use ncp_envelope::Error;
use ncp_envelope::fields::RingDocument;
use ncp_envelope::io::{AtomicFile, FileOptions};
use same_file::Handle;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The most bytes of a ring (`R-4`).
const MAX_LEN: usize = 1 << 20;

#[derive(Args)]
pub(crate) struct RingFile {
    /// File with the key ring, which is not secret. Keep copies: without it, no value can be
    /// decrypted.
    #[arg(long, value_name = "FILE", required = true)]
    ring: PathBuf,
}

impl RingFile {
    pub(crate) fn name(&self) -> String {
        self.ring.display().to_string()
    }

    /// Its name and all of it. It is not `other`, if both are standard input.
    pub(crate) async fn read(&self, other: Option<&Input>) -> Result<(String, Vec<u8>), Failure> {
        let input = Input::look(&self.ring)?;
        input.refuse_twice(other)?;
        let most = "1 MiB, the most for a key ring";
        let bytes = input.content(MAX_LEN, most, false).await?.bytes.to_vec();
        Ok((input.name(), bytes))
    }

    pub(super) fn refuse_existing(&self) -> Result<(), Failure> {
        if self.ring.as_os_str() == "-" {
            return Err(Failure::usage("a key ring needs a file: give its name"));
        }
        match self.ring.symlink_metadata() {
            Ok(_) => Err(Failure::usage(format!(
                "{} exists: a key ring is not replaced by another, as what is encrypted under it \
                 would be lost: give another name",
                self.name()
            ))),
            Err(_) => Ok(()),
        }
    }

    /// Writes a ring where there is none.
    pub(super) async fn create(&self, document: &RingDocument) -> Result<(), Failure> {
        let (path, bytes) = (self.ring.clone(), document.to_bytes());
        blocking(move || write(&path, &bytes, &FileOptions::new())).await?
    }
}

/// A ring that nobody else changes until this is dropped.
pub(super) struct Change {
    path: PathBuf,
    bytes: Vec<u8>,
    options: FileOptions,
    _locked: File,
}

impl Change {
    /// Waits until no other program changes the ring, and reads it.
    pub(super) async fn start(file: &RingFile) -> Result<Self, Failure> {
        // Also refuses directories and names that lead nowhere.
        if Input::look(&file.ring)?.regular().is_none() {
            return Err(Failure::usage(format!(
                "{} is not a regular file, and nothing else can be changed",
                file.name()
            )));
        }
        let path = file.ring.clone();
        blocking(move || Self::take(path)).await?
    }

    fn take(path: PathBuf) -> Result<Self, Failure> {
        let failed = |what: &str, error: io::Error| {
            Failure::other(format!("cannot {what} {}: {error}", path.display()))
        };
        // The file itself and not its name: where a link leads is what is replaced.
        let path = fs::canonicalize(&path).map_err(|error| failed("open", error))?;
        let file = lock(&path).map_err(|error| failed("lock", error))?;
        let mut bytes = Vec::new();
        let limited = (&file).take(MAX_LEN as u64 + 1).read_to_end(&mut bytes);
        limited.map_err(|error| failed("read", error))?;
        let options = FileOptions::new().overwrite(true);
        #[cfg(unix)]
        let options = {
            use std::os::unix::fs::PermissionsExt;
            let metadata = file.metadata().map_err(|error| failed("read", error))?;
            // It stays as readable as it was: other programs use it.
            options.mode(metadata.permissions().mode() & 0o777)
        };
        Ok(Self { path, bytes, options, _locked: file })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn document(&self, file: &RingFile) -> Result<RingDocument, Failure> {
        decode(&file.name(), &self.bytes)
    }

    /// Puts `document` in its place.
    pub(super) async fn write(self, document: &RingDocument) -> Result<(), Failure> {
        let bytes = document.to_bytes();
        blocking(move || write(&self.path, &bytes, &self.options)).await?
    }
}

/// Locks the file at `path`, which another program may replace while this one waits.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        // Some network file systems lock only what is open for writing.
        let file = File::options().read(true).write(true).open(path)?;
        file.lock()?;
        if Handle::from_file(file.try_clone()?)? == Handle::from_path(path)? {
            return Ok(file);
        }
    }
}

fn write(path: &Path, bytes: &[u8], options: &FileOptions) -> Result<(), Failure> {
    let mut file = AtomicFile::create(path, options).map_err(Failure::writing)?;
    let written = file.write_all(bytes);
    written
        .map_err(|error| Failure::other(format!("cannot write to {}: {error}", path.display())))?;
    file.commit().map_err(Failure::writing)
}

/// `bytes` of the file `name` as a ring.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<RingDocument, Failure> {
    RingDocument::decode(bytes)
        .map_err(|error| Failure::reading(Error::new(error.kind(), format!("{name}: {error}"))))
}
