//! Options about a message that `encrypt` and `decrypt` share.

use crate::input::Input;
use crate::status::Failure;
use clap::{Args, ValueEnum};
use ncp_envelope::DecryptPolicy;
use ncp_envelope::format::{MAX_SLOTS, Profile};
use std::path::PathBuf;

/// The extension of a message's file name.
pub(crate) const EXTENSION: &str = "ncpe";
const MAX_AAD_LEN: usize = 16 << 20;

#[derive(Args)]
pub(crate) struct MessageArgs {
    /// Authenticate the content of this file without storing it; decryption needs the same. "-" is
    /// standard input.
    #[arg(long, value_name = "FILE")]
    aad_file: Option<PathBuf>,
    /// Purpose of the data key, such as a tenant; decryption needs the same. Not stored.
    #[arg(long)]
    pub(crate) scope: Option<String>,
}

impl MessageArgs {
    /// The file with the associated data.
    pub(crate) fn aad_input(&self) -> Result<Option<Input>, Failure> {
        self.aad_file.as_deref().map(Input::look).transpose()
    }
}

/// The associated data, which has at least one byte if any was given.
pub(crate) async fn aad(input: Option<&Input>, allow_changing: bool) -> Result<Vec<u8>, Failure> {
    let Some(input) = input else { return Ok(Vec::new()) };
    let most = "16 MiB, the most for associated data";
    let aad = input.content(MAX_AAD_LEN, most, allow_changing).await?.bytes;
    match aad.is_empty() {
        true => Err(Failure::usage(format!(
            "{} is empty: associated data needs at least one byte",
            input.name()
        ))),
        false => Ok(aad.to_vec()),
    }
}

/// The layout of a header.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LayoutArg {
    Compact,
    Durable,
    Page,
}

impl LayoutArg {
    pub(crate) fn profile(self) -> Profile {
        match self {
            Self::Compact => Profile::Compact,
            Self::Durable => Profile::Durable,
            Self::Page => Profile::Page,
        }
    }
}

/// The policy for messages: they must contain `context`, and may have the maximum number of slots,
/// because a user who names files knows for how many keys they were written. The limit of unwraps
/// is the library's default.
pub(crate) fn policy(aad: Vec<u8>, context: &[(String, String)]) -> DecryptPolicy {
    let policy = DecryptPolicy::new().aad(aad).max_slots(MAX_SLOTS);
    context.iter().fold(policy, |policy, (name, value)| policy.require(name, value))
}

/// A context pair of the command line.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a pair is written NAME=VALUE, with a name".to_owned()),
    }
}
