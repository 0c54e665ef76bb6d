//! The text of help and manual pages beside the arguments.
//!
//! Promises: both are made from the same tables. `-h` shows the arguments and the examples;
//! `--help` also the environment and the exit codes.

mod examples;
pub(crate) mod tables;

use clap::Command;
use examples::EXAMPLES;
use tables::{ENVIRONMENT, EXIT_CODES, FILES, Scope, Variables};

/// Lines of help have fewer columns than this.
const COLUMNS: usize = 100;
/// Where texts beside a name begin.
const INDENT: usize = 16;

/// `command` and all commands below it with the texts of the tables.
pub(crate) fn complete(command: Command) -> Command {
    below(command.max_term_width(COLUMNS - 1), "")
}

/// `path` has the names of the commands from the program to this one, without the program's.
fn below(mut command: Command, path: &str) -> Command {
    let title = |text: &str| {
        let style = command.get_styles().get_header();
        format!("{style}{text}:{style:#}\n")
    };
    let examples = title("Examples") + &examples_text(path);
    let mut long = examples.clone();
    if !has_subcommands(&command) || path.is_empty() {
        long += &format!("\n{}", title("Environment"));
        for variables in environment(&command) {
            long += &beside(&variables.names.join(", "), variables.text);
        }
        long += &format!("\n{}", title("Exit codes"));
        for (code, text) in EXIT_CODES {
            long += &beside(code, text);
        }
    }
    command = command.after_help(examples.trim_end().to_owned());
    command = command.after_long_help(long.trim_end().to_owned());
    command.mut_subcommands(|sub| {
        let path = format!("{path} {}", sub.get_name());
        below(sub, path.trim_start())
    })
}

/// The examples of the command `path`: what each does, and the line to type.
pub(crate) fn examples(path: &str) -> &'static [(&'static str, &'static str)] {
    EXAMPLES.iter().find(|(of, _)| *of == path).map_or(&[], |(_, examples)| examples)
}

/// The variables that `command` reads.
pub(crate) fn environment(command: &Command) -> impl Iterator<Item = &'static Variables> {
    let scopes = scopes(command);
    ENVIRONMENT.iter().filter(move |variables| scopes.contains(&variables.scope))
}

/// The files that `command` reads and writes without being told their names.
pub(crate) fn files(command: &Command) -> impl Iterator<Item = (&'static str, &'static str)> {
    let scopes = scopes(command);
    FILES
        .iter()
        .filter(move |(scope, ..)| scopes.contains(scope))
        .map(|(_, name, text)| (*name, *text))
}

fn scopes(command: &Command) -> Vec<Scope> {
    let has = |id: &str| command.get_arguments().any(|argument| argument.get_id() == id);
    let all = has_subcommands(command);
    let mut scopes = vec![Scope::All];
    if all || has("local") {
        scopes.push(Scope::Service);
    }
    if command.get_name() == "emulator" {
        scopes.push(Scope::Emulator);
    }
    scopes
}

fn has_subcommands(command: &Command) -> bool {
    command.get_subcommands().next().is_some()
}

fn examples_text(path: &str) -> String {
    let of_one = |(what, line): &(&str, &str)| {
        let line = line.replace('\n', "\n    ");
        match *what {
            "" => format!("    {line}\n"),
            what => format!("  {what}:\n    {line}\n"),
        }
    };
    examples(path).iter().map(of_one).collect()
}

/// A name, and behind it, in lines of their own if the name is long, a text.
fn beside(name: &str, text: &str) -> String {
    let mut out = format!("  {name}");
    if out.len() + 2 > INDENT {
        out += "\n";
        out += &" ".repeat(INDENT);
    } else {
        out += &" ".repeat(INDENT - out.len());
    }
    let mut column = INDENT;
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 && column + 1 + word.len() < COLUMNS {
            out.push(' ');
            column += 1;
        } else if at > 0 {
            out += "\n";
            out += &" ".repeat(INDENT);
            column = INDENT;
        }
        out += word;
        column += word.len();
    }
    out + "\n"
}
