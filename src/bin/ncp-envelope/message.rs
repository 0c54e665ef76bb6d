//! What both `encrypt` and `decrypt` are told about a message.

use crate::status::Failure;
use clap::Args;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// What the name of a message's file ends in.
pub(crate) const EXTENSION: &str = "ncpe";
const MAX_AAD_LEN: u64 = 16 << 20;

#[derive(Args)]
pub(crate) struct MessageArgs {
    /// Authenticate the content of this file without storing it; decryption needs the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) aad_file: Option<PathBuf>,
    /// What the data key is for, such as a tenant; decryption needs the same. Not stored.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) scope: String,
}

impl MessageArgs {
    /// The associated data, which has at least one byte if any was given.
    pub(crate) fn aad(&self) -> Result<Vec<u8>, Failure> {
        let Some(path) = &self.aad_file else { return Ok(Vec::new()) };
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
}

/// A context pair of the command line.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a pair is written NAME=VALUE, with a name".to_owned()),
    }
}
