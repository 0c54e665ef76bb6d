//! Measurements of files.

use crate::command::bench::row::{Row, What, fill};
use crate::input::blocking;
use crate::status::Failure;
use ncp_envelope::io::FileOptions;
use ncp_envelope::{DecryptPolicy, EncryptionContext, Envelope};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

const COPIED_AT_ONCE: usize = 1 << 20;
const PAGE: usize = 4_096;

/// Files in the page cache. The caller removes their directory.
pub(crate) struct Files {
    envelope: Envelope,
    plain: PathBuf,
    sealed: PathBuf,
    out: PathBuf,
}

impl Files {
    pub(crate) async fn new(dir: &Path, size: u64, envelope: Envelope) -> Result<Self, Failure> {
        let files = Self {
            envelope,
            plain: dir.join("plain"),
            sealed: dir.join("sealed"),
            out: dir.join("out"),
        };
        let plain = files.plain.clone();
        blocking(move || write_sample(&plain, size)).await??;
        let options = FileOptions::new().sync(false);
        let sealed = files
            .envelope
            .encrypt_file_with(&files.plain, &files.sealed, EncryptionContext::new(), &options)
            .await;
        sealed.map(|_| files).map_err(Failure::writing)
    }

    pub(crate) async fn run(&self, row: &Row) -> Result<f64, Failure> {
        // No run has to replace a file.
        if self.out.exists() {
            std::fs::remove_file(&self.out).map_err(failed(&self.out))?;
        }
        let options = FileOptions::new().threads(row.threads).sync(false);
        let start = Instant::now();
        match row.what {
            What::Copy => {
                let (from, to) = (self.plain.clone(), self.out.clone());
                blocking(move || copy(&from, &to)).await??;
            }
            What::Encrypt => {
                let done = self
                    .envelope
                    .encrypt_file_with(&self.plain, &self.out, EncryptionContext::new(), &options)
                    .await;
                done.map_err(Failure::writing)?;
            }
            What::Decrypt | What::Sealing => {
                let done = self
                    .envelope
                    .decrypt_file_with(&self.sealed, &self.out, &DecryptPolicy::new(), &options)
                    .await;
                done.map_err(Failure::reading)?;
            }
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn write_sample(path: &Path, size: u64) -> Result<(), Failure> {
    let mut file = File::create(path).map_err(failed(path))?;
    let mut piece = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let len = left.min(piece.len() as u64);
        fill(&mut piece, left);
        file.write_all(&piece[..len as usize]).map_err(failed(path))?;
        left -= len;
    }
    // Otherwise the disk would be busy with it during other measurements.
    file.sync_all().map_err(failed(path))
}

/// The plain loop, with buffers as large and as aligned as the library's.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut source = File::open(from).map_err(failed(from))?;
    let mut out = File::create(to).map_err(failed(to))?;
    let mut bytes = vec![0; COPIED_AT_ONCE + PAGE];
    let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
    let piece = &mut bytes[start..start + COPIED_AT_ONCE];
    loop {
        let len = source.read(piece).map_err(failed(from))?;
        if len == 0 {
            return Ok(());
        }
        out.write_all(&piece[..len]).map_err(failed(to))?;
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::other(format!("cannot use {path}: {error}"))
}

/// The input, its message and one output exist at the same time.
pub(crate) fn check_space(dir: &Path, size: u64) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        let need = size.saturating_mul(3).saturating_add(size / 100);
        let stat = rustix::fs::statvfs(dir)
            .map_err(|error| Failure::other(format!("cannot access {}: {error}", dir.display())))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < need {
            let (need, free) = (need >> 20, free >> 20);
            let text = format!(
                "{} has {free} MiB free and {need} are needed: give --size a smaller size or --dir \
                 another place",
                dir.display()
            );
            return Err(Failure::other(text));
        }
    }
    #[cfg(not(unix))]
    let _ = (dir, size);
    Ok(())
}
