//! The command-line program: files and pipes through the library, and nothing that the library's
//! public interface does not offer.

#![allow(clippy::print_stderr)] // Standard error is where this program speaks.

mod args;
mod command;
mod confirm;
mod message;
mod network;
mod options;
mod output;
mod place;
mod progress;
mod records;
mod session;
mod status;

use args::{Arguments, Command};
use clap::Parser;
use command::{bench, cipher, decrypt, emulator, encrypt, inspect, keys, tokens};
use status::Failure;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return status::report(&Failure::other(format!("cannot start: {error}"))),
    };
    let code = runtime.block_on(async {
        tokio::select! {
            done = run(arguments.command) => match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => status::report(&failure),
            },
            signal = status::interrupted() => signal,
        }
    });
    // Cancelled file work removes its temporary file and ends within a buffer's time; a read from a
    // silent pipe may never end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Encrypt(args) => encrypt::run(args).await,
        Command::Decrypt(args) => decrypt::run(args).await,
        Command::Inspect(args) => inspect::run(&args),
        Command::Keys(args) => keys::run(args).await,
        Command::Tokens(args) => tokens::run(args).await,
        Command::Cipher(args) => cipher::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Emulator(args) => emulator::run(args).await,
    }
}
