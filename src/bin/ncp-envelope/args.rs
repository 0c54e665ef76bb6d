//! The commands that there are.

use crate::command::bench::BenchArgs;
use crate::command::cipher::CipherArgs;
use crate::command::decrypt::DecryptArgs;
use crate::command::emulator::EmulatorArgs;
use crate::command::encrypt::EncryptArgs;
use crate::command::inspect::InspectArgs;
use crate::command::keys::KeysArgs;
use crate::command::tokens::TokensArgs;
use crate::options::ENVIRONMENT;
use clap::{Parser, Subcommand};

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
