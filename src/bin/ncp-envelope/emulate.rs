//! `ncp-envelope emulator`.

use crate::args::EmulatorArgs;
use crate::status::Failure;
use ncp_envelope::emulator::Emulator;
use std::io::Write;
use std::time::Duration;

/// Serves until the program is interrupted.
pub(crate) async fn serve(args: EmulatorArgs) -> Result<(), Failure> {
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
