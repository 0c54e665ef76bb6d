//! Where a message, a plaintext or any other result goes.
//!
//! Promises: a regular file gets its name when it is complete, or not at all. Anything else under a
//! name (a FIFO, a device, what a shell passes for `>(…)`) is written to and never replaced.
//! Refusals come before any call or write: an existing file without `--force`, and an output that
//! is the input.

use crate::input::{Identity, Input, blocking};
use crate::status::Failure;
use crate::{names, output, signals, streams};
use clap::{Args, value_parser};
use ncp_envelope::io::{AtomicFile, FileOptions, SourceFile};
use std::ffi::OsString;
use std::fs::{File, FileType, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// More threads than the library uses.
const MAX_THREADS: i64 = 1_024;

#[derive(Args)]
pub(crate) struct OutputArgs {
    /// Replace an output file that exists. Of many, those that an earlier run completed are not
    /// written again.
    #[arg(long)]
    pub(crate) force: bool,
    /// Where to write: a file, a directory for a file of the default name, a FIFO or device; "-" is
    /// standard output; for many inputs, a directory, which is made [default: INPUT with .ncpe
    /// added, or removed to decrypt; standard output for standard input].
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Rights of an output file, such as 600, whatever the umask says [default: those of the input,
    /// less the umask; 600 for what is decrypted from a pipe; a file that is replaced keeps its own
    /// where they are narrower].
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    pub(crate) mode: Option<u32>,
    /// Threads that work on a file; 0 means as many as there are cores. Standard input and output
    /// do not use them.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
        value_parser = value_parser!(u16).range(..=MAX_THREADS))]
    pub(crate) threads: u16,
    /// Do not wait until the output file is on the disk: faster, but after a power cut its content
    /// may be missing.
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// Remove each input file once its output is on the disk.
    #[arg(long, conflicts_with = "no_sync")]
    remove_source: bool,
    /// Keep input files (the default).
    #[arg(long, conflicts_with = "remove_source")]
    keep: bool,
    /// Print what was done as one JSON object, with counts and a list of failures.
    ///
    /// Its fields: files, bytes_read, bytes_written, seconds, calls (to the key service),
    /// already_done (by an earlier run), encrypted_again (messages), links, special, messages and
    /// not_messages (passed over), failed, stopped (why it ended before the last file), and
    /// failures, each with path, code (the exit code for it alone) and error.
    #[arg(long)]
    pub(crate) json: bool,
}

impl OutputArgs {
    pub(crate) fn options(&self) -> FileOptions {
        with_mode(FileOptions::new(), self.mode)
            .overwrite(self.force)
            .threads(usize::from(self.threads))
            .sync(!self.no_sync)
            // As other programs do that turn a file into another one.
            .keep_time(true)
            .remove_source(self.remove_source)
    }

    /// Refuses closed standard output, where something is to be printed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.json { output::check() } else { Ok(()) }
    }

    pub(crate) fn removes_source(&self) -> bool {
        self.remove_source
    }

    /// Refuses options that `target` does not allow.
    pub(crate) fn refuse(&self, input: &Input, target: &Target) -> Result<(), Failure> {
        let is_file = matches!(target, Target::File(_));
        if self.remove_source && (input.regular().is_none() || !is_file) {
            return Err(Failure::usage(
                "--remove-source is for files whose outputs are files: nothing proves that other \
                 outputs are kept",
            ));
        }
        if self.json && *target == Target::Standard {
            return Err(Failure::usage(
                "standard output is for the JSON: give -o OUT for the output",
            ));
        }
        Ok(())
    }

    /// Where the output for `input` goes; `default` is the file's name if none was given.
    pub(crate) fn target(
        &self,
        input: &Input,
        default: impl FnOnce(&Path) -> Result<PathBuf, Failure>,
    ) -> Result<Target, Failure> {
        match (&self.output, input.path()) {
            (Some(output), path) => Target::of(output, self.force, || {
                let Some(path) = path else { return Ok(None) };
                Ok(default(path)?.file_name().map(OsString::from))
            }),
            (None, None) => Target::standard(),
            (None, Some(path)) => Target::of(&default(path)?, self.force, || Ok(None)),
        }
    }
}

/// Rights as `chmod` takes them in numbers.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) if !text.starts_with('+') => Ok(mode),
        _ => Err("rights are three octal digits, such as 600".to_owned()),
    }
}

/// `options` with the requested rights, if any.
pub(crate) fn with_mode(options: FileOptions, mode: Option<u32>) -> FileOptions {
    match mode {
        Some(mode) => options.mode(mode),
        None => options,
    }
}

/// Where an output goes.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// Standard output.
    Standard,
    /// An existing FIFO, device or open file, which is written to.
    Stream(PathBuf),
    /// A regular file, existing or not.
    File(PathBuf),
}

impl Target {
    /// The kind of `output`; for a directory, the file in it with the name of `default`.
    pub(crate) fn of(
        output: &Path,
        force: bool,
        default: impl FnOnce() -> Result<Option<OsString>, Failure>,
    ) -> Result<Self, Failure> {
        if output.as_os_str() == "-" {
            return Self::standard();
        }
        if !std::fs::metadata(output).is_ok_and(|metadata| metadata.is_dir()) {
            return Self::named(output, force);
        }
        match default()? {
            Some(name) => Self::named(&output.join(name), force),
            None => Err(Failure::usage(format!(
                "{} is a directory: give the name of a file in it",
                output.display()
            ))),
        }
    }

    /// Standard output, if it is not closed.
    pub(crate) fn standard() -> Result<Self, Failure> {
        output::check().map(|()| Self::Standard)
    }

    fn named(path: &Path, force: bool) -> Result<Self, Failure> {
        match names::descriptor(path) {
            Some(1) => return Self::standard(),
            Some(_) => return Ok(Self::Stream(path.to_owned())),
            None => {}
        }
        let shown = path.display();
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Failure::usage(format!("{shown} is a directory")));
            }
            Ok(metadata) if is_block_device(metadata.file_type()) && !force => {
                return Err(Failure::usage(format!(
                    "{shown} is a block device, whose content would be lost: give --force if that \
                     is wanted"
                )));
            }
            Ok(metadata) if !metadata.is_file() => return Ok(Self::Stream(path.to_owned())),
            _ => {}
        }
        if path.as_os_str().as_encoded_bytes().last().is_some_and(|end| is_separator(*end)) {
            return Err(Failure::usage(format!("there is no directory {shown}")));
        }
        // The library refuses this too; here the error can name the option that helps.
        if !force && path.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "{shown} exists: choose another output with -o, or replace it with --force"
            )));
        }
        Ok(Self::File(path.to_owned()))
    }

    /// Refuses an input that would be written to while it is read.
    pub(crate) fn refuse<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a Input>,
    ) -> Result<(), Failure> {
        let Some(identity) = self.identity() else { return Ok(()) };
        match inputs.into_iter().find(|input| input.identity() == Some(identity)) {
            Some(input) => Err(Failure::usage(format!(
                "{} and {} are the same file: choose another output",
                input.name(),
                self.name()
            ))),
            None => Ok(()),
        }
    }

    /// Whether both are the same place, whatever their names.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let place = |target: &Self| match target {
            Self::Standard => None,
            Self::Stream(path) | Self::File(path) => Some(names::settled(path)),
        };
        place(self) == place(other)
            || self.identity().is_some_and(|id| other.identity() == Some(id))
    }

    /// The identity of the regular file.
    fn identity(&self) -> Option<Identity> {
        let metadata = match self {
            Self::Standard => streams::output().ok()?.metadata(),
            Self::Stream(path) | Self::File(path) => std::fs::metadata(path).ok(),
        };
        metadata.as_ref().and_then(Identity::of)
    }

    fn name(&self) -> String {
        match self {
            Self::Standard => "standard output".to_owned(),
            Self::Stream(path) | Self::File(path) => path.display().to_string(),
        }
    }

    /// Opens it for an output made from `source`, whose rights a file takes over. May block until a
    /// FIFO has a reader.
    pub(crate) async fn open(
        &self,
        options: &FileOptions,
        sync: bool,
        source: Option<&SourceFile>,
    ) -> Result<Sink, Failure> {
        match self {
            Self::Standard => streams::output().map(Sink::Standard).map_err(output::cannot_write),
            Self::Stream(path) => {
                let owned = path.clone();
                let opened = blocking(move || open_stream(&owned, sync)).await?;
                opened.map_err(|error| {
                    Failure::other(format!("cannot write to {}: {error}", path.display()))
                })
            }
            Self::File(target) => match source {
                Some(source) => AtomicFile::create_from(target, options, source),
                None => AtomicFile::create(target, options),
            }
            .map(|file| Sink::File(Box::new(file)))
            .map_err(Failure::writing),
        }
    }
}

fn open_stream(path: &Path, sync: bool) -> io::Result<Sink> {
    // As it is and not opened again: a socket cannot be reopened.
    #[cfg(unix)]
    if names::descriptor(path) == Some(2) {
        return streams::error().map(Sink::Standard);
    }
    let regular = std::fs::metadata(path)?.is_file();
    let mut options = File::options();
    // A regular file that another program opened for us is appended to.
    options.write(true).append(regular);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        // A terminal must not become the controlling terminal.
        let flags = OFlags::NOCTTY.bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    let file = options.open(path)?;
    let syncs = |metadata: Metadata| metadata.is_file() || is_block_device(metadata.file_type());
    let sync = sync && file.metadata().is_ok_and(syncs);
    Ok(Sink::Stream { file, sync })
}

#[cfg(unix)]
fn is_block_device(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&kind)
}

#[cfg(not(unix))]
fn is_block_device(_: FileType) -> bool {
    false
}

fn is_separator(byte: u8) -> bool {
    std::path::is_separator(char::from(byte))
}

/// An output that was opened.
pub(crate) enum Sink {
    Standard(streams::Output),
    Stream { file: File, sync: bool },
    File(Box<AtomicFile>),
}

impl Sink {
    /// Gives a file its name.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        // Both wait for the disk, and the command's thread must not.
        let done = match self {
            Self::Standard(_) | Self::Stream { sync: false, .. } => return Ok(()),
            Self::Stream { file, .. } => {
                let synced = blocking(move || file.sync_all()).await?;
                return synced.map_err(|error| Failure::other(format!("cannot sync: {error}")));
            }
            Self::File(file) => blocking(move || file.commit()).await?,
        };
        done.map_err(Failure::writing)
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(stdout) => stdout.write(buf),
            Self::Stream { file, .. } => file.write(buf),
            Self::File(file) => file.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(stdout) => stdout.flush(),
            Self::Stream { file, .. } => file.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// A short result, its output, and its source.
pub(crate) struct Delivery<'a> {
    pub(crate) target: Target,
    pub(crate) options: FileOptions,
    pub(crate) source: Option<&'a SourceFile>,
    pub(crate) bytes: &'a [u8],
}

/// Writes results that belong together. Files get their names last, in the given order, all or
/// none, and only after everything else was written.
pub(crate) async fn deliver<'a>(
    deliveries: impl IntoIterator<Item = Delivery<'a>>,
) -> Result<(), Failure> {
    let is_file = |delivery: &Delivery<'_>| matches!(delivery.target, Target::File(_));
    let (files, streams): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(is_file);
    let (mut named, mut written) = (Vec::new(), Vec::new());
    for Delivery { target, options, source, bytes } in files.into_iter().chain(streams) {
        let mut sink = target.open(&options, true, source).await?;
        sink.write_all(bytes).and_then(|()| sink.flush()).map_err(|error| {
            Failure::other(format!("cannot write to {}: {error}", target.name()))
        })?;
        match sink {
            Sink::File(file) => named.push(*file),
            stream => written.push(stream),
        }
    }
    signals::finishing();
    for stream in written {
        stream.commit().await?;
    }
    blocking(move || AtomicFile::commit_all(named)).await?.map_err(Failure::writing)
}
