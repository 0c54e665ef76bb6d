//! What can be said on the command line. Secrets cannot: they come from the environment.

use crate::cipher::CipherArgs;
use crate::keys_args::KeysArgs;
use crate::tokens::TokensArgs;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use ncp_envelope::io::FileOptions;
use std::net::SocketAddr;
use std::path::PathBuf;

/// More than the library uses.
const MAX_THREADS: i64 = 1_024;

pub(crate) const ENVIRONMENT: &str = "\
Environment:
  NCP_KMS_ENDPOINT, NCP_KMS_API, NCP_KMS_SIGNATURE, NCP_KMS_KEY_TAG
                       the same as --endpoint, --api, --signature and --key, which win over them
  NCP_ACCESS_KEY, NCP_SECRET_KEY
                       account credentials; keys, tokens create and tokens generator need them
  NCP_APIGW_API_KEY    API Gateway key, for --signature v1
  NCP_KMS_ACCESS_TOKEN, NCP_KMS_REFRESH_TOKEN
                       a key's token; encrypt, decrypt and cipher use it instead of account credentials with --api 2

Exit codes:
  0  done
  1  reading or writing failed, or something else
  2  wrong usage
  3  message refused: tampered with, truncated, malformed, or of another context, associated data, scope or key;
     or a signature that is not valid
  4  credentials or access
  5  service unavailable or throttled";

/// Encrypts files and streams under keys held in NAVER Cloud Platform Key Management Service.
#[derive(Parser)]
#[command(name = "ncp-envelope", version, after_help = ENVIRONMENT)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Encrypt a file or standard input.
    Encrypt(EncryptArgs),
    /// Decrypt a file or standard input.
    Decrypt(DecryptArgs),
    /// Show what a message says about itself, without a key and without any network.
    Inspect(InspectArgs),
    /// Create, list and manage keys.
    Keys(KeysArgs),
    /// Issue and check a key's tokens.
    Tokens(TokensArgs),
    /// Make single calls with a key, whose results are the service's own: no message format, no
    /// data key.
    Cipher(CipherArgs),
    /// Measure how fast this machine encrypts; takes about a minute and needs no key service.
    Bench(BenchArgs),
    /// Run the key service's emulator until interrupted; prints how to reach it as one line of
    /// JSON.
    Emulator(EmulatorArgs),
}

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
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = value_parser!(u16).range(..=MAX_THREADS))]
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

#[derive(Args)]
#[command(next_help_heading = "KMS options")]
pub(crate) struct KmsArgs {
    /// Use an embedded key service that keeps its keys in your data directory. For development.
    #[arg(long, conflicts_with_all = ["endpoint", "api", "signature"])]
    pub(crate) local: bool,
    /// Host of the key service: global, kr, jp, gov, fin or a URL [default: global].
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
    /// Generation of the service's API [default: 2].
    #[arg(long)]
    pub(crate) api: Option<ApiArg>,
    /// Version of the account signature; v1 is for API 1 only [default: v2].
    #[arg(long)]
    pub(crate) signature: Option<SignatureArg>,
    /// Tag of the key; with --local, of another key than the one that is always there.
    #[arg(long, value_name = "TAG")]
    pub(crate) key: Option<String>,
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

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Message to look at; "-" is standard input.
    pub(crate) input: PathBuf,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Size of the file, such as 512MiB or 4GiB; three of them have to fit.
    #[arg(long, default_value = "1GiB", value_parser = size)]
    pub(crate) size: u64,
    /// Directory for the files, which are removed at the end [default: that for temporary files].
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct EmulatorArgs {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Directory that keeps the keys; created if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Address and port to take faults on, which has to be of this machine alone; its URL is
    /// printed as "admin_url".
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Delay every answer by this many milliseconds, as a network would; at most 60,000.
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true, value_parser = value_parser!(u64).range(..=60_000))]
    pub(crate) latency: u64,
    /// Let any number of calls a second through.
    #[arg(long)]
    pub(crate) no_throttle: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a pair is written NAME=VALUE, with a name".to_owned()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("a size is written as 512MiB or 4GiB".to_owned()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)) {
        Some(size) if (1 << 20..=1 << 40).contains(&size) => Ok(size),
        _ => Err("a size is 1MiB to 1024GiB".to_owned()),
    }
}
