//! Whole files, from one name to another.

use super::atomic::AtomicFile;
use super::offload::{Cancelled, changed, offload};
use super::options::{FileOptions, ProgressFn};
#[cfg(unix)]
use super::parallel::Files;
use super::read::read_front;
use super::stream::{Names, Stream, StreamReport};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Decryptor, Encryptor, PREAMBLE_LEN, range};
use crate::policy::{DecryptPolicy, EncryptOptions};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(unix)]
use std::sync::{Mutex, PoisonError};

/// Below this a second thread gains nothing: to start it takes as long as to seal some hundred KiB.
#[cfg(unix)]
const WORTH_SPLITTING: u64 = 1 << 20;

/// What a file call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Bytes read from the input.
    pub bytes_read: u64,
    /// Bytes written to the output.
    pub bytes_written: u64,
}

impl Envelope {
    /// Encrypts the file `source` into the new file `target`.
    ///
    /// The file work runs on a blocking thread where there is a tokio runtime, and on the calling
    /// thread elsewhere; a regular file of 1 MiB or more is worked on by more threads beside it,
    /// see [`FileOptions::threads`]. Dropping the future cancels it and leaves no output.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], also for a source that changes its length meanwhile;
    /// [`ErrorKind::InvalidInput`] if source and target are one file or the target is something
    /// else than a file; those of [`encryptor`](Self::encryptor).
    pub async fn encrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl Into<EncryptOptions>,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let (source, target) = (source.as_ref().to_owned(), target.as_ref().to_owned());
        let file_options = file_options.clone();
        // Everything that can be refused is, before the key service is asked.
        let job =
            offload(move |cancelled| Job::start(&source, &target, file_options, cancelled)).await?;
        let encryptor = self.encryptor(options).await?;
        offload(move |cancelled| job.with(cancelled).encrypt(encryptor)).await
    }

    /// Decrypts the file `source` into the new file `target`. Nothing has the target's name before
    /// the whole message was verified.
    ///
    /// # Errors
    /// As [`encrypt_file`](Self::encrypt_file) and [`decrypt`](Self::decrypt).
    pub async fn decrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: &DecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let (source, target) = (source.as_ref().to_owned(), target.as_ref().to_owned());
        let (file_options, this, admitted) = (file_options.clone(), self.clone(), policy.clone());
        let (mut job, header, preamble) = offload(move |cancelled| {
            let mut job = Job::start(&source, &target, file_options, cancelled)?;
            let (header, preamble) =
                read_front(&mut job.source, |header| this.admit(header, &admitted))
                    .map_err(|e| job.name(e))?;
            if let Some(len) = job.source_len {
                range::plaintext_len(len.saturating_sub(header.bound().body_offset() as u64))
                    .map_err(|e| job.name(e))?;
            }
            Ok((job, header, preamble))
        })
        .await?;
        let body = header.bound().body_offset() as u64;
        job.done = body + PREAMBLE_LEN as u64;
        let decryptor =
            self.decryptor(&header, &preamble, policy).await.map_err(|error| job.name(error))?;
        offload(move |cancelled| job.with(cancelled).decrypt(decryptor, body)).await
    }
}

/// One file on its way to another. Dropping it removes the temporary file.
struct Job {
    source: File,
    source_path: PathBuf,
    source_len: Option<u64>,
    output: AtomicFile,
    threads: usize,
    progress: Option<Arc<ProgressFn>>,
    cancelled: Cancelled,
    done: u64,
    written: u64,
}

impl Job {
    fn start(
        source_path: &Path,
        target: &Path,
        options: FileOptions,
        cancelled: Cancelled,
    ) -> Result<Self> {
        let source = File::open(source_path)
            .map_err(|e| Error::io(format_args!("cannot open {}", source_path.display()), e))?;
        let metadata = source
            .metadata()
            .map_err(|e| Error::io(format_args!("cannot read {}", source_path.display()), e))?;
        if metadata.is_dir() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{} is a directory", source_path.display()),
            ));
        }
        let source_len = metadata.is_file().then_some(metadata.len());
        let output = AtomicFile::create_for(target, &options, Some((&source, source_path)))?;
        Ok(Self {
            source,
            source_path: source_path.into(),
            source_len,
            output,
            threads: options.threads,
            progress: options.progress,
            cancelled,
            done: 0,
            written: 0,
        })
    }

    fn with(mut self, cancelled: Cancelled) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// Puts the file's name in front of what is wrong with its content.
    fn name(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Authentication
            | ErrorKind::Malformed
            | ErrorKind::Truncated
            | ErrorKind::UnsupportedVersion
            | ErrorKind::KeyNotAllowed
            | ErrorKind::NotAccepted
            | ErrorKind::LimitExceeded => {
                let text = format!("{}: {error}", self.source_path.display());
                Error::with_source(error.kind(), text, error)
            }
            _ => error,
        }
    }

    fn encrypt(mut self, encryptor: Encryptor) -> Result<FileReport> {
        #[cfg(unix)]
        if let Some(len) = self.worth_splitting() {
            self.written = self.in_runs(len, |files| files.encrypt(encryptor))?;
            return self.publish();
        }
        self.encrypt_in_order(encryptor)?;
        self.publish()
    }

    /// `body` is where the body begins.
    fn decrypt(mut self, decryptor: Decryptor, body: u64) -> Result<FileReport> {
        #[cfg(unix)]
        if let Some(len) = self.worth_splitting() {
            self.written = self
                .in_runs(len, |files| files.decrypt(decryptor, body))
                .map_err(|error| self.name(error))?;
            return self.publish();
        }
        self.decrypt_in_order(decryptor)?;
        self.publish()
    }

    /// The length of a source that is read in pieces by several threads.
    #[cfg(unix)]
    fn worth_splitting(&self) -> Option<u64> {
        self.source_len.filter(|len| *len >= WORTH_SPLITTING)
    }

    #[cfg(unix)]
    fn in_runs<T>(
        &mut self,
        source_len: u64,
        work: impl FnOnce(&Files<'_>) -> Result<T>,
    ) -> Result<T> {
        // Locked during the call: what is reported ascends, whoever reports it.
        let done = Mutex::new(self.done);
        let report = |more| {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += more;
            if let Some(progress) = &self.progress {
                progress(*done, Some(source_len));
            }
        };
        let files = Files {
            source: &self.source,
            source_path: &self.source_path,
            source_len,
            output: &self.output,
            threads: self.threads,
            cancelled: &self.cancelled,
            report: &report,
        };
        let result = work(&files)?;
        self.done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(result)
    }

    fn encrypt_in_order(&mut self, encryptor: Encryptor) -> Result<()> {
        self.in_order(|stream, source, output| stream.encrypt(source, output, encryptor))
    }

    fn decrypt_in_order(&mut self, decryptor: Decryptor) -> Result<()> {
        self.in_order(|stream, source, output| stream.decrypt(source, output, decryptor))
            .map_err(|error| self.name(error))
    }

    fn in_order(
        &mut self,
        work: impl for<'a> FnOnce(
            Stream<'_>,
            &mut Reported<'_>,
            &'a mut AtomicFile,
        ) -> Result<StreamReport<&'a mut AtomicFile>>,
    ) -> Result<()> {
        let source_name = self.source_path.display().to_string();
        let sink_name = self.output.target().display().to_string();
        let stream = Stream {
            names: Names { source: &source_name, sink: &sink_name },
            cancelled: &self.cancelled,
            // What has a length and comes here is short, or is on a system without the other way.
            beside: self.source_len.is_none(),
        };
        let mut source = Reported {
            source: &self.source,
            done: self.done,
            len: self.source_len,
            progress: self.progress.as_deref(),
        };
        let report = work(stream, &mut source, &mut self.output)?;
        self.written += report.bytes_written;
        self.done = source.done;
        Ok(())
    }

    fn publish(mut self) -> Result<FileReport> {
        self.check_length()?;
        self.output.sync()?;
        self.cancelled.check()?;
        self.output.commit()?;
        Ok(FileReport { bytes_read: self.done, bytes_written: self.written })
    }

    /// Refuses a source that grew or shrank meanwhile: what was read of it is neither what it was
    /// nor what it is.
    fn check_length(&self) -> Result<()> {
        let Some(before) = self.source_len else { return Ok(()) };
        let metadata = self.source.metadata();
        let now = metadata
            .map_err(|error| {
                Error::io(format_args!("cannot read {}", self.source_path.display()), error)
            })?
            .len();
        if now == before { Ok(()) } else { Err(changed(&self.source_path)) }
    }
}

/// A file that says how far it was read.
struct Reported<'a> {
    source: &'a File,
    done: u64,
    len: Option<u64>,
    progress: Option<&'a ProgressFn>,
}

impl Read for Reported<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.done += len as u64;
        if let Some(progress) = self.progress {
            progress(self.done, self.len);
        }
        Ok(len)
    }
}

#[cfg(test)]
#[cfg(unix)]
#[path = "file_tests.rs"]
mod tests;
