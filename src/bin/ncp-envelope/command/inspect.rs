//! `ncp-envelope inspect`: what anyone can see of a message.

use crate::input::{Input, blocking};
use crate::place::Target;
use crate::status::Failure;
use crate::{output, shown, slot};
use clap::Args;
use ncp_envelope::format::{CopyState, FIXED_LEN, Header, Profile, range};
use ncp_envelope::{Error, ErrorKind, WrappedKey};
use serde_json::{Value, json};
use std::io::{self, Read};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Message to inspect; "-" is standard input.
    pub(crate) input: PathBuf,
}

pub(crate) async fn run(args: InspectArgs) -> Result<(), Failure> {
    let input = Input::look(&args.input)?;
    Target::Standard.refuse([&input])?;
    let view = read(input).await?;
    if args.json {
        return output::json_line(&view.json());
    }
    output::print(view.text().as_bytes())
}

struct View {
    header: Header,
    message_len: u64,
    plaintext_len: Result<u64, Error>,
}

async fn read(input: Input) -> Result<View, Failure> {
    let mut source = input.open().await?;
    blocking(move || {
        let io = |error| input.cannot_read(error);
        let refused = |error: Error| {
            Failure::reading(Error::new(error.kind(), format!("{}: {error}", input.name())))
        };
        let mut bytes = Vec::new();
        (&mut source).take(FIXED_LEN as u64).read_to_end(&mut bytes).map_err(io)?;
        let rest = Header::len_from(&bytes).map_err(refused)?.saturating_sub(bytes.len());
        (&mut source).take(rest as u64).read_to_end(&mut bytes).map_err(io)?;
        let header = Header::decode(&bytes).map_err(refused)?;
        let body_len = match source.len().and_then(|len| len.checked_sub(bytes.len() as u64)) {
            Some(len) => len,
            // A pipe has no length before its end, and files in /proc claim to be empty.
            None => io::copy(&mut source, &mut io::sink()).map_err(io)?,
        };
        Ok(View {
            message_len: bytes.len() as u64 + body_len,
            plaintext_len: range::plaintext_len(body_len),
            header,
        })
    })
    .await?
}

impl View {
    fn overhead(&self) -> Option<u64> {
        self.plaintext_len.as_ref().ok().map(|len| self.message_len - len)
    }

    fn json(&self) -> Value {
        let bound = self.header.bound();
        let slot = |slot: &WrappedKey| output::object(slot::record(slot));
        let copy = |copy: &CopyState| match copy {
            CopyState::Valid { generation } => json!({ "valid": true, "generation": generation }),
            CopyState::Invalid { reason } => json!({ "valid": false, "reason": reason }),
            _ => Value::Null,
        };
        json!({
            "format_version": 1,
            "suite": bound.suite().code(),
            "suite_name": bound.suite().to_string(),
            "profile": profile(&self.header),
            "detached": bound.is_detached(),
            "associated_data": bound.requires_aad(),
            "context": bound.context().iter().collect::<std::collections::BTreeMap<_, _>>(),
            "generation": self.header.slots().generation(),
            "slots": self.header.slots().slots().iter().map(slot).collect::<Vec<_>>(),
            "slot_copies": self.header.copies().iter().map(copy).collect::<Vec<_>>(),
            "body_offset": bound.body_offset(),
            "message_len": self.message_len,
            "plaintext_len": self.plaintext_len.as_ref().ok(),
            "overhead": self.overhead(),
            "complete": bound.is_detached() || self.plaintext_len.is_ok(),
        })
    }

    fn text(&self) -> String {
        let bound = self.header.bound();
        let mut out = String::new();
        // Escaped: the writer of the message chose some of these words.
        let mut line = |name: &str, value: String| {
            out.push_str(&format!("{name:<16}{}\n", shown::plain(&value)));
        };
        line(
            "format",
            format!("version 1, suite {:#06x} ({})", bound.suite().code(), bound.suite()),
        );
        line("profile", profile(&self.header).to_owned());
        if bound.is_detached() {
            line("body", "detached: an object of its own".to_owned());
        }
        line("associated data", if bound.requires_aad() { "required" } else { "none" }.to_owned());
        if bound.context().is_empty() {
            line("context", "none".to_owned());
        }
        for (name, value) in bound.context().iter() {
            line("context", format!("{}={}", name.escape_debug(), value.escape_debug()));
        }
        for slot in self.header.slots().slots() {
            let version = slot::version(slot)
                .map_or(String::new(), |version| format!(", key version {version}"));
            line(
                "slot",
                format!(
                    "{} {}{version} (zone {})",
                    slot.key_id().provider(),
                    slot.key_id(),
                    slot::zone(slot)
                ),
            );
        }
        for copy in self.header.copies() {
            match copy {
                CopyState::Valid { generation } => {
                    line("slot copy", format!("generation {generation}"))
                }
                CopyState::Invalid { reason } => line("slot copy", format!("not valid: {reason}")),
                _ => {}
            }
        }
        line("message", format!("{} bytes", self.message_len));
        match (&self.plaintext_len, self.overhead()) {
            _ if bound.is_detached() => {}
            (Ok(plaintext), Some(overhead)) => {
                line("plaintext", format!("{plaintext} bytes (not verified)"));
                line("overhead", format!("{overhead} bytes"));
            }
            (Err(error), _) if error.kind() == ErrorKind::Truncated => {
                line("plaintext", "incomplete: the message is truncated".to_owned())
            }
            _ => line("plaintext", "unknown".to_owned()),
        }
        out
    }
}

fn profile(header: &Header) -> &'static str {
    match header.bound().profile() {
        Profile::Compact => "compact",
        Profile::Durable => "durable",
        Profile::Page => "page",
        _ => "unknown",
    }
}
