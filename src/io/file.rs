//! Whole files, from one name to another.

use super::atomic::AtomicFile;
use super::front::read_front;
use super::offload::{Cancelled, offload};
use super::options::{FileOptions, ProgressFn};
#[cfg(unix)]
use super::parallel::Files;
use super::source::SourceFile;
use super::stream::{Names, Stream, StreamReport};
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Decryptor, Encryptor, PREAMBLE_LEN, range};
use crate::policy::{DecryptPolicy, ToDecryptPolicy, ToEncryptOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
#[cfg(unix)]
use std::sync::{Mutex, PoisonError};

/// Below this a second thread gains nothing: to start it takes as long as to seal some hundred KiB.
#[cfg(unix)]
const WORTH_SPLITTING: u64 = 1 << 20;

/// What a file call did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Bytes read from the input.
    pub bytes_read: u64,
    /// Bytes written to the output; for [`Envelope::verify_file`] those that were verified, which
    /// are written nowhere.
    pub bytes_written: u64,
    /// The encryption context of the message; of one that was decrypted or verified, authentic.
    pub context: EncryptionContext,
}

impl Envelope {
    /// Encrypts the file `source` into the new file `target`, with [`FileOptions::new`].
    ///
    /// The file work runs on a blocking thread where there is a tokio runtime, and on the calling
    /// thread elsewhere; a regular file of 1 MiB or more is worked on by more threads beside it,
    /// see [`FileOptions::threads`]. Dropping the future cancels it and leaves no output.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
    /// # rt.block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// std::fs::write(path("report.pdf"), b"hello")?;
    /// let context = [("kind", "report")];
    /// envelope.encrypt_file(path("report.pdf"), path("report.ncpe"), context).await?;
    /// envelope.decrypt_file(path("report.ncpe"), path("copy.pdf"), context).await?;
    /// assert_eq!(std::fs::read(path("copy.pdf"))?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`], also for a source that changes its length meanwhile;
    /// [`ErrorKind::InvalidInput`] if source and target are one file or the target is something
    /// else than a file; those of [`encryptor`](Self::encryptor).
    pub async fn encrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
    ) -> Result<FileReport> {
        self.encrypt_file_with(source, target, options, &FileOptions::new()).await
    }

    /// As [`encrypt_file`](Self::encrypt_file), with `file_options`.
    ///
    /// ```
    /// use ncp_envelope::io::FileOptions;
    /// use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(path("report.pdf"), b"hello")?;
    /// let (from, to, none) = (path("report.pdf"), path("report.ncpe"), EncryptionContext::new());
    /// envelope.encrypt_file(&from, &to, &none)?;
    /// assert!(envelope.encrypt_file(&from, &to, &none).is_err(), "it exists");
    /// envelope.encrypt_file_with(&from, &to, &none, &FileOptions::new().overwrite(true))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn encrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let options = options.to_options()?;
        let (source, target) = (source.as_ref().to_owned(), target.as_ref().to_owned());
        let file_options = file_options.clone();
        // Everything that can be refused is, before the key service is asked.
        let job = offload(move |cancelled| {
            Job::start(Way::Encrypt, &source, Some(&target), file_options, cancelled)
        })
        .await?;
        let encryptor = self.encryptor(options).await?;
        offload(move |cancelled| job.with(cancelled).encrypt(encryptor)).await
    }

    /// Decrypts the file `source` into the new file `target`, with [`FileOptions::new`]. Nothing
    /// has the target's name before the whole message was verified.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let mut message = envelope.encrypt("hello", [("kind", "report")])?;
    /// std::fs::write(path("good"), &message)?;
    /// message.pop();
    /// std::fs::write(path("cut"), &message)?;
    /// envelope.decrypt_file(path("good"), path("out"), DecryptPolicy::new())?;
    /// assert_eq!(std::fs::read(path("out"))?, b"hello");
    /// assert!(envelope.decrypt_file(path("cut"), path("none"), DecryptPolicy::new()).is_err());
    /// assert!(!path("none").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`encrypt_file`](Self::encrypt_file) and [`decrypt`](Self::decrypt).
    pub async fn decrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        self.decrypt_file_with(source, target, policy, &FileOptions::new()).await
    }

    /// As [`decrypt_file`](Self::decrypt_file), with `file_options`.
    ///
    /// ```
    /// use ncp_envelope::io::FileOptions;
    /// use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(path("sealed"), envelope.encrypt("new", EncryptionContext::new())?)?;
    /// std::fs::write(path("out"), "old")?;
    /// let options = FileOptions::new().overwrite(true);
    /// let policy = DecryptPolicy::new();
    /// envelope.decrypt_file_with(path("sealed"), path("out"), policy, &options)?;
    /// assert_eq!(std::fs::read(path("out"))?, b"new");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn decrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let policy = policy.to_policy()?;
        let (source, target) = (source.as_ref().to_owned(), target.as_ref().to_owned());
        let file_options = file_options.clone();
        let start = move |cancelled| {
            Job::start(Way::Decrypt, &source, Some(&target), file_options, cancelled)
        };
        self.open_file(start, &policy).await
    }

    /// Verifies the whole message in the file `source`, and writes its plaintext nowhere.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let directory = tempfile::tempdir()?;
    /// # let sealed = directory.path().join("f.ncpe");
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(&sealed, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let report = envelope.verify_file(&sealed, DecryptPolicy::new())?;
    /// assert_eq!(report.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`decrypt_file`](Self::decrypt_file), but for those of its target.
    pub async fn verify_file(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        self.verify_file_with(source, policy, &FileOptions::new()).await
    }

    /// As [`verify_file`](Self::verify_file), with the threads and the progress of `file_options`;
    /// its other options have no effect here.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let sealed = directory.path().join("f.ncpe");
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// std::fs::write(&sealed, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let one_core = FileOptions::new().threads(1);
    /// let report = envelope.verify_file_with(&sealed, DecryptPolicy::new(), &one_core)?;
    /// assert_eq!(report.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn verify_file_with(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        let policy = policy.to_policy()?;
        let (source, file_options) = (source.as_ref().to_owned(), file_options.clone());
        let start =
            move |cancelled| Job::start(Way::Decrypt, &source, None, file_options, cancelled);
        self.open_file(start, &policy).await
    }

    async fn open_file(
        &self,
        start: impl FnOnce(Cancelled) -> Result<Job> + Send + 'static,
        policy: &DecryptPolicy,
    ) -> Result<FileReport> {
        let (this, admitted) = (self.clone(), policy.clone());
        let (mut job, header, preamble) = offload(move |cancelled| {
            let mut job = start(cancelled)?;
            let (header, preamble) =
                read_front(&mut job.source, |header| this.admit(header, &admitted))
                    .map_err(|e| job.name(e))?;
            if let Some(len) = job.source.len() {
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

/// Which way a file goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Encrypt,
    Decrypt,
}

/// One file on its way to another. Dropping it leaves nothing of the output.
struct Job {
    way: Way,
    source: SourceFile,
    /// None for what is only verified.
    output: Option<AtomicFile>,
    threads: usize,
    progress: Option<Arc<ProgressFn>>,
    allow_changing: bool,
    cancelled: Cancelled,
    done: u64,
    written: u64,
}

impl Job {
    fn start(
        way: Way,
        source: &Path,
        target: Option<&Path>,
        options: FileOptions,
        cancelled: Cancelled,
    ) -> Result<Self> {
        let source = SourceFile::open(source)?;
        let options = match way {
            // A message is as long as it is.
            Way::Encrypt => options.sparse(false),
            // Nobody knows who may read what comes from a pipe.
            Way::Decrypt if !source.is_regular() => options.max_mode(0o600),
            Way::Decrypt => options,
        };
        let create = |target| AtomicFile::create_from(target, &options, &source);
        let output = target.map(create).transpose()?;
        Ok(Self {
            way,
            source,
            output,
            threads: options.threads,
            progress: options.progress,
            allow_changing: options.allow_changing,
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
                let text = format!("{}: {error}", self.source.path().display());
                Error::with_source(error.kind(), text, error)
            }
            _ => error,
        }
    }

    fn encrypt(mut self, encryptor: Encryptor) -> Result<FileReport> {
        let context = encryptor.context().clone();
        #[cfg(unix)]
        if let Some(len) = self.worth_splitting() {
            self.written = self.in_runs(len, |files| files.encrypt(encryptor))?;
            return self.publish(context);
        }
        self.encrypt_in_order(encryptor)?;
        self.publish(context)
    }

    /// `body` is where the body begins.
    fn decrypt(mut self, decryptor: Decryptor, body: u64) -> Result<FileReport> {
        let context = decryptor.context().clone();
        #[cfg(unix)]
        if let Some(len) = self.worth_splitting() {
            self.written = self
                .in_runs(len, |files| files.decrypt(decryptor, body))
                .map_err(|error| self.name(error))?;
            return self.publish(context);
        }
        self.decrypt_in_order(decryptor)?;
        self.publish(context)
    }

    /// The length of a source that is read in pieces by several threads.
    #[cfg(unix)]
    fn worth_splitting(&self) -> Option<u64> {
        let seeks = self.output.as_ref().is_none_or(|file| file.output().seeks());
        self.source.len().filter(|len| *len >= WORTH_SPLITTING && seeks)
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
            source_len,
            output: self.output.as_ref().map(AtomicFile::output),
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
            Sink<'a>,
        ) -> Result<StreamReport<Sink<'a>>>,
    ) -> Result<()> {
        let source_name = self.source.path().display().to_string();
        let sink = Sink(self.output.as_mut());
        let sink_name = sink.name();
        let stream = Stream {
            names: Names { source: &source_name, sink: &sink_name },
            cancelled: &self.cancelled,
            // What has a length and comes here is short, or is on a system without the other way.
            beside: self.source.len().is_none(),
        };
        let mut source = Reported {
            source: &self.source,
            done: self.done,
            len: self.source.len(),
            progress: self.progress.as_deref(),
        };
        let report = work(stream, &mut source, sink)?;
        self.written += report.bytes_written;
        self.done = source.done;
        Ok(())
    }

    fn publish(mut self, context: EncryptionContext) -> Result<FileReport> {
        self.check_source()?;
        if let Some(output) = &mut self.output {
            output.finish()?;
        }
        self.cancelled.check()?;
        if let Some(output) = self.output {
            output.commit()?;
        }
        Ok(FileReport { bytes_read: self.done, bytes_written: self.written, context })
    }

    /// Refuses a source that was changed meanwhile: what was read of it is neither what it was nor
    /// what it is. A message that was verified is one, whatever its file is now, unless that has
    /// another length.
    fn check_source(&self) -> Result<()> {
        match self.way {
            Way::Encrypt if self.allow_changing => Ok(()),
            Way::Encrypt => self.source.check_unchanged(),
            Way::Decrypt => self.source.check_len(),
        }
    }
}

/// The output of a file that is worked on in order, if it has one.
struct Sink<'a>(Option<&'a mut AtomicFile>);

impl Sink<'_> {
    fn name(&self) -> String {
        let target = self.0.as_ref().map(|file| file.output().target().display().to_string());
        target.unwrap_or_default()
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(file) => file.write(buf),
            None => Ok(buf.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

/// A file that says how far it was read.
struct Reported<'a> {
    source: &'a SourceFile,
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
