//! `ncp-envelope cipher`: single cipher calls. Plaintext comes from files or standard input, never
//! from the command line.

use crate::options::{ENVIRONMENT, KmsArgs};
use crate::output;
use crate::session::{Connection, Purpose};
use crate::status::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use ncp_envelope::io::{AtomicFile, FileOptions};
use ncp_envelope::kms::{CustomKeyBits, Key, MAX_CALL_PLAINTEXT, MAX_SIGN_DATA};
use ncp_envelope::{Error, ErrorKind};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest ciphertext or signature that is read, with space around it.
const MAX_CIPHERTEXT: usize = 70_000;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct CipherArgs {
    #[command(subcommand)]
    command: CipherCommand,
}

#[derive(Subcommand)]
enum CipherCommand {
    /// Encrypt up to 32768 bytes (190 with an RSA key).
    Encrypt(EncryptArgs),
    /// Decrypt a ciphertext.
    Decrypt(DecryptArgs),
    /// Move a ciphertext to the key's newest version.
    ReEncrypt(EncryptArgs),
    /// Sign up to 8192 bytes.
    Sign(SignArgs),
    /// Say whether a signature is valid; exit code 3 if not.
    Verify(VerifyArgs),
    /// Make a random key and print it encrypted.
    CustomKey(CustomKeyArgs),
    /// Print the public key of an RSA or ECDSA key.
    PublicKey(PublicKeyArgs),
}

#[derive(Args)]
struct EncryptArgs {
    /// Context of a convergent key, 1 to 50 bytes; not a secret.
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct DecryptArgs {
    /// Context of a convergent key, 1 to 50 bytes; not a secret.
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// Write base64 and a line break instead of the bytes themselves.
    #[arg(long)]
    base64: bool,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct SignArgs {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct VerifyArgs {
    /// File with the signature.
    #[arg(long, value_name = "FILE")]
    signature_file: PathBuf,
    /// File with what was signed; "-" is standard input.
    #[arg(default_value = "-")]
    input: PathBuf,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct CustomKeyArgs {
    /// Length of the key in bits.
    #[arg(long, value_enum, default_value_t = BitsArg::Bits256)]
    bits: BitsArg,
    /// Write the key itself to this file; "-" is standard output, and -o is needed then.
    #[arg(long, value_name = "OUT")]
    plaintext: Option<PathBuf>,
    /// Write the key itself in base64 with a line break.
    #[arg(long, requires = "plaintext")]
    base64: bool,
    /// Context of a convergent key, 1 to 50 bytes; not a secret.
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct PublicKeyArgs {
    /// Number of the version, from 1 [default: the newest].
    #[arg(long = "version-number", value_name = "N")]
    version: Option<u32>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct Files {
    #[command(flatten)]
    output: Output,
    /// File to read; "-" is standard input.
    #[arg(default_value = "-")]
    input: PathBuf,
}

#[derive(Args)]
struct Output {
    /// Replace an output file that exists.
    #[arg(long)]
    force: bool,
    /// Where to write; "-" is standard output.
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum BitsArg {
    #[value(name = "128")]
    Bits128,
    #[value(name = "256")]
    Bits256,
    #[value(name = "512")]
    Bits512,
}

pub(crate) async fn run(args: CipherArgs) -> Result<(), Failure> {
    match args.command {
        CipherCommand::Encrypt(args) => {
            let (plaintext, (_open, key)) = (
                read(&args.files.input, MAX_CALL_PLAINTEXT).await?,
                open(&args.kms, &args.context).await?,
            );
            let ciphertext = key.encrypt(&plaintext).await.map_err(Failure::writing)?;
            args.files.output.line(&ciphertext)
        }
        CipherCommand::Decrypt(args) => {
            let (ciphertext, (_open, key)) =
                (read_text(&args.files.input).await?, open(&args.kms, &args.context).await?);
            let plaintext = key.decrypt(&ciphertext).await.map_err(refused)?;
            args.files.output.secret(plaintext.expose_secret(), args.base64)
        }
        CipherCommand::ReEncrypt(args) => {
            let (ciphertext, (_open, key)) =
                (read_text(&args.files.input).await?, open(&args.kms, &args.context).await?);
            let ciphertext = key.re_encrypt(&ciphertext).await.map_err(refused)?;
            args.files.output.line(&ciphertext)
        }
        CipherCommand::Sign(args) => {
            let (data, (_open, key)) =
                (read(&args.files.input, MAX_SIGN_DATA).await?, open(&args.kms, &None).await?);
            let signature = key.sign(&data).await.map_err(Failure::writing)?;
            args.files.output.line(&signature)
        }
        CipherCommand::Verify(args) => {
            let signature = read_text(&args.signature_file).await?;
            let (data, (_open, key)) =
                (read(&args.input, MAX_SIGN_DATA).await?, open(&args.kms, &None).await?);
            match key.verify(&data, &signature).await.map_err(Failure::writing)? {
                true => output::line("valid"),
                false => Err(Failure::reading(Error::new(
                    ErrorKind::Authentication,
                    "the signature is not valid",
                ))),
            }
        }
        CipherCommand::CustomKey(args) => custom_key(args).await,
        CipherCommand::PublicKey(args) => {
            let (_open, key) = open(&args.kms, &None).await?;
            let pem = key.public_key(args.version).await.map_err(Failure::writing)?;
            args.output.line(pem.trim_end())
        }
    }
}

async fn custom_key(args: CustomKeyArgs) -> Result<(), Failure> {
    let bits = match args.bits {
        BitsArg::Bits128 => CustomKeyBits::Bits128,
        BitsArg::Bits256 => CustomKeyBits::Bits256,
        BitsArg::Bits512 => CustomKeyBits::Bits512,
    };
    if args.plaintext.as_deref().is_some_and(|plaintext| plaintext == args.output.output) {
        return Err(Failure::usage(
            "the key itself and the encrypted key need different outputs: give -o OUT",
        ));
    }
    let (_open, key) = open(&args.kms, &args.context).await?;
    let Some(output) = args.plaintext else {
        let made = key.create_custom_key(bits).await.map_err(Failure::writing)?;
        return args.output.line(&made.ciphertext);
    };
    let made = key.create_custom_key_with_plaintext(bits).await.map_err(Failure::writing)?;
    let plaintext =
        made.plaintext.ok_or_else(|| Failure::other("the service gave no plaintext"))?;
    // The encrypted key first: without it the other is of no use.
    args.output.line(&made.ciphertext)?;
    Output { force: args.output.force, output }.secret(plaintext.expose_secret(), args.base64)
}

/// The key, and the connection that has to stay alive for it to work.
async fn open(kms: &KmsArgs, context: &Option<String>) -> Result<(Connection, Key), Failure> {
    let connection = Connection::open(kms, Purpose::Cipher).await?;
    let key = connection.key()?;
    let key = match context {
        Some(context) => key.with_context(context).map_err(Failure::writing)?,
        None => key,
    };
    Ok((connection, key))
}

/// The service has no code of its own for a ciphertext that it cannot open: it calls the request
/// invalid.
fn refused(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidInput => Failure::reading(Error::with_source(
            ErrorKind::Authentication,
            error.to_string(),
            error,
        )),
        _ => Failure::reading(error),
    }
}

impl Output {
    fn line(&self, text: &str) -> Result<(), Failure> {
        self.write(format!("{text}\n").as_bytes())
    }

    fn secret(&self, bytes: &[u8], base64: bool) -> Result<(), Failure> {
        if !base64 {
            return self.write_private(bytes);
        }
        let mut text = Zeroizing::new(vec![b'\n'; bytes.len().div_ceil(3) * 4 + 1]);
        STANDARD
            .encode_slice(bytes, &mut text)
            .map_err(|_| Failure::other("the plaintext is too long for base64"))?;
        self.write_private(&text)
    }

    /// Writes what only the user may read: a temporary file is that from the beginning.
    fn write_private(&self, bytes: &[u8]) -> Result<(), Failure> {
        if self.output.as_os_str() == "-" {
            return output::print(bytes);
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(format!(
                "{} exists: give --force to replace it",
                self.output.display()
            )),
            _ => Failure::other(format!("cannot write {}: {error}", self.output.display())),
        };
        let directory = self
            .output
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        let named = if self.force {
            file.persist(&self.output)
        } else {
            file.persist_noclobber(&self.output)
        };
        named.map(drop).map_err(|error| failed(error.error))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        if self.output.as_os_str() == "-" {
            return output::print(bytes);
        }
        let options = FileOptions::new().overwrite(self.force);
        let mut file = AtomicFile::create(&self.output, &options).map_err(Failure::writing)?;
        let failed =
            |error| Failure::other(format!("cannot write {}: {error}", self.output.display()));
        file.write_all(bytes).map_err(failed)?;
        file.commit().map_err(Failure::writing)
    }
}

/// The text in a file, without the line break at its end.
async fn read_text(input: &Path) -> Result<String, Failure> {
    let bytes = read(input, MAX_CIPHERTEXT).await?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(Failure::reading(Error::new(
            ErrorKind::Malformed,
            format!("{} is not text", name(input)),
        ))),
    }
}

/// All bytes of a file, `limit` at most, in memory that is wiped.
async fn read(input: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let path = input.to_owned();
    // Not on the runtime's thread: standard input may be a silent pipe, and an interrupt has to be
    // heard meanwhile.
    let read = tokio::task::spawn_blocking(move || {
        let mut source: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&path)?)
        };
        // As long as it can get, so that it never moves and leaves a copy behind.
        let mut bytes = Zeroizing::new(vec![0; limit + 1]);
        let mut len = 0;
        while len < bytes.len() {
            match source.read(&mut bytes[len..]) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    });
    let read = read.await.map_err(|error| Failure::other(format!("stopped: {error}")))?;
    let bytes =
        read.map_err(|error| Failure::other(format!("cannot read {}: {error}", name(input))))?;
    if bytes.len() > limit {
        return Err(Failure::usage(format!("{} is longer than {limit} bytes", name(input))));
    }
    Ok(bytes)
}

fn name(input: &Path) -> String {
    if input.as_os_str() == "-" { "standard input".to_owned() } else { input.display().to_string() }
}
