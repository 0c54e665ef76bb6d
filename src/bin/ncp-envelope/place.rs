//! Where a message or a plaintext comes from and goes to: files, standard input, standard output.

use crate::status::Failure;
use clap::{Args, value_parser};
use ncp_envelope::io::{AtomicFile, FileOptions};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// More than the library uses.
const MAX_THREADS: i64 = 1_024;
/// With the usual 64 KiB, reader and writer wait for each other more often; 1 MiB falls out of the
/// cache.
#[cfg(target_os = "linux")]
const PIPE_LEN: usize = 256 << 10;

#[derive(Args)]
pub(crate) struct OutputArgs {
    /// Replace an output file that exists.
    #[arg(long)]
    pub(crate) force: bool,
    /// Where to write; "-" is standard output [default: INPUT with .ncpe added, or removed to
    /// decrypt; standard output for standard input].
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Threads that work on a file; 0 for as many as there are cores. Standard input and output do
    /// not use them.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
        value_parser = value_parser!(u16).range(..=MAX_THREADS))]
    pub(crate) threads: u16,
    /// Do not wait until the output file is on the disk: faster, and a power cut may leave it with
    /// missing content.
    #[arg(long)]
    pub(crate) no_sync: bool,
}

impl OutputArgs {
    pub(crate) fn options(&self) -> FileOptions {
        FileOptions::new()
            .overwrite(self.force)
            .threads(usize::from(self.threads))
            .sync(!self.no_sync)
    }
}

/// Where the output goes.
#[derive(PartialEq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    pub(crate) fn of(
        input: &Path,
        output: &OutputArgs,
        default: impl FnOnce(&Path) -> Result<PathBuf, Failure>,
    ) -> Result<Self, Failure> {
        let file = match &output.output {
            Some(output) if is_dash(output) => return Ok(Self::Stdout),
            Some(output) => output.clone(),
            None if is_dash(input) => return Ok(Self::Stdout),
            None => default(input)?,
        };
        // The library refuses this too; here it can be said which option helps.
        if !output.force && file.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "{} exists: choose another output with -o, or replace it with --force",
                file.display()
            )));
        }
        Ok(Self::File(file))
    }

    pub(crate) fn open(&self, options: &FileOptions) -> Result<Sink, Failure> {
        match self {
            Self::Stdout => stdout().map(Sink::Stdout).map_err(|error| {
                Failure::other(format!("cannot write to standard output: {error}"))
            }),
            Self::File(target) => AtomicFile::create(target, options)
                .map(|file| Sink::File(Box::new(file)))
                .map_err(Failure::writing),
        }
    }
}

pub(crate) enum Sink {
    Stdout(Box<dyn Write + Send>),
    File(Box<AtomicFile>),
}

impl Sink {
    /// Gives a file its name.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        let Self::File(file) = self else { return Ok(()) };
        // Waits for the disk, which the runtime's thread must not.
        tokio::task::spawn_blocking(move || file.commit())
            .await
            .map_err(|error| Failure::other(format!("stopped: {error}")))?
            .map_err(Failure::writing)
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(buf),
            Self::File(file) => file.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file, or standard input.
pub(crate) fn open(input: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if is_dash(input) {
        return stdin()
            .map_err(|error| Failure::other(format!("cannot read standard input: {error}")));
    }
    match File::open(input) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::other(format!("cannot open {}: {error}", input.display()))),
    }
}

/// Standard input without the buffer that the standard library puts in front of it.
fn stdin() -> io::Result<Box<dyn Read + Send>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
        widen(&file);
        Ok(Box::new(file))
    }
    #[cfg(not(unix))]
    Ok(Box::new(io::stdin()))
}

/// Standard output without the standard library's buffer, which looks for line ends in everything.
fn stdout() -> io::Result<Box<dyn Write + Send>> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        widen(&file);
        Ok(Box::new(file))
    }
    #[cfg(not(unix))]
    Ok(Box::new(io::stdout()))
}

/// Makes room in a pipe. What is none, or may not be larger, stays as it is.
#[cfg(unix)]
fn widen(file: &std::fs::File) {
    #[cfg(target_os = "linux")]
    if rustix::pipe::fcntl_getpipe_size(file).is_ok_and(|len| len < PIPE_LEN) {
        let _ = rustix::pipe::fcntl_setpipe_size(file, PIPE_LEN);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
