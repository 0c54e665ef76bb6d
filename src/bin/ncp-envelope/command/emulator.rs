//! `ncp-envelope emulator`.

use crate::status::Failure;
use clap::{Args, value_parser};
use ncp_envelope::emulator::Emulator;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true,
        value_parser = value_parser!(u64).range(..=60_000))]
    pub(crate) latency: u64,
    /// Let any number of calls a second through.
    #[arg(long)]
    pub(crate) no_throttle: bool,
}

/// Serves until the program is interrupted.
pub(crate) async fn run(args: EmulatorArgs) -> Result<(), Failure> {
    let mut builder = Emulator::builder()
        .listen(args.listen)
        .state_dir(args.state)
        .latency(Duration::from_millis(args.latency));
    if let Some(admin) = args.admin {
        builder = builder.admin(admin);
    }
    if args.no_throttle {
        builder = builder.unthrottled();
    }
    let emulator = builder.start().await.map_err(Failure::writing)?;
    let connection = emulator
        .connection()
        .await
        .and_then(|connection| connection.to_json())
        .map_err(Failure::writing)?;
    // One object in one line. The URL is an address and a port, in which nothing is to be escaped.
    let fields = connection
        .strip_suffix('}')
        .ok_or_else(|| Failure::other("the connection is not a JSON object"))?;
    let admin =
        emulator.admin_url().map(|url| format!(",\"admin_url\":\"{url}\"")).unwrap_or_default();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{fields}{admin}}}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))?;
    drop(stdout);
    std::future::pending().await
}
