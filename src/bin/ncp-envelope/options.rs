//! Options that several commands share. Secrets are not among them: they come from the environment.

use crate::confirm::Confirm;
use crate::network::NetworkArgs;
use clap::{Args, ValueEnum};
use ncp_envelope::kms::{Api, SignatureVersion};
use std::path::PathBuf;

#[derive(Args)]
#[command(next_help_heading = "KMS options")]
pub(crate) struct ServiceArgs {
    /// Use an embedded key service that keeps its keys in your data directory. For development.
    #[arg(long, conflicts_with_all = ["endpoint", "api", "signature"])]
    pub(crate) local: bool,
    /// Profile of the configuration file, whose settings count where neither an option nor the
    /// environment says otherwise [default: default_profile of the file, or "default"].
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Host of the key service: global, kr, jp, gov, fin or a URL [default: global].
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
    /// Generation of the service's API [default: 2].
    #[arg(long)]
    pub(crate) api: Option<ApiArg>,
    /// Version of the account signature; v1 is for API 1 only [default: v2].
    #[arg(long)]
    pub(crate) signature: Option<SignatureArg>,
    /// Tag of the key; with --local, of a key other than the built-in one.
    #[arg(long, value_name = "TAG")]
    pub(crate) key: Option<String>,
    /// File that keeps the key's tokens between runs: calls use the tokens in it, and new ones are
    /// stored there.
    #[arg(long, value_name = "FILE", conflicts_with = "local")]
    pub(crate) token_store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// The same for commands that write and read messages, which may be for several keys.
#[derive(Args)]
#[command(next_help_heading = "KMS options")]
pub(crate) struct KmsArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Tag of another key of the same service; can be given many times. A message is written for
    /// all keys and any one of them opens it; slots under any of them are rewrapped.
    #[arg(long, value_name = "TAG")]
    pub(crate) also_key: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ApiArg {
    #[value(name = "2")]
    V2,
    #[value(name = "1")]
    V1,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SignatureArg {
    V2,
    V1,
}

impl From<ApiArg> for Api {
    fn from(api: ApiArg) -> Self {
        match api {
            ApiArg::V1 => Self::V1,
            ApiArg::V2 => Self::V2,
        }
    }
}

impl From<SignatureArg> for SignatureVersion {
    fn from(signature: SignatureArg) -> Self {
        match signature {
            SignatureArg::V1 => Self::V1,
            SignatureArg::V2 => Self::V2,
        }
    }
}

/// Options of every command. Last in each of them, because the heading of the KMS options applies
/// to everything after it.
#[derive(Args)]
pub(crate) struct Common {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) kms: ServiceArgs,
}

#[derive(Args)]
pub(crate) struct Asking {
    #[command(flatten)]
    pub(crate) confirm: Confirm,
    #[command(flatten)]
    pub(crate) common: Common,
}
