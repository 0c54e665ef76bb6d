//! `ncp-envelope emulator`.

use crate::args::EmulatorArgs;
use crate::status::Failure;
use ncp_envelope::emulator::Emulator;
use std::io::Write;

/// Serves until the program is interrupted.
pub(crate) async fn serve(args: EmulatorArgs) -> Result<(), Failure> {
    let emulator = Emulator::builder().listen(args.listen).state_dir(args.state).start().await.map_err(Failure::writing)?;
    let connection = emulator.connection().await.and_then(|connection| connection.to_json()).map_err(Failure::writing)?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", *connection)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))?;
    drop(stdout);
    std::future::pending().await
}
