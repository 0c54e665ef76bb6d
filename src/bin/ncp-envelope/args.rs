//! The commands.

use crate::command::audit::AuditArgs;
use crate::command::bench::BenchArgs;
use crate::command::cat::CatArgs;
use crate::command::cipher::CipherArgs;
use crate::command::completions::CompletionsArgs;
use crate::command::config::ConfigArgs;
use crate::command::decrypt::DecryptArgs;
use crate::command::emulator::EmulatorArgs;
use crate::command::encrypt::EncryptArgs;
use crate::command::field::FieldArgs;
use crate::command::inspect::InspectArgs;
use crate::command::keys::KeysArgs;
use crate::command::man::ManArgs;
use crate::command::rekey::RekeyArgs;
use crate::command::rewrap::RewrapArgs;
use crate::command::ring::RingArgs;
use crate::command::slots::SlotsArgs;
use crate::command::tokens::TokensArgs;
use crate::command::verify::VerifyArgs;
use crate::status::Failure;
use crate::{help, output, shown, streams};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Encrypts files and streams under keys held in NAVER Cloud Platform Key Management Service.
#[derive(Parser)]
#[command(name = "ncp-envelope", version)]
pub(crate) struct Arguments {
    /// Print errors only: no progress, warnings or summary.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Encrypt files, directories or standard input.
    Encrypt(EncryptArgs),
    /// Decrypt files, directories or standard input.
    Decrypt(DecryptArgs),
    /// Decrypt a message, or a part of one, to standard output.
    Cat(CatArgs),
    /// Check that messages are complete and authentic, without writing plaintext.
    Verify(VerifyArgs),
    /// Show what a message says about itself; needs no key and no network.
    Inspect(InspectArgs),
    /// Move the key slots of stored messages to the newest version of their key, without exposing a
    /// data key.
    Rewrap(RewrapArgs),
    /// Show and change which keys open stored messages; their bodies stay as they are.
    Slots(SlotsArgs),
    /// Write stored messages anew, each under a new data key.
    Rekey(RekeyArgs),
    /// Count which key versions stored messages depend on; needs no key and no network.
    Audit(AuditArgs),
    /// Make, show and change key rings, whose keys encrypt values of fields.
    Ring(RingArgs),
    /// Encrypt and decrypt short values, such as the columns of a table, under the keys of a ring.
    Field(FieldArgs),
    /// Create, list and manage keys.
    Keys(KeysArgs),
    /// Issue and check a key's tokens.
    Tokens(TokensArgs),
    /// Make single calls of the service with a key: no message format, no data key.
    Cipher(CipherArgs),
    /// Write a profile of settings, and show which value of each counts and where it came from.
    Config(ConfigArgs),
    /// Measure how fast this machine encrypts; takes about a minute and needs no key service.
    Bench(BenchArgs),
    /// Run the key service's emulator until interrupted; prints how to reach it as one line of
    /// JSON.
    Emulator(EmulatorArgs),
    /// Print a script with which a shell completes commands, options and values.
    Completions(CompletionsArgs),
    /// Print a command's manual page, or write all of them.
    Man(ManArgs),
}

/// The program's command line, with all that help and manual pages say.
pub(crate) fn command() -> clap::Command {
    help::complete(Arguments::command())
}

/// The command line; none if it asked for help or the version, which is printed here.
///
/// # Errors
/// Wrong usage, with the reason; and help that cannot be printed.
pub(crate) fn parse() -> Result<Option<Arguments>, Failure> {
    let mut command = command();
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let error = match parsed {
        Ok(arguments) => return Ok(Some(arguments)),
        Err(error) => error.format(&mut command),
    };
    if error.use_stderr() {
        let said = shown::lines(&in_plain_words(error).render().to_string());
        return Err(Failure::told(said));
    }
    let help = error.render();
    let text = match streams::output_has_colour() {
        true => help.ansi().to_string(),
        false => help.to_string(),
    };
    output::print(text.as_bytes()).map(|()| None)
}

/// `error` with the user's words in it escaped, line breaks included, so that they cannot pass for
/// the message's own.
fn in_plain_words(mut error: clap::Error) -> clap::Error {
    let words: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in words {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(shown::plain(&text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| shown::plain(text)).collect())
            }
            // They repeat what was typed, mixed with the message's own text.
            ContextValue::StyledStrs(texts) if kind == ContextKind::Suggested => {
                let plain = |text: &&clap::builder::StyledStr| {
                    let text = text.to_string();
                    text == shown::plain(&text)
                };
                let texts: Vec<_> = texts.iter().filter(plain).cloned().collect();
                match texts.is_empty() {
                    true => ContextValue::None,
                    false => ContextValue::StyledStrs(texts),
                }
            }
            other => other,
        };
        error.insert(kind, value);
    }
    error
}
