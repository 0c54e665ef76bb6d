//! The program's exit codes, and one line that gives the reason.

use crate::{shown, streams};
use ncp_envelope::{Error, ErrorKind};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user asked for errors only.
static QUIET: AtomicBool = AtomicBool::new(false);

/// The exit code for a message that is refused.
const REFUSED: u8 = 3;

/// Why a command failed, and its exit code for scripts.
pub(crate) struct Failure {
    code: u8,
    text: Text,
}

enum Text {
    /// Printed on one line, whatever it contains.
    Line(String),
    /// Printed as it is: it has several lines.
    Told(String),
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::line(2, text)
    }

    /// Wrong usage, with a text that is ready to print.
    pub(crate) fn told(text: String) -> Self {
        Self { code: 2, text: Text::Told(text) }
    }

    fn line(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: Text::Line(text.into()) }
    }

    /// The name of this exit code for scripts.
    pub(crate) fn coded(code: u8, text: impl Into<String>) -> Self {
        Self::line(code, text)
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// The exit code of one file among several. Wrong usage is about the command line; here a file
    /// does not allow what was asked for.
    pub(crate) fn code_of_file(&self) -> u8 {
        if self.code == 2 { 1 } else { self.code }
    }

    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self::line(1, text)
    }

    /// `error` from anything but reading a message: limits concern the user's request, and
    /// malformed bytes are in a file of the program's own.
    pub(crate) fn writing(error: Error) -> Self {
        Self::from_error(error, 2, 1)
    }

    /// `error` from reading a message: the message exceeds a limit.
    pub(crate) fn reading(error: Error) -> Self {
        Self::from_error(error, REFUSED, REFUSED)
    }

    /// The exit code after several failures with these codes: that of a refused message if there is
    /// one, or else theirs if they are of one kind.
    pub(crate) fn code_of(codes: &BTreeSet<u8>) -> u8 {
        match (codes.contains(&REFUSED), codes.len(), codes.first()) {
            (true, ..) => REFUSED,
            (false, 1, Some(code)) => *code,
            _ => 1,
        }
    }

    pub(crate) fn text(&self) -> &str {
        match &self.text {
            Text::Line(text) | Text::Told(text) => text,
        }
    }

    fn from_error(error: Error, limit: u8, bytes: u8) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidInput => 2,
            ErrorKind::LimitExceeded => limit,
            ErrorKind::Authentication
            | ErrorKind::KeyNotAllowed
            | ErrorKind::NotAccepted
            | ErrorKind::Malformed
            | ErrorKind::Truncated
            | ErrorKind::UnsupportedVersion => bytes,
            ErrorKind::AccessDenied | ErrorKind::Credentials | ErrorKind::KeyUnusable => 4,
            ErrorKind::Throttled | ErrorKind::Unavailable => 5,
            _ => 1,
        };
        Self::line(code, error.to_string())
    }
}

/// Prints the reason on standard error.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    match &failure.text {
        Text::Line(text) => say(text),
        Text::Told(text) => match text.strip_prefix("error:") {
            Some(rest) => streams::tell(&format!("{}{rest}", coloured(RED, "error:"))),
            None => streams::tell(text),
        },
    }
    ExitCode::from(failure.code)
}

/// From here on only errors are printed: no progress, warning or summary.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints what is no error, unless the user asked for errors only.
pub(crate) fn notice(text: &str) {
    if !is_quiet() {
        line(BOLD, text);
    }
}

/// Prints what failed, on one line.
pub(crate) fn say(text: &str) {
    line(RED, text);
}

const RED: &str = "\x1b[1;31m";
const BOLD: &str = "\x1b[1m";

/// Only the program's own word has a colour: no text of others is between the escapes.
fn line(colour: &str, text: &str) {
    streams::tell(&format!("{} {}\n", coloured(colour, "ncp-envelope:"), shown::plain(text)));
}

fn coloured(colour: &str, word: &str) -> String {
    match streams::error_has_colour() {
        true => format!("{colour}{word}\x1b[0m"),
        false => word.to_owned(),
    }
}
