//! Confirmation of actions that cannot be undone, or that make data unreadable.

use crate::status::Failure;
use crate::{shown, streams};
use clap::Args;
use std::io::{self, Read};

/// Longer than any answer.
const MAX_ANSWER: usize = 100;

#[derive(Args)]
pub(crate) struct Confirm {
    /// Do not ask for confirmation. Needed if there is no terminal to ask on.
    #[arg(long)]
    yes: bool,
}

impl Confirm {
    /// Asks for confirmation of `what`, which completes "Do you want to".
    pub(crate) async fn ask(&self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !streams::input_is_terminal() || !streams::error_is_terminal() {
            return Err(Failure::usage(format!(
                "there is no terminal to ask on: give --yes if you want to {what}"
            )));
        }
        let what = shown::plain(what);
        streams::tell(&format!("Do you want to {what}? Type \"yes\": "));
        match tokio::task::spawn_blocking(answer).await {
            Ok(Ok(answer)) if answer.trim_ascii() == b"yes" => Ok(()),
            _ => Err(Failure::other("not confirmed: nothing was changed")),
        }
    }
}

/// The first line of standard input. A terminal delivers exactly one line at a time.
fn answer() -> io::Result<Vec<u8>> {
    let (mut input, mut line) = (streams::input()?, Vec::new());
    let mut byte = [0];
    while line.len() < MAX_ANSWER && input.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(line)
}
