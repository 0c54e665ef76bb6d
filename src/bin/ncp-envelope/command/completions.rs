//! `ncp-envelope completions`: a script with which a shell completes commands, options and values.

use crate::output;
use crate::status::Failure;
use clap::builder::PossibleValuesParser;
use clap::{Args, Command, ValueHint};
use clap_complete::Shell;

/// Values that are offered for options that accept others too.
const OFFERED: &[(&str, &[&str])] =
    &[("endpoint", &["global", "kr", "jp", "gov", "fin"]), ("proxy", &["none", "system"])];

/// Options whose values are directories, and others that are no files.
const DIRECTORIES: &[&str] = &["dir", "state"];

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// Shell that the script is for.
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, program: Command) -> Result<(), Failure> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut hinted(program), &name, &mut script);
    let script = String::from_utf8_lossy(&script);
    // In its script for bash, clap_complete 4.6 spells a program's name with a hyphen in two ways,
    // and then knows no options. In other scripts the first spelling does not occur.
    let script = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    output::print(script.as_bytes())
}

/// `command` with hints of what the values of its options are.
fn hinted(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let id = argument.get_id().as_str().to_owned();
        if let Some((_, values)) = OFFERED.iter().find(|(name, _)| *name == id) {
            return argument.value_parser(PossibleValuesParser::new(*values));
        }
        match argument.get_value_hint() {
            _ if DIRECTORIES.contains(&id.as_str()) => argument.value_hint(ValueHint::DirPath),
            // In bash, only this keeps names with spaces whole.
            ValueHint::AnyPath => argument.value_hint(ValueHint::FilePath),
            _ => argument,
        }
    });
    command.mut_subcommands(hinted)
}
