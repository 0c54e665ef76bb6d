//! Asking before what cannot be undone, or what makes data unreadable.

use crate::status::Failure;
use clap::Args;
use std::io::{self, IsTerminal, Write};

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
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::usage(format!(
                "there is no terminal to ask on: give --yes if you want to {what}"
            )));
        }
        eprint!("Do you want to {what}? Type \"yes\": ");
        let _ = io::stderr().flush();
        // Not on the runtime's thread, which has to hear of an interrupt meanwhile.
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        match answer.await {
            Ok(Ok(answer)) if answer.trim() == "yes" => Ok(()),
            _ => Err(Failure::other("not done")),
        }
    }
}
