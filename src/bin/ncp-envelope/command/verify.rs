//! `ncp-envelope verify`: checks that messages are complete and authentic, without writing
//! plaintext.

use crate::batch::Batch;
use crate::failures::Failures;
use crate::input::Input;
use crate::inputs::InputsArgs;
use crate::options::KmsArgs;
use crate::place::Target;
use crate::plan::{Plan, Task};
use crate::reading::{Beside, ReadArgs, Terms, refused};
use crate::session::Session;
use crate::status::Failure;
use crate::{output, shown};
use clap::Args;
use ncp_envelope::Error;
use ncp_envelope::io::{FileDone, FileOptions, FileOutcome};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    read: ReadArgs,
    /// Print what was done as one JSON object, with counts and a list of failures.
    ///
    /// Its fields: files, bytes_read, bytes_written, seconds, calls (to the key service),
    /// already_done (by an earlier run), encrypted_again (messages), links, special, messages and
    /// not_messages (passed over), failed, stopped (why it ended before the last file), and
    /// failures, each with path, code (the exit code for it alone) and error.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    inputs: InputsArgs,
    #[command(flatten)]
    kms: KmsArgs,
}

/// The result for one message: the length of its plaintext, or why it failed.
type Outcome = Result<u64, Failure>;

pub(crate) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    match args.inputs.are_named() {
        true => named(&args).await,
        false => found(&args).await,
    }
}

/// Files in directories and in lists: only failures have a line, on standard error.
async fn found(args: &VerifyArgs) -> Result<(), Failure> {
    if args.json {
        output::check()?;
    }
    args.read.refuse_header()?;
    let beside = args.read.look()?;
    let names = args.inputs.names(beside.aad()).await?;
    let plan = Plan::new(Task::Verify, names, args.inputs.recursive(), None)?;
    let terms = args.read.terms(&beside).await?;
    let Session { envelope, .. } = &Session::open(&args.kms, &args.read.message.scope).await?;
    let (batch, pairs) = Batch::start(plan, None)?;
    let how = batch.options(FileOptions::new(), args.inputs.jobs(), |_| false);
    let report = envelope.verify_files(pairs.sources(), &terms.policy, &how).await;
    batch.end(report.map_err(Failure::reading)?, envelope, args.json).await
}

/// Files that the command line names: each has a line on standard output.
async fn named(args: &VerifyArgs) -> Result<(), Failure> {
    if args.inputs.single().is_none() {
        args.read.refuse_header()?;
    }
    let beside = args.read.look()?;
    // A missing file does not prevent the verification of the others.
    let paths = args.inputs.named();
    let inputs: Vec<_> = paths.iter().map(|path| (path, Input::look(path))).collect();
    refuse(&inputs, &beside)?;
    let terms = args.read.terms(&beside).await?;
    let session = Session::open(&args.kms, &args.read.message.scope).await?;
    let of_library = |input: &Result<Input, Failure>| {
        terms.header.is_none() && input.as_ref().is_ok_and(|input| input.regular().is_some())
    };
    let regular = inputs.iter().filter(|(_, input)| of_library(input));
    let regular = regular.map(|(path, _)| (*path).clone()).collect();
    let plan = Plan::new(Task::Verify, regular, false, None)?;
    let (batch, pairs) = Batch::start(plan, None)?;
    let batch = if paths.len() == 1 { batch.of_one() } else { batch };
    let lines = Lines::new(paths, batch.failures().clone(), args.json);
    let told = lines.clone();
    let how = batch.options(FileOptions::new(), args.inputs.jobs(), move |file| told.told(file));
    let (mut done, mut bytes) = (0, 0);
    for (at, (path, input)) in inputs.into_iter().enumerate() {
        if of_library(&input) {
            continue;
        }
        let outcome = match input {
            Ok(input) => verify(&session, &terms, &input).await,
            Err(failure) => Err(failure),
        };
        match &outcome {
            Ok(len) => (done, bytes) = (done + 1, bytes + len),
            Err(failure) => {
                if args.json {
                    batch.failures().progress.say(failure.text());
                }
                batch.failures().count_one(path, failure);
            }
        }
        lines.put(at, &outcome);
    }
    let report = session.envelope.verify_files(pairs.sources(), &terms.policy, &how).await;
    let mut report = report.map_err(Failure::reading)?;
    report.done += done;
    report.bytes_read += bytes;
    report.bytes_written += bytes;
    lines.check()?;
    batch.end(report, &session.envelope, args.json).await
}

/// A line for each input, printed in their order.
struct Lines {
    failures: Arc<Failures>,
    json: bool,
    state: Mutex<State>,
}

struct State {
    /// The place of each name, as often as it was given.
    places: HashMap<PathBuf, VecDeque<usize>>,
    names: Vec<String>,
    ready: Vec<Option<String>>,
    printed: usize,
    failed: Option<Failure>,
}

impl Lines {
    fn new(paths: &[PathBuf], failures: Arc<Failures>, json: bool) -> Arc<Self> {
        let mut places: HashMap<_, VecDeque<_>> = HashMap::new();
        for (at, path) in paths.iter().enumerate() {
            places.entry(path.clone()).or_default().push_back(at);
        }
        let names = paths.iter().map(|path| path.display().to_string()).collect();
        let ready = vec![None; paths.len()];
        let state = State { places, names, ready, printed: 0, failed: None };
        Arc::new(Self { failures, json, state: Mutex::new(state) })
    }

    /// Whether the result of the file is printed here.
    fn told(&self, file: &FileDone<'_>) -> bool {
        let outcome = match file.outcome {
            FileOutcome::Done(report) => Ok(report.bytes_written),
            FileOutcome::Failed(error) => Err(of_file(file.source, error)),
            _ => return false,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = state.places.get_mut(file.source).and_then(VecDeque::pop_front);
        drop(state);
        if let Some(at) = place {
            self.put(at, &outcome);
        }
        !self.json && place.is_some()
    }

    fn put(&self, at: usize, outcome: &Outcome) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ready[at] = Some(line(&state.names[at], outcome));
        loop {
            let next = state.printed;
            let Some(line) = state.ready.get_mut(next).and_then(Option::take) else { break };
            state.printed += 1;
            if self.json || state.failed.is_some() {
                continue;
            }
            let print = || output::line(&shown::plain(&line));
            state.failed = self.failures.progress.above(print).err();
        }
    }

    /// Whether all lines could be printed.
    fn check(&self) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.take().map_or(Ok(()), Err)
    }
}

fn of_file(path: &Path, error: &Error) -> Failure {
    refused(&path.display().to_string(), error.clone())
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
    let source = input.open().await?;
    let source = Cursor::new(terms.header.clone().unwrap_or_default()).chain(source);
    let report = session.envelope.decrypt_stream(source, io::sink(), &terms.policy).await;
    report.map(|report| report.bytes_written).map_err(|error| refused(&input.name(), error))
}

fn line(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Ok(1) => format!("{name}: ok, 1 byte"),
        Ok(bytes) => format!("{name}: ok, {bytes} bytes"),
        Err(failure) => format!("{name}: {}", why(name, failure)),
    }
}

/// The error without its leading name, which is printed already.
fn why<'a>(name: &str, failure: &'a Failure) -> &'a str {
    let text = failure.text();
    let behind = |name: &str| text.strip_prefix(name)?.strip_prefix(": ");
    behind(&shown::plain(name)).or_else(|| behind("standard input")).unwrap_or(text)
}
