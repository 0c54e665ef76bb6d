//! Options that several commands share. Secrets are not among them: they come from the environment.

use crate::confirm::Confirm;
use crate::network::NetworkArgs;
use clap::{Args, ValueEnum};
use ncp_envelope::kms::{Api, SignatureVersion};
use std::path::PathBuf;

pub(crate) const ENVIRONMENT: &str = "\
Environment:
  NCP_KMS_PROFILE      the same as --profile, which overrides it
  NCP_ENVELOPE_CONFIG  the configuration file [default: config.toml in ncp-envelope, in
                       XDG_CONFIG_HOME or ~/.config]; what is set here counts before what is in it
  NCP_KMS_ENDPOINT, NCP_KMS_API, NCP_KMS_SIGNATURE, NCP_KMS_KEY_TAG, NCP_KMS_TOKEN_STORE
                       the same as --endpoint, --api, --signature, --key and --token-store, which \
override them
  NCP_KMS_PROXY, NCP_KMS_CA_CERT
                       the same as --proxy and --ca-cert, which override them; a proxy's user name \
and password
                       belong here
  HTTPS_PROXY, ALL_PROXY, NO_PROXY
                       the proxy, with --proxy system
  SSL_CERT_FILE, SSL_CERT_DIR
                       the system's root certificates, if they are not in the usual place
  NCP_ACCESS_KEY, NCP_SECRET_KEY
                       account credentials; keys, tokens create and tokens generator need them
  NCP_APIGW_API_KEY    API Gateway key, for --signature v1
  NCP_KMS_ACCESS_TOKEN, NCP_KMS_REFRESH_TOKEN
                       a key's token; encrypt, decrypt and cipher use it instead of account \
credentials with --api 2,
                       and the account, if there is one, when it is refused
  NAME_FILE            for each of these five, a file that holds the value, instead of NAME
  NCLOUD_ACCESS_KEY_ID or NCLOUD_ACCESS_KEY, NCLOUD_SECRET_ACCESS_KEY or NCLOUD_SECRET_KEY
                       account credentials, if the first two are not set; then those in \
~/.ncloud/configure,
                       and then those of the Server Role
  NCLOUD_METADATA_API_ENDPOINT
                       address of the metadata service for the Server Role
                       [default: http://169.254.169.254]

Exit codes:
  0  done
  1  reading or writing failed, or any other failure
  2  wrong usage
  3  message refused: tampered with, truncated, malformed, or for another context, associated data,
     scope or key; or a signature that is not valid
  4  credentials or access
  5  service unavailable or throttled
  128 plus the signal's number, after a signal";

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
