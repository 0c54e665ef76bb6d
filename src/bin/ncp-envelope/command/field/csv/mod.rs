//! `ncp-envelope field csv`: columns of a CSV file, through standard input and output.
//!
//! Promises: memory does not grow with the file. What is decrypted is written only after every
//! value of its batch was found authentic. A failure names the line and the column.

mod batch;
mod buffer;
mod columns;
mod format;
mod pipeline;
mod seal;
mod split;

use super::options::{BitsArg, UseArgs, standard};
use crate::status::{Failure, notice};
use crate::summary::counted;
use clap::{Args, Subcommand};
use columns::{Way, Work};
use pipeline::Pipeline;

#[derive(Args)]
pub(crate) struct CsvArgs {
    #[command(subcommand)]
    command: CsvCommand,
}

#[derive(Subcommand)]
enum CsvCommand {
    /// Encrypt columns. The first line has the names of the columns. Every value of an encrypted
    /// column is encrypted, empty ones as well, so that nobody sees which are empty. Empty lines
    /// are left out; in a file of one column they could be values, and are refused.
    Encrypt(EncryptArgs),
    /// Decrypt columns. With the options that the file was encrypted with, every cell becomes what
    /// it was.
    Decrypt(DecryptArgs),
}

#[derive(Args)]
struct EncryptArgs {
    #[command(flatten)]
    columns: ColumnArgs,
    /// Add a column NAME_index with the blind index of column NAME, which --column has to name too;
    /// can be given many times.
    #[arg(long, value_name = "NAME")]
    index: Vec<String>,
    #[command(flatten)]
    bits: BitsArg,
    /// Give equal values of a column and row equal ciphertexts, in all encrypted columns.
    #[arg(long)]
    deterministic: bool,
    #[command(flatten)]
    ring: UseArgs,
}

#[derive(Args)]
struct DecryptArgs {
    #[command(flatten)]
    columns: ColumnArgs,
    /// Remove the column NAME_index; can be given many times.
    #[arg(long, value_name = "NAME")]
    index: Vec<String>,
    #[command(flatten)]
    ring: UseArgs,
}

#[derive(Args)]
struct ColumnArgs {
    /// A column to encrypt or decrypt; can be given many times.
    #[arg(long, value_name = "NAME", required = true)]
    column: Vec<String>,
    /// Put TABLE and a dot in front of the columns' names: these are the names of the fields.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// The column that tells the rows apart, such as the primary key. Values are tied to it: moved
    /// to another row, they cannot be decrypted. It stays as it is.
    #[arg(long, value_name = "NAME")]
    row_column: Option<String>,
}

pub(super) async fn run(args: CsvArgs) -> Result<(), Failure> {
    let (way, columns, index, bits, deterministic, ring) = match args.command {
        CsvCommand::Encrypt(args) => {
            let EncryptArgs { columns, index, bits, deterministic, ring } = args;
            (Way::Encrypt, columns, index, bits.bits, deterministic, ring)
        }
        CsvCommand::Decrypt(DecryptArgs { columns, index, ring }) => {
            (Way::Decrypt, columns, index, 128, false, ring)
        }
    };
    let work = Work {
        way,
        columns: columns.column,
        indexes: index,
        row: columns.row_column,
        table: columns.table,
        bits,
        deterministic,
    };
    work.check()?;
    let input = standard()?;
    let used = ring.open(&input).await?;
    // A name that no field can have is refused before anything is read.
    work.fields(&used.ring)?;
    let written = Pipeline::new(&work, &used.ring).run(&input).await?;
    let what = match way {
        Way::Encrypt => "encrypted",
        Way::Decrypt => "decrypted",
    };
    let columns = counted(work.columns.len() as u64, "column");
    notice(&format!("{what} {columns} of {}", counted(written, "record")));
    Ok(())
}
