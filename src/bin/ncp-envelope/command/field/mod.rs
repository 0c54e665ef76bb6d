//! `ncp-envelope field`: short values under the keys of a ring, one at a time or as the columns of
//! a CSV file.

mod csv;
mod explain;
mod options;

use crate::input::Input;
use crate::status::Failure;
use crate::{output, streams};
use clap::{Args, Subcommand};
use explain::Explained;
use ncp_envelope::fields::FieldCiphertext;
use options::{BitsArg, MAX_VALUE, UseArgs, named, standard};
use zeroize::Zeroizing;

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

async fn value(input: &Input) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let most = "64 KiB, the most for a value: encrypt it as a message";
    Ok(input.content(MAX_VALUE, most, false).await?.bytes)
}

/// `bytes` without the line end behind them, if there is one.
fn line(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
