//! `ncp-envelope encrypt` and `decrypt`: from a file or standard input to a file or standard
//! output.

use crate::options::{ENVIRONMENT, KmsArgs};
use crate::pipe::{self, Buffer, Buffered, blocking, write_beside};
use crate::progress::Progress;
use crate::session::Session;
use crate::status::Failure;
use clap::{Args, value_parser};
use ncp_envelope::format::{CHUNK_LEN, SEALED_CHUNK_LEN};
use ncp_envelope::io::{AtomicFile, FileOptions};
use ncp_envelope::{DecryptPolicy, EncryptOptions, EncryptionContext, Error};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// More than the library uses.
const MAX_THREADS: i64 = 1_024;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct EncryptArgs {
    /// Store this pair in the clear and authenticate it; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) context: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    /// Keep two copies of the key slots in disk blocks of their own, so that they can be replaced
    /// in place.
    #[arg(long)]
    pub(crate) durable: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// File to encrypt; "-" is standard input.
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) kms: KmsArgs,
}

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct DecryptArgs {
    /// Refuse a message that does not carry this pair; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) context: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Message to decrypt; "-" is standard input.
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) kms: KmsArgs,
}

#[derive(Args)]
pub(crate) struct MessageArgs {
    /// Authenticate the content of this file without storing it; decryption needs the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) aad_file: Option<PathBuf>,
    /// What the data key is for, such as a tenant; decryption needs the same. Not stored.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) scope: String,
}

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

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a pair is written NAME=VALUE, with a name".to_owned()),
    }
}

const EXTENSION: &str = "ncpe";
/// Plaintext of the chunks that fill one buffer, whatever was held back before.
const RUN_LEN: usize = pipe::BUFFER_LEN / SEALED_CHUNK_LEN * CHUNK_LEN;
const MAX_AAD_LEN: u64 = 16 << 20;

pub(crate) async fn encrypt(args: EncryptArgs) -> Result<(), Failure> {
    let mut context = EncryptionContext::new();
    for (name, value) in args.context {
        context.insert(name, value).map_err(Failure::writing)?;
    }
    let options =
        EncryptOptions::new().context(context).aad(aad(&args.message)?).durable(args.durable);
    let target = Target::of(&args.input, &args.output, |input| {
        let mut name = OsString::from(input);
        name.push(".");
        name.push(EXTENSION);
        Ok(name.into())
    })?;
    if target == Target::Stdout && args.output.output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a message is not for a terminal: give -o OUT, or -o - if you mean it",
        ));
    }
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());

    if let (false, Target::File(target)) = (is_dash(&args.input), &target) {
        session
            .envelope
            .encrypt_file(&args.input, target, options, &file_options)
            .await
            .map(drop)
            .map_err(Failure::writing)
    } else {
        let (mut source, mut sink) = (open(&args.input)?, target.open(&file_options)?);
        let mut encryptor =
            Some(session.envelope.encryptor(options).await.map_err(Failure::writing)?);
        let report = progress.reporter();
        blocking(move |abandoned| {
            let header = encryptor.as_ref().map_or(&[][..], |encryptor| encryptor.header());
            sink.write_all(header)
                .map_err(|error| Failure::other(format!("cannot write the output: {error}")))?;
            let (mut input, mut done) = (Buffer::new(), 0);
            let sealed = write_beside(sink, abandoned, |out| {
                let Some(mut running) = encryptor.take() else { return Ok(None) };
                // As much as gives one output buffer, with what is held back from before.
                let len = pipe::read(&mut source, &mut input.bytes()[..RUN_LEN])?;
                if len == 0 {
                    return running.finish(out).map(Some);
                }
                done += len as u64;
                report(done, None);
                let progress = running.update(&input.bytes()[..len], out)?;
                debug_assert_eq!(progress.consumed, len);
                encryptor = Some(running);
                Ok(Some(progress.written))
            });
            sealed.and_then(Sink::commit).map_err(Failure::writing)
        })
        .await
    }
}

pub(crate) async fn decrypt(args: DecryptArgs) -> Result<(), Failure> {
    let mut policy = DecryptPolicy::new().aad(aad(&args.message)?);
    for (name, value) in args.context {
        policy = policy.require(name, value);
    }
    let target = Target::of(&args.input, &args.output, |input| {
        if input.extension().is_some_and(|extension| extension == EXTENSION) {
            Ok(input.with_extension(""))
        } else {
            Err(Failure::usage(format!(
                "{} does not end in .{EXTENSION}: give -o OUT",
                input.display()
            )))
        }
    })?;
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());

    if let (false, Target::File(target)) = (is_dash(&args.input), &target) {
        session
            .envelope
            .decrypt_file(&args.input, target, &policy, &file_options)
            .await
            .map(drop)
            .map_err(Failure::reading)
    } else {
        let (source, sink) = (open(&args.input)?, target.open(&file_options)?);
        let mut reader = session
            .envelope
            .reader(Buffered::new(source), &policy)
            .await
            .map_err(Failure::reading)?;
        let report = progress.reporter();
        blocking(move |abandoned| {
            let mut done = 0;
            let opened = write_beside(sink, abandoned, |out| {
                let len = pipe::read(&mut reader, out)?;
                done += len as u64;
                report(done, None);
                Ok((len > 0).then_some(len))
            });
            opened.and_then(Sink::commit).map_err(Failure::reading)
        })
        .await
    }
}

/// Where the output goes.
#[derive(PartialEq)]
enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    fn of(
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

    fn open(&self, options: &FileOptions) -> Result<Sink, Failure> {
        match self {
            Self::Stdout => pipe::stdout().map(Sink::Stdout).map_err(|error| {
                Failure::other(format!("cannot write to standard output: {error}"))
            }),
            Self::File(target) => AtomicFile::create(target, options)
                .map(|file| Sink::File(Box::new(file)))
                .map_err(Failure::writing),
        }
    }
}

enum Sink {
    Stdout(Box<dyn Write + Send>),
    File(Box<AtomicFile>),
}

impl Sink {
    fn commit(self) -> Result<(), Error> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File(file) => file.commit(),
        }
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

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(input: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if is_dash(input) {
        return pipe::stdin()
            .map_err(|error| Failure::other(format!("cannot read standard input: {error}")));
    }
    match File::open(input) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::other(format!("cannot open {}: {error}", input.display()))),
    }
}

fn aad(message: &MessageArgs) -> Result<Vec<u8>, Failure> {
    let Some(path) = &message.aad_file else { return Ok(Vec::new()) };
    let failed = |error| Failure::other(format!("cannot read {}: {error}", path.display()));
    let mut aad = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_AAD_LEN + 1).read_to_end(&mut aad))
        .map_err(failed)?;
    match aad.len() as u64 {
        0 => Err(Failure::usage(format!(
            "{} is empty: associated data needs at least one byte",
            path.display()
        ))),
        len if len > MAX_AAD_LEN => Err(Failure::usage(format!(
            "{} is longer than 16 MiB, the most for associated data",
            path.display()
        ))),
        _ => Ok(aad),
    }
}
