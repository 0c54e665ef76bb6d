//! The command-line program: files and pipes, through the library's public interface only.

mod args;
mod batch;
mod command;
mod confirm;
mod copy;
mod failures;
mod help;
mod input;
mod inputs;
mod many;
mod message;
mod names;
mod network;
mod options;
mod output;
mod place;
mod plan;
mod progress;
mod reading;
mod records;
mod session;
mod settings;
mod shown;
mod signals;
mod slot;
mod status;
mod streams;
mod summary;
mod tree;
mod walk;

use args::Command;
use command::{
    audit, bench, cat, cipher, completions, config, decrypt, emulator, encrypt, field, inspect,
    keys, man, rekey, rewrap, ring, slots, tokens, verify,
};
use status::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = signals::run(|| async {
        let done = match args::parse() {
            Ok(Some(arguments)) => {
                if arguments.quiet {
                    status::be_quiet();
                }
                run(arguments.command).await
            }
            // The requested text is printed.
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => status::report(&session::explained(failure)),
        }
    });
    done.unwrap_or_else(|error| status::report(&Failure::other(error.to_string())))
}

async fn run(command: Command) -> Result<(), Failure> {
    if let Command::Inspect(_)
    | Command::Rewrap(_)
    | Command::Slots(_)
    | Command::Rekey(_)
    | Command::Audit(_)
    | Command::Ring(_)
    | Command::Keys(_)
    | Command::Bench(_)
    | Command::Emulator(_) = command
    {
        output::check()?;
    }
    match command {
        Command::Encrypt(args) => encrypt::run(args).await,
        Command::Decrypt(args) => decrypt::run(args).await,
        Command::Cat(args) => cat::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Inspect(args) => inspect::run(args).await,
        Command::Rewrap(args) => rewrap::run(args).await,
        Command::Slots(args) => slots::run(args).await,
        Command::Rekey(args) => rekey::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Ring(args) => ring::run(args).await,
        Command::Field(args) => field::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Tokens(args) => tokens::run(args).await,
        Command::Cipher(args) => cipher::run(args).await,
        Command::Config(args) => config::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Emulator(args) => emulator::run(args).await,
        Command::Completions(args) => completions::run(&args, args::command()),
        Command::Man(args) => man::run(args, args::command()).await,
    }
}
