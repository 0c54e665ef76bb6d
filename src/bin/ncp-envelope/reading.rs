//! Options of the commands that read messages, and what is read beside a message.

use crate::input::Input;
use crate::message::{MessageArgs, aad, pair, policy};
use crate::place::Target;
use crate::shown;
use crate::status::Failure;
use clap::Args;
use ncp_envelope::format::Header;
use ncp_envelope::{DecryptPolicy, Error, ErrorKind};
use std::path::PathBuf;

/// The maximum length of a header.
const MAX_HEADER_LEN: usize = 192 << 10;

#[derive(Args)]
pub(crate) struct ReadArgs {
    /// Refuse a message that does not carry this pair; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    /// Header of a message whose body is a file of its own: INPUT is then the body.
    #[arg(long, value_name = "FILE")]
    header: Option<PathBuf>,
}

/// What is needed before a message is read: associated data, and a header.
pub(crate) struct Beside {
    aad: Option<Input>,
    header: Option<Input>,
}

/// How a message is read.
pub(crate) struct Terms {
    pub(crate) policy: DecryptPolicy,
    /// The header object, if the input is a detached body.
    pub(crate) header: Option<Vec<u8>>,
}

impl ReadArgs {
    pub(crate) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// # Errors
    /// Wrong usage: there is a header, for one message, and there may be many.
    pub(crate) fn refuse_header(&self) -> Result<(), Failure> {
        match self.has_header() {
            true => Err(Failure::usage("--header is the header of one message: give one INPUT")),
            false => Ok(()),
        }
    }

    pub(crate) fn look(&self) -> Result<Beside, Failure> {
        let header = self.header.as_deref().map(Input::look).transpose()?;
        let beside = Beside { aad: self.message.aad_input()?, header };
        if let Some(header) = &beside.header {
            header.refuse_twice(beside.aad.as_ref())?;
        }
        Ok(beside)
    }

    pub(crate) async fn terms(&self, beside: &Beside) -> Result<Terms, Failure> {
        let aad = aad(beside.aad.as_ref(), false).await?;
        let policy = policy(aad, &self.context).detached(self.has_header());
        let Some(input) = &beside.header else { return Ok(Terms { policy, header: None }) };
        let most = "192 KiB, the most for a header";
        let header = input.content(MAX_HEADER_LEN, most, false).await?.bytes.to_vec();
        Header::decode_detached(&header).map_err(|error| refused(&input.name(), error))?;
        Ok(Terms { policy, header: Some(header) })
    }
}

impl Beside {
    pub(crate) fn aad(&self) -> Option<&Input> {
        self.aad.as_ref()
    }

    /// Refuses to read standard input both for the message and beside it, and to write to an input.
    pub(crate) fn refuse(&self, input: &Input, target: &Target) -> Result<(), Failure> {
        input.refuse_twice(self.aad.as_ref())?;
        input.refuse_twice(self.header.as_ref())?;
        let beside = [&self.aad, &self.header].into_iter().flatten();
        target.refuse([input].into_iter().chain(beside))
    }
}

/// `error` from reading the message `name`, prefixed with that name.
pub(crate) fn refused(name: &str, error: Error) -> Failure {
    let text = error.to_string();
    let of_message = matches!(
        error.kind(),
        ErrorKind::Authentication
            | ErrorKind::InvalidInput
            | ErrorKind::KeyNotAllowed
            | ErrorKind::LimitExceeded
            | ErrorKind::Malformed
            | ErrorKind::NotAccepted
            | ErrorKind::Truncated
            | ErrorKind::UnsupportedVersion
    );
    let named = text.starts_with(&format!("{}: ", shown::plain(name)));
    Failure::reading(match of_message && !named {
        true => Error::with_source(error.kind(), format!("{name}: {text}"), error),
        false => error,
    })
}
