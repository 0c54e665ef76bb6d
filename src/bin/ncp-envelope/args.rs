//! The commands.

use crate::command::audit::AuditArgs;
use crate::command::bench::BenchArgs;
use crate::command::cat::CatArgs;
use crate::command::cipher::CipherArgs;
use crate::command::config::ConfigArgs;
use crate::command::decrypt::DecryptArgs;
use crate::command::emulator::EmulatorArgs;
use crate::command::encrypt::EncryptArgs;
use crate::command::inspect::InspectArgs;
use crate::command::keys::KeysArgs;
use crate::command::rekey::RekeyArgs;
use crate::command::rewrap::RewrapArgs;
use crate::command::slots::SlotsArgs;
use crate::command::tokens::TokensArgs;
use crate::command::verify::VerifyArgs;
use crate::options::ENVIRONMENT;
use crate::status::Failure;
use crate::{output, shown, streams};
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

/// Encrypts files and streams under keys held in NAVER Cloud Platform Key Management Service.
#[derive(Parser)]
#[command(name = "ncp-envelope", version, after_help = ENVIRONMENT)]
pub(crate) struct Arguments {
    /// Print errors only: no progress, warnings or summary.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Encrypt a file or standard input.
    Encrypt(EncryptArgs),
    /// Decrypt a file or standard input.
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
}

/// The command line; none if it asked for help or the version, which is printed here.
///
/// # Errors
/// Wrong usage, with the reason; and help that cannot be printed.
pub(crate) fn parse() -> Result<Option<Arguments>, Failure> {
    let error = match Arguments::try_parse() {
        Ok(arguments) => return Ok(Some(arguments)),
        Err(error) => error,
    };
    if error.use_stderr() {
        let said = shown::lines(&in_plain_words(error).render().to_string());
        return Err(Failure::told(said));
    }
    let help = error.render();
    let text = match streams::output_is_terminal() && wants_styles() {
        true => help.ansi().to_string(),
        false => help.to_string(),
    };
    output::print(text.as_bytes()).map(|()| None)
}

/// As other programs decide.
fn wants_styles() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
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
