//! Asking before what cannot be undone, or what makes data unreadable.

use crate::status::Failure;
use crate::{shown, streams};
use clap::Args;
use std::io::{self, Read};

/// More than anybody types.
const MAX_ANSWER: usize = 100;

#[derive(Args)]
pub(crate) struct Confirm {
    /// Do not ask. Needed when there is no terminal to ask on.
    #[arg(long)]
    yes: bool,
}

impl Confirm {
    /// Asks whether to do `what`, which goes on with "Do you want to".
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
            _ => Err(Failure::other("not done")),
        }
    }
}

/// The first line of standard input. A terminal gives it at once, and no more than that.
fn answer() -> io::Result<Vec<u8>> {
    let (mut input, mut line) = (streams::input()?, Vec::new());
    let mut byte = [0];
    while line.len() < MAX_ANSWER && input.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(line)
}
