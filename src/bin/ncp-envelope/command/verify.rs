//! `ncp-envelope verify`: checks that messages are complete and authentic, without writing
//! plaintext.

use crate::input::Input;
use crate::options::{ENVIRONMENT, KmsArgs};
use crate::place::Target;
use crate::progress::Progress;
use crate::reading::{Beside, ReadArgs, Terms, refused};
use crate::session::Session;
use crate::status::Failure;
use crate::{output, shown};
use clap::Args;
use ncp_envelope::io::FileOptions;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    read: ReadArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Messages to verify; "-" is standard input.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    kms: KmsArgs,
}

/// The result for one message: the length of its plaintext, or why it failed.
type Outcome = Result<u64, Failure>;

pub(crate) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    if args.read.has_header() && args.inputs.len() > 1 {
        return Err(Failure::usage("--header is the header of one message: give one INPUT"));
    }
    let beside = args.read.look()?;
    // A missing file does not prevent the verification of the others.
    let inputs: Vec<_> = args.inputs.iter().map(|path| (path, Input::look(path))).collect();
    refuse(&inputs, &beside)?;
    let terms = args.read.terms(&beside).await?;
    let session = Session::open(&args.kms, &args.read.message.scope).await?;
    let (mut records, mut failed, mut codes) = (Vec::new(), 0, BTreeSet::new());
    let count = inputs.len();
    for (path, input) in inputs {
        let name = path.display().to_string();
        let outcome = match input {
            Ok(input) => verify(&session, &terms, &input).await,
            Err(failure) => Err(failure),
        };
        match args.json {
            true => records.push(record(&name, &outcome)),
            false => output::line(&shown::plain(&line(&name, &outcome)))?,
        }
        if let Err(failure) = &outcome {
            failed += 1;
            codes.insert(failure.code_of_file());
        }
    }
    if args.json {
        output::json_line(&Value::Array(records))?;
    }
    if failed == 0 {
        return Ok(());
    }
    let messages = if count == 1 { "message" } else { "messages" };
    let text = format!("{failed} of {count} {messages} could not be verified");
    Err(Failure::coded(Failure::code_of(&codes), text))
}

/// Wrong usage, whatever the files contain.
fn refuse(inputs: &[(&PathBuf, Result<Input, Failure>)], beside: &Beside) -> Result<(), Failure> {
    let target = Target::standard()?;
    let there: Vec<_> = inputs.iter().filter_map(|(_, input)| input.as_ref().ok()).collect();
    for input in &there {
        beside.refuse(input, &target)?;
    }
    let mut standard = there.iter().filter(|input| input.path().is_none());
    match (standard.next(), standard.next()) {
        (Some(one), Some(other)) => one.refuse_twice(Some(other)),
        _ => Ok(()),
    }
}

async fn verify(session: &Session, terms: &Terms, input: &Input) -> Outcome {
    let progress = Progress::start();
    let report = match (input.path(), &terms.header) {
        (Some(path), None) => {
            let options = FileOptions::new().progress(progress.reporter());
            let report = session.envelope.verify_file_with(path, &terms.policy, &options).await;
            report.map(|report| report.bytes_written)
        }
        (_, header) => {
            let source = input.open().await?;
            let len = source.len();
            let body = progress.watch(source, len);
            let source = Cursor::new(header.clone().unwrap_or_default()).chain(body);
            let report = session.envelope.decrypt_stream(source, io::sink(), &terms.policy).await;
            report.map(|report| report.bytes_written)
        }
    };
    report.map_err(|error| refused(&input.name(), error))
}

fn line(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Ok(1) => format!("{name}: ok, 1 byte"),
        Ok(bytes) => format!("{name}: ok, {bytes} bytes"),
        Err(failure) => format!("{name}: {}", why(name, failure)),
    }
}

fn record(name: &str, outcome: &Outcome) -> Value {
    match outcome {
        Ok(bytes) => json!({ "name": name, "ok": true, "bytes": bytes }),
        Err(failure) => {
            let (code, error) = (failure.code_of_file(), why(name, failure));
            json!({ "name": name, "ok": false, "code": code, "error": error })
        }
    }
}

/// The error without its leading name, which is printed already.
fn why<'a>(name: &str, failure: &'a Failure) -> &'a str {
    let text = failure.text();
    let behind = |name: &str| text.strip_prefix(name)?.strip_prefix(": ");
    behind(&shown::plain(name)).or_else(|| behind("standard input")).unwrap_or(text)
}
