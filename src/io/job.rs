//! The work on one whole file, in order or by several threads. The output appears only when all of
//! it is verified.

use super::alone::{Alone, Buffers};
use super::atomic::AtomicFile;
use super::offload::Cancelled;
use super::options::{FileOptions, ProgressFn};
#[cfg(unix)]
use super::parallel::Files;
use super::published::{FileReport, Published};
use super::source::SourceFile;
use super::stream::{Names, Stream, StreamReport};
use crate::context::EncryptionContext;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Decryptor, Encryptor};
use crate::output::{Named, Target};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
#[cfg(unix)]
use std::sync::{Mutex, PoisonError};

/// Below this a second thread gains nothing: starting it takes as long as sealing a few hundred
/// KiB.
#[cfg(unix)]
const WORTH_SPLITTING: u64 = 1 << 20;

/// Which way a file goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Encrypt,
    Decrypt,
}

/// One file being encrypted or decrypted. Dropping it leaves no output.
pub(super) struct Job {
    way: Way,
    pub(super) source: SourceFile,
    /// None for what is only verified.
    output: Option<AtomicFile>,
    threads: usize,
    progress: Option<Arc<ProgressFn>>,
    allow_changing: bool,
    remove_source: bool,
    /// The outputs of the same run.
    among: Arc<Named>,
    cancelled: Cancelled,
    pub(super) done: u64,
    written: u64,
}

impl Job {
    pub(super) fn start(
        way: Way,
        source: &Path,
        target: Option<&Path>,
        options: FileOptions,
        cancelled: Cancelled,
    ) -> Result<Self> {
        let source = open(source, target, &options)?;
        let look = |target| AtomicFile::look(target, &options, &source);
        let place = target.map(look).transpose()?;
        Self::new(way, source, place, options, cancelled)
    }

    /// With a source that [`open`] gave, and a place that [`AtomicFile::look`] gave.
    pub(super) fn new(
        way: Way,
        source: SourceFile,
        place: Option<Target>,
        options: FileOptions,
        cancelled: Cancelled,
    ) -> Result<Self> {
        let options = match way {
            // A message is as long as it is.
            Way::Encrypt => options.sparse(false),
            // A pipe does not tell who may read its content.
            Way::Decrypt if !source.is_regular() => options.max_mode(0o600),
            Way::Decrypt => options,
        };
        let create = |place| AtomicFile::create_at(place, &options, &source);
        let output = place.map(create).transpose()?;
        Ok(Self {
            way,
            source,
            output,
            threads: options.threads,
            progress: options.progress,
            allow_changing: options.allow_changing,
            remove_source: options.remove_source,
            among: Arc::default(),
            cancelled,
            done: 0,
            written: 0,
        })
    }

    pub(super) fn with(mut self, cancelled: Cancelled) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// Has its output replace none of `named`, which it then belongs to.
    pub(super) fn among(mut self, named: Arc<Named>) -> Self {
        self.among = named;
        self
    }

    /// Prefixes an error about the content with the file's name.
    pub(super) fn name(&self, error: Error) -> Error {
        name(&self.source, error)
    }

    pub(super) fn encrypt(self, encryptor: Encryptor) -> Result<FileReport> {
        self.encrypt_unsettled(encryptor, &mut Buffers::default())?.settle()
    }

    /// `body` is where the body begins.
    pub(super) fn decrypt(self, decryptor: Decryptor, body: u64) -> Result<FileReport> {
        self.decrypt_unsettled(decryptor, body, &mut Buffers::default())?.settle()
    }

    pub(super) fn encrypt_unsettled(
        mut self,
        encryptor: Encryptor,
        buffers: &mut Buffers,
    ) -> Result<Published> {
        let context = encryptor.context().clone();
        #[cfg(unix)]
        if let Some(len) = self.worth_splitting() {
            self.written = self.in_runs(len, |files| files.encrypt(encryptor))?;
            return self.publish(context);
        }
        if let Some(len) = self.tells_its_length() {
            self.written = self.alone(len, |files| files.encrypt(encryptor, buffers))?;
            return self.publish(context);
        }
        self.encrypt_in_order(encryptor)?;
        self.publish(context)
    }

    pub(super) fn decrypt_unsettled(
        mut self,
        decryptor: Decryptor,
        body: u64,
        buffers: &mut Buffers,
    ) -> Result<Published> {
        let context = decryptor.context().clone();
        #[cfg(unix)]
        if let Some(len) = self.worth_splitting() {
            self.written = self
                .in_runs(len, |files| files.decrypt(decryptor, body))
                .map_err(|error| self.name(error))?;
            return self.publish(context);
        }
        if let Some(len) = self.tells_its_length() {
            self.written = self
                .alone(len, |files| files.decrypt(decryptor, body, buffers))
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

    /// The length of a source that is read up to it. One that says it is empty may not know better.
    fn tells_its_length(&self) -> Option<u64> {
        self.source.len().filter(|len| *len > 0)
    }

    fn alone<T>(
        &mut self,
        source_len: u64,
        work: impl FnOnce(Alone<'_>) -> Result<T>,
    ) -> Result<T> {
        let (done, progress) = (&mut self.done, &self.progress);
        let mut report = |more| {
            *done += more;
            if let Some(progress) = progress {
                progress(*done, Some(source_len));
            }
        };
        work(Alone {
            source: &self.source,
            source_len,
            output: self.output.as_mut(),
            cancelled: &self.cancelled,
            report: &mut report,
        })
    }

    #[cfg(unix)]
    fn in_runs<T>(
        &mut self,
        source_len: u64,
        work: impl FnOnce(&Files<'_>) -> Result<T>,
    ) -> Result<T> {
        // Locked during the call, so that reports ascend across threads.
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
            // What has a length and comes here says that it is empty, and is short.
            beside: self.source.len().is_none(),
            threads: self.threads,
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

    fn publish(mut self, context: EncryptionContext) -> Result<Published> {
        self.check_source()?;
        if let Some(output) = &mut self.output {
            output.finish()?;
        }
        self.cancelled.check()?;
        let published = self.output.map(|output| output.publish(&self.among)).transpose()?;
        let report = FileReport { bytes_read: self.done, bytes_written: self.written, context };
        let source = self.remove_source.then_some(self.source);
        Ok(Published { report, published, source })
    }

    /// Refuses a source that changed meanwhile: what was read is neither its old nor its new
    /// content. A verified message is authentic even if its file changed since, unless the length
    /// differs.
    fn check_source(&mut self) -> Result<()> {
        let now = match self.way {
            Way::Encrypt if self.allow_changing => self.source.check_not_shorter()?,
            // Its rights are unchanged, too.
            Way::Encrypt => return self.source.check_unchanged(),
            Way::Decrypt => self.source.check_len()?,
        };
        if let (Some(output), Some(now)) = (&mut self.output, now) {
            output.narrow(&now);
        }
        Ok(())
    }
}

/// The source of a job, unless the options refuse it.
pub(super) fn open(
    source: &Path,
    target: Option<&Path>,
    options: &FileOptions,
) -> Result<SourceFile> {
    // What is only verified has no output that the other options could be about.
    if target.is_some() {
        options.check()?;
    }
    let source = SourceFile::open(source)?;
    if target.is_some() && options.remove_source {
        source.check_removable()?;
    }
    Ok(source)
}

/// Prefixes an error about the content of `source` with its name.
pub(super) fn name(source: &SourceFile, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Authentication
        | ErrorKind::Malformed
        | ErrorKind::Truncated
        | ErrorKind::UnsupportedVersion
        | ErrorKind::KeyNotAllowed
        | ErrorKind::NotAccepted
        | ErrorKind::LimitExceeded => {
            let text = format!("{}: {error}", source.path().display());
            Error::with_source(error.kind(), text, error)
        }
        _ => error,
    }
}

/// The output of a file that is processed in order, if there is one.
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
#[path = "job_tests.rs"]
mod tests;
