//! `ncp-envelope cipher`: single cipher calls. Plaintext comes from files or standard input, never
//! from the command line.

use crate::input::{Content, Input, Source};
use crate::options::ServiceArgs;
use crate::place::{Delivery, Target};
use crate::session::{Connection, Purpose};
use crate::status::Failure;
use crate::{output, place};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use ncp_envelope::io::{FileOptions, SourceFile};
use ncp_envelope::kms::{CustomKeyBits, Key, MAX_CALL_PLAINTEXT, MAX_SIGN_DATA};
use ncp_envelope::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest ciphertext or signature that is read, white space around it included.
const MAX_CIPHERTEXT: usize = 70_000;

/// The maximum rights of a file with a plaintext.
const SECRET_MODE: u32 = 0o600;

#[derive(Args)]
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
    /// Check a signature; exit code 3 if it is not valid.
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
    kms: ServiceArgs,
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
    kms: ServiceArgs,
}

#[derive(Args)]
struct SignArgs {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kms: ServiceArgs,
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
    kms: ServiceArgs,
}

#[derive(Args)]
struct CustomKeyArgs {
    /// Length of the key in bits.
    #[arg(long, value_enum, default_value_t = BitsArg::Bits256)]
    bits: BitsArg,
    /// Write the key itself to this file; "-" is standard output and needs -o.
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
    kms: ServiceArgs,
}

#[derive(Args)]
struct PublicKeyArgs {
    /// Number of the version, from 1 [default: the newest].
    #[arg(long = "version-number", value_name = "N")]
    version: Option<u32>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    kms: ServiceArgs,
}

#[derive(Args)]
struct Files {
    #[command(flatten)]
    output: Output,
    /// Accept an input that changes while it is read.
    #[arg(long)]
    allow_changing: bool,
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
    /// Rights of an output file, such as 600, whatever the umask says [default: those of the input,
    /// less the umask; 600 at most for a plaintext].
    #[arg(long, value_name = "OCTAL", value_parser = place::mode)]
    mode: Option<u32>,
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
            let (input, target) = args.files.look()?;
            let plaintext = args.files.read(&input, MAX_CALL_PLAINTEXT).await?;
            let (_open, key) = open(&args.kms, &args.context).await?;
            let ciphertext = key.encrypt(&plaintext.bytes).await.map_err(Failure::writing)?;
            args.files.output.line(target, plaintext.source.file(), &ciphertext).await
        }
        CipherCommand::Decrypt(args) => {
            let (input, target) = args.files.look()?;
            let (source, ciphertext) = args.files.read_text(&input).await?;
            let (_open, key) = open(&args.kms, &args.context).await?;
            let plaintext = key.decrypt(&ciphertext).await.map_err(refused)?;
            let plaintext = encoded(plaintext.expose_secret(), args.base64)?;
            let options = args.files.output.secret();
            let source = source.file();
            place::deliver([Delivery { target, options, source, bytes: &plaintext }]).await
        }
        CipherCommand::ReEncrypt(args) => {
            let (input, target) = args.files.look()?;
            let (source, ciphertext) = args.files.read_text(&input).await?;
            let (_open, key) = open(&args.kms, &args.context).await?;
            let ciphertext = key.re_encrypt(&ciphertext).await.map_err(refused)?;
            args.files.output.line(target, source.file(), &ciphertext).await
        }
        CipherCommand::Sign(args) => {
            let (input, target) = args.files.look()?;
            let data = args.files.read(&input, MAX_SIGN_DATA).await?;
            let (_open, key) = open(&args.kms, &None).await?;
            let signature = key.sign(&data.bytes).await.map_err(Failure::writing)?;
            args.files.output.line(target, data.source.file(), &signature).await
        }
        CipherCommand::Verify(args) => {
            let (input, signature) =
                (Input::look(&args.input)?, Input::look(&args.signature_file)?);
            input.refuse_twice(Some(&signature))?;
            Target::standard()?.refuse([&input, &signature])?;
            let (_, signature) = read_text(&signature, false).await?;
            let data = read(&input, MAX_SIGN_DATA, false).await?;
            let (_open, key) = open(&args.kms, &None).await?;
            match key.verify(&data.bytes, &signature).await.map_err(Failure::writing)? {
                true => output::line("valid"),
                false => Err(Failure::reading(Error::new(
                    ErrorKind::Authentication,
                    "the signature is not valid",
                ))),
            }
        }
        CipherCommand::CustomKey(args) => custom_key(args).await,
        CipherCommand::PublicKey(args) => {
            let target = args.output.target()?;
            let (_open, key) = open(&args.kms, &None).await?;
            let pem = key.public_key(args.version).await.map_err(Failure::writing)?;
            args.output.line(target, None, pem.trim_end()).await
        }
    }
}

async fn custom_key(args: CustomKeyArgs) -> Result<(), Failure> {
    let bits = match args.bits {
        BitsArg::Bits128 => CustomKeyBits::Bits128,
        BitsArg::Bits256 => CustomKeyBits::Bits256,
        BitsArg::Bits512 => CustomKeyBits::Bits512,
    };
    let target = args.output.target()?;
    let plaintext = args.plaintext.as_ref().map(|path| args.output.target_of(path)).transpose()?;
    if plaintext.as_ref().is_some_and(|plaintext| plaintext.is_same(&target)) {
        return Err(Failure::usage(
            "the key itself and the encrypted key need different outputs: give -o OUT",
        ));
    }
    let (_open, key) = open(&args.kms, &args.context).await?;
    let Some(plaintext_target) = plaintext else {
        let made = key.create_custom_key(bits).await.map_err(Failure::writing)?;
        return args.output.line(target, None, &made.ciphertext).await;
    };
    let made = key.create_custom_key_with_plaintext(bits).await.map_err(Failure::writing)?;
    let plaintext =
        made.plaintext.ok_or_else(|| Failure::other("the service gave no plaintext"))?;
    let plaintext = encoded(plaintext.expose_secret(), args.base64)?;
    let ciphertext = format!("{}\n", made.ciphertext);
    let delivery = |target, options, bytes| Delivery { target, options, source: None, bytes };
    // Requested rights apply to the encrypted key: the other output is still a secret.
    let options = args.output.options();
    let mode = args.output.mode.map(|mode| mode & SECRET_MODE);
    let secret = Output { mode, ..args.output }.secret();
    // The encrypted key last: replacing an old one loses the key in it, and by then the new key
    // must be in both places.
    place::deliver([
        delivery(plaintext_target, secret, &plaintext[..]),
        delivery(target, options, ciphertext.as_bytes()),
    ])
    .await
}

/// The key, and the connection that must stay alive for it to work.
async fn open(kms: &ServiceArgs, context: &Option<String>) -> Result<(Connection, Key), Failure> {
    let connection = Connection::open(kms, Purpose::Cipher).await?;
    let key = connection.key()?;
    let key = match context {
        Some(context) => key.with_context(context).map_err(Failure::writing)?,
        None => key,
    };
    Ok((connection, key))
}

/// The service has no code for a ciphertext that it cannot open: it calls the request invalid.
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

/// The bytes themselves, or in base64 with a line break.
fn encoded(bytes: &[u8], base64: bool) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if !base64 {
        return Ok(Zeroizing::new(bytes.to_vec()));
    }
    let mut text = Zeroizing::new(vec![b'\n'; bytes.len().div_ceil(3) * 4 + 1]);
    STANDARD
        .encode_slice(bytes, &mut text)
        .map_err(|_| Failure::other("the plaintext is too long for base64"))?;
    Ok(text)
}

impl Files {
    /// Inspects both before any call.
    fn look(&self) -> Result<(Input, Target), Failure> {
        let (input, target) = (Input::look(&self.input)?, self.output.target()?);
        target.refuse([&input])?;
        Ok((input, target))
    }

    async fn read(&self, input: &Input, limit: usize) -> Result<Content, Failure> {
        read(input, limit, self.allow_changing).await
    }

    async fn read_text(&self, input: &Input) -> Result<(Source, String), Failure> {
        read_text(input, self.allow_changing).await
    }
}

impl Output {
    fn target(&self) -> Result<Target, Failure> {
        self.target_of(&self.output)
    }

    fn target_of(&self, path: &Path) -> Result<Target, Failure> {
        Target::of(path, self.force, || Ok(None))
    }

    fn options(&self) -> FileOptions {
        place::with_mode(FileOptions::new(), self.mode).overwrite(self.force)
    }

    /// For outputs that only the user may read.
    fn secret(&self) -> FileOptions {
        self.options().max_mode(SECRET_MODE)
    }

    async fn line(
        &self,
        target: Target,
        source: Option<&SourceFile>,
        text: &str,
    ) -> Result<(), Failure> {
        let (options, text) = (self.options(), format!("{text}\n"));
        place::deliver([Delivery { target, options, source, bytes: text.as_bytes() }]).await
    }
}

/// All bytes of an input.
async fn read(input: &Input, limit: usize, allow_changing: bool) -> Result<Content, Failure> {
    input.content(limit, &format!("{limit} bytes"), allow_changing).await
}

/// The text in an input, without the line break at its end, and its source.
async fn read_text(input: &Input, allow_changing: bool) -> Result<(Source, String), Failure> {
    let Content { bytes, source } = read(input, MAX_CIPHERTEXT, allow_changing).await?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok((source, text.trim().to_owned())),
        Err(_) => Err(Failure::reading(Error::new(
            ErrorKind::Malformed,
            format!("{} is not text", input.name()),
        ))),
    }
}
