//! `ncp-envelope field`: short values under the keys of a ring, one at a time or as the columns of
//! a CSV file.

mod csv;
mod explain;

use crate::command::ring::{RingFile, ScopeArg};
use crate::input::Input;
use crate::options::KmsArgs;
use crate::place::Target;
use crate::reading::refused;
use crate::session::Session;
use crate::status::Failure;
use crate::{output, streams};
use clap::{Args, Subcommand, value_parser};
use explain::Explained;
use ncp_envelope::fields::{Field, FieldCiphertext, FieldMode, KeyRing};
use zeroize::Zeroizing;

/// The most bytes of a value.
const MAX_VALUE: usize = 64 << 10;
/// More bytes than a ciphertext has in either form, with a line end.
const MAX_CIPHERTEXT: usize = (MAX_VALUE + 64) / 3 * 4 + 8;

#[derive(Args)]
pub(crate) struct FieldArgs {
    #[command(subcommand)]
    command: FieldCommand,
}

#[derive(Subcommand)]
enum FieldCommand {
    /// Encrypt a value of up to 64 KiB from standard input to standard output. Every byte counts,
    /// a line end included.
    Encrypt(EncryptArgs),
    /// Decrypt a value from standard input to standard output.
    Decrypt(DecryptArgs),
    /// Print the blind index of a value from standard input, in hexadecimal digits. Equal values
    /// have equal indexes.
    Index(IndexArgs),
    /// Encrypt and decrypt columns of a CSV file.
    Csv(csv::CsvArgs),
}

#[derive(Args)]
struct EncryptArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Give equal values of one field and row equal ciphertexts, so that they can be compared.
    #[arg(long)]
    deterministic: bool,
    /// Write the text form and a line end: base64url without padding.
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    ring: UseArgs,
}

#[derive(Args)]
struct DecryptArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Read the text form, which may have a line end.
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    ring: UseArgs,
}

#[derive(Args)]
struct IndexArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    bits: BitsArg,
    /// Number of the index key, for indexes that an older one has made [default: the newest].
    #[arg(long, value_name = "N")]
    index_key: Option<u32>,
    #[command(flatten)]
    ring: UseArgs,
}

/// What a value is tied to.
#[derive(Args)]
struct PlaceArgs {
    #[command(flatten)]
    name: NameArgs,
    /// The row that the value belongs to, such as its primary key; decryption needs the same. Not
    /// stored.
    #[arg(long, value_name = "ROW", default_value = "", hide_default_value = true)]
    row: String,
}

#[derive(Args)]
struct NameArgs {
    /// Name of the field, such as customers.email.
    #[arg(long, value_name = "NAME")]
    field: String,
}

#[derive(Args)]
struct BitsArg {
    /// Length of an index in bits, 8 to 256. With few bits, different values share an index.
    #[arg(long, value_name = "BITS", default_value_t = 128,
        value_parser = value_parser!(u16).range(8..=256))]
    bits: u16,
}

/// The ring and the key service. Last in each command, as the heading of the KMS options applies to
/// everything after it.
#[derive(Args)]
struct UseArgs {
    #[command(flatten)]
    file: RingFile,
    #[command(flatten)]
    scope: ScopeArg,
    #[command(flatten)]
    kms: KmsArgs,
}

/// An open ring, and what must stay alive for it to work.
struct Use {
    ring: KeyRing,
    _session: Session,
}

impl UseArgs {
    async fn open(&self, input: &Input) -> Result<Use, Failure> {
        let (name, bytes) = self.file.read(Some(input)).await?;
        // Before any call.
        crate::command::ring::decode(&name, &bytes)?;
        let session = Session::open(&self.kms, &self.scope.scope).await?;
        let ring = KeyRing::open(&bytes, &session.envelope).await;
        let ring = ring.map_err(|error| refused(&name, error))?;
        Ok(Use { ring, _session: session })
    }
}

pub(crate) async fn run(args: FieldArgs) -> Result<(), Failure> {
    match args.command {
        FieldCommand::Encrypt(args) => encrypt(args).await,
        FieldCommand::Decrypt(args) => decrypt(args).await,
        FieldCommand::Index(args) => index(args).await,
        FieldCommand::Csv(args) => csv::run(args).await,
    }
}

async fn encrypt(args: EncryptArgs) -> Result<(), Failure> {
    let input = standard()?;
    if !args.text && streams::output_is_terminal() {
        return Err(Failure::usage("a ciphertext is not for a terminal: give --text"));
    }
    let value = value(&input).await?;
    let used = args.ring.open(&input).await?;
    let field = named(&used.ring, &args.place.name.field, args.deterministic)?;
    let ciphertext = field.encrypt(&*value, &args.place.row).map_err(Failure::writing)?;
    match args.text {
        true => output::line(&FieldCiphertext::to_text(&ciphertext)),
        false => output::print(&ciphertext),
    }
}

async fn decrypt(args: DecryptArgs) -> Result<(), Failure> {
    let input = standard()?;
    let bytes = input.content(MAX_CIPHERTEXT, "a ciphertext of 64 KiB", false).await?.bytes;
    let ciphertext = match args.text {
        true => explain::from_text(line(&bytes)).map_err(|why| why.of(&input.name()))?,
        false => bytes.to_vec(),
    };
    let used = args.ring.open(&input).await?;
    let field = named(&used.ring, &args.place.name.field, false)?;
    let value = field.decrypt(&ciphertext, &args.place.row).map_err(|error| {
        Explained::new(error, &used.ring.document(), &ciphertext).of(&input.name())
    })?;
    output::print(&value)
}

async fn index(args: IndexArgs) -> Result<(), Failure> {
    let input = standard()?;
    let value = value(&input).await?;
    let used = args.ring.open(&input).await?;
    let field = named(&used.ring, &args.name.field, false)?;
    let field = field.with_index_bits(args.bits.bits).map_err(Failure::writing)?;
    let index = match args.index_key {
        Some(number) => field.index_under(number, &*value),
        None => field.index(&*value),
    };
    let index = index.map_err(Failure::writing)?;
    output::line(&hex(index.as_ref()))
}

/// Standard input, if both streams are open.
fn standard() -> Result<Input, Failure> {
    let input = Input::look("-".as_ref())?;
    Target::standard()?.refuse([&input])?;
    Ok(input)
}

async fn value(input: &Input) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let most = "64 KiB, the most for a value: encrypt it as a message";
    Ok(input.content(MAX_VALUE, most, false).await?.bytes)
}

fn named(ring: &KeyRing, name: &str, deterministic: bool) -> Result<Field, Failure> {
    let field = ring.field(name).map_err(Failure::writing)?;
    Ok(match deterministic {
        true => field.with_mode(FieldMode::Deterministic),
        false => field,
    })
}

/// `bytes` without the line end behind them, if there is one.
fn line(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
