//! How the program ends: exit codes, and one line that says why.

use ncp_envelope::{Error, ErrorKind};
use std::process::ExitCode;

/// Why a command failed, and what a script is told.
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }

    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    /// `error` from writing a message: limits are those of what the user asked for.
    pub(crate) fn writing(error: Error) -> Self {
        Self::from_error(error, 2)
    }

    /// `error` from reading a message: limits are broken by the message.
    pub(crate) fn reading(error: Error) -> Self {
        Self::from_error(error, 3)
    }

    fn from_error(error: Error, limit: u8) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidInput => 2,
            ErrorKind::LimitExceeded => limit,
            ErrorKind::Authentication
            | ErrorKind::KeyNotAllowed
            | ErrorKind::NotAccepted
            | ErrorKind::Malformed
            | ErrorKind::Truncated
            | ErrorKind::UnsupportedVersion => 3,
            ErrorKind::AccessDenied | ErrorKind::Credentials | ErrorKind::KeyUnusable => 4,
            ErrorKind::Throttled | ErrorKind::Unavailable => 5,
            _ => 1,
        };
        Self { code, text: error.to_string() }
    }
}

/// Says why on standard error.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    eprintln!("ncp-envelope: {}", failure.text);
    ExitCode::from(failure.code)
}

/// Waits for an interrupt or a request to terminate, and gives the customary exit code for it.
pub(crate) async fn interrupted() -> ExitCode {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        {
            return tokio::select! {
                _ = interrupt.recv() => ExitCode::from(130),
                _ = terminate.recv() => ExitCode::from(143),
            };
        }
    }
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::from(130),
        Err(_) => std::future::pending().await,
    }
}
