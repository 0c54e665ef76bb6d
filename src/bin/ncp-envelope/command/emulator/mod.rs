//! `ncp-envelope emulator`.

mod config;
mod parent;

use crate::output;
use crate::place::Target;
use crate::session::setting;
use crate::status::{Failure, say};
use clap::{Args, value_parser};
use config::{Account, Config};
use ncp_envelope::emulator::{Emulator, EmulatorBuilder, Metadata};
use ncp_envelope::io::FileOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

#[derive(Args)]
pub(crate) struct EmulatorArgs {
    /// Address or localhost, and port, to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// Permit an address that other machines may reach, as in a container.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Serve TLS; the certificate to trust is printed as "certificate_pem".
    #[arg(long)]
    pub(crate) tls: bool,
    /// Host name or address that the certificate is for in addition to this machine's own, such as
    /// a container's name; may be given several times.
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub(crate) tls_name: Vec<String>,
    /// Write the certificate to trust to this file too, before anything is printed.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) ca_out: Option<PathBuf>,
    /// Directory that keeps the keys; created if it does not exist [default: in memory].
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Account, API Gateway key, key tag, sub accounts and clock, as JSON; docs/emulator.md has the
    /// fields. Options and the environment override it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Tag of the key that exists from the start, letters and digits.
    #[arg(long, value_name = "TAG")]
    pub(crate) key_tag: Option<String>,
    /// Fixed time of the clock, such as 2026-01-31T12:00:00Z [default: the system's clock].
    #[arg(long, value_name = "TIME", value_parser = config::time)]
    pub(crate) clock: Option<SystemTime>,
    /// Loopback address and port of the admin port, which injects faults; its URL is printed as
    /// "admin_url".
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// Address and port of the cloud's metadata service, which gives out a role's temporary keys;
    /// its URL is printed as "metadata_url".
    #[arg(long, value_name = "ADDR")]
    pub(crate) metadata: Option<String>,
    /// Accept signature v1 as the vendor's SDKs make it, without the API Gateway key, on all paths.
    #[arg(long)]
    pub(crate) accept_sdk_signatures: bool,
    /// Exit when the program that started this one exits or closes the pipe on standard input.
    #[arg(long)]
    pub(crate) exit_with_parent: bool,
    /// Delay every answer by this many milliseconds; at most 60,000.
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true,
        value_parser = value_parser!(u64).range(..=60_000))]
    pub(crate) latency: u64,
    /// Turn the rate limit off.
    #[arg(long)]
    pub(crate) no_throttle: bool,
}

/// Serves until the program is interrupted, or its parent exits if that is watched.
pub(crate) async fn run(args: EmulatorArgs) -> Result<(), Failure> {
    // Before all else: a parent that has exited earlier would not be noticed.
    let parent = args.exit_with_parent.then(parent::watch).transpose()?;
    let ca_out = args.ca_out.clone();
    let emulator = builder(args).await?.start().await.map_err(Failure::writing)?;
    if let (Some(path), Some(certificate)) = (ca_out, emulator.certificate_pem()) {
        let target = Target::of(&path, true, || Ok(None))?;
        let mut file = target.open(&FileOptions::new().overwrite(true), true, None).await?;
        file.write_all(certificate.as_bytes())
            .map_err(|error| Failure::other(format!("cannot write the certificate: {error}")))?;
        file.commit().await?;
    }
    announce(&emulator).await?;
    match parent {
        Some(parent) => parent.ended().await,
        None => std::future::pending().await,
    }
    emulator.shutdown().await;
    Ok(())
}

async fn builder(args: EmulatorArgs) -> Result<EmulatorBuilder, Failure> {
    let mut config = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    config.account = account()?.or(config.account);
    let api_key = setting(None, "NCP_EMULATOR_APIGW_API_KEY")?.map(Zeroizing::new);
    config.apigw_api_key = api_key.or(config.apigw_api_key);
    config.key_tag = args.key_tag.or(config.key_tag);
    config.clock = args.clock.or(config.clock);
    let mut builder = config
        .apply(Emulator::builder())
        .latency(Duration::from_millis(args.latency))
        .listen(address("--listen", &args.listen, args.allow_remote).await?);
    if let Some(admin) = &args.admin {
        // The library refuses an address that is no loopback address, whatever else is allowed.
        builder = builder.admin(address("--admin", admin, true).await?);
    }
    if let Some(metadata) = &args.metadata {
        let address = address("--metadata", metadata, args.allow_remote).await?;
        builder = builder.metadata(Metadata::new().listen(address));
    }
    if let Some(dir) = args.state {
        // The error does not reach the caller of the request.
        builder = builder.state_dir(dir).on_state_fault(|error| say(&error.to_string()));
    }
    if args.allow_remote {
        builder = builder.allow_remote();
    }
    if args.tls {
        builder = builder.tls();
    }
    for name in args.tls_name {
        builder = builder.tls_name(name);
    }
    if args.accept_sdk_signatures {
        builder = builder.accept_sdk_signatures();
    }
    if args.no_throttle {
        builder = builder.unthrottled();
    }
    Ok(builder)
}

/// The account that the environment names. Not by the variables that clients read: real credentials
/// must not get into an emulator.
fn account() -> Result<Option<Account>, Failure> {
    let access_key = setting(None, "NCP_EMULATOR_ACCESS_KEY")?;
    let secret_key = setting(None, "NCP_EMULATOR_SECRET_KEY")?.map(Zeroizing::new);
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Ok(Some(Account { access_key, secret_key })),
        (None, None) => Ok(None),
        _ => Err(Failure::usage(
            "NCP_EMULATOR_ACCESS_KEY and NCP_EMULATOR_SECRET_KEY go together: set both or neither",
        )),
    }
}

async fn address(option: &str, text: &str, remote: bool) -> Result<SocketAddr, Failure> {
    let found = tokio::net::lookup_host(text).await.map_err(|error| {
        Failure::usage(format!(
            "{option} {text} is no address and port, such as 127.0.0.1:0 or localhost:8080: {error}"
        ))
    })?;
    let found: Vec<_> = found.collect();
    // A name may be both, and more clients know the older kind.
    let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let address =
        *address.ok_or_else(|| Failure::usage(format!("{option} {text} has no address")))?;
    if remote || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Failure::usage(format!(
        "{option} {text} can be reached by other machines: give --allow-remote if that is wanted, \
         as in a container, or take 127.0.0.1"
    )))
}

/// Prints how to reach the emulator: one object on one line.
async fn announce(emulator: &Emulator) -> Result<(), Failure> {
    let connection = emulator
        .connection()
        .await
        .and_then(|connection| connection.to_json())
        .map_err(Failure::writing)?;
    let fields = connection
        .strip_suffix('}')
        .ok_or_else(|| Failure::other("the connection is not a JSON object"))?;
    // The URLs are an address and a port, which need no escaping.
    let more = |name: &str, url: Option<String>| {
        url.map(|url| format!(",\"{name}\":\"{url}\"")).unwrap_or_default()
    };
    let admin = more("admin_url", emulator.admin_url());
    let metadata = more("metadata_url", emulator.metadata_url());
    output::line(&format!("{fields}{admin}{metadata}}}"))
}
