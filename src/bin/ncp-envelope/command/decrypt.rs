//! `ncp-envelope decrypt`: files or standard input to files or standard output.

use crate::batch::{Batch, Single};
use crate::input::Input;
use crate::inputs::InputsArgs;
use crate::message::EXTENSION;
use crate::options::KmsArgs;
use crate::place::{OutputArgs, Target};
use crate::plan::{Plan, Task};
use crate::progress::Progress;
use crate::reading::{ReadArgs, Terms};
use crate::session::Session;
use crate::status::Failure;
use clap::Args;
use ncp_envelope::Envelope;
use std::io::{Cursor, Read};
use std::path::Path;

#[derive(Args)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    inputs: InputsArgs,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: DecryptArgs) -> Result<(), Failure> {
    args.output.check()?;
    match args.inputs.single() {
        Some(input) => one(&args, input).await,
        None => many(&args).await,
    }
}

async fn many(args: &DecryptArgs) -> Result<(), Failure> {
    args.read.refuse_header()?;
    let beside = args.read.look()?;
    let names = args.inputs.names(beside.aad()).await?;
    let out = args.output.output.as_deref();
    let plan = Plan::new(Task::Decrypt, names, args.inputs.recursive(), out)?;
    let terms = args.read.terms(&beside).await?;
    let session = Session::open(&args.kms, &args.read.message.scope).await?;
    let (batch, pairs) = Batch::start(plan, Some(&args.output))?;
    let how = batch.options(args.output.options(), args.inputs.jobs(), |_| false);
    let report = session.envelope.decrypt_files(pairs.with_targets(), &terms.policy, &how).await;
    batch.end(report.map_err(Failure::reading)?, &session.envelope, args.output.json).await
}

async fn one(args: &DecryptArgs, input: &Path) -> Result<(), Failure> {
    args.inputs.refuse_directory(input)?;
    let (input, beside) = (Input::look(input)?, args.read.look()?);
    let target = args.output.target(&input, |input| {
        if input.extension().is_some_and(|extension| extension == EXTENSION) {
            Ok(input.with_extension(""))
        } else {
            Err(Failure::usage(format!(
                "{} does not end in .{EXTENSION}: give -o OUT",
                input.display()
            )))
        }
    })?;
    beside.refuse(&input, &target)?;
    args.output.refuse(&input, &target)?;
    if args.output.removes_source() && args.read.has_header() {
        return Err(Failure::usage("--remove-source would leave the header: remove both yourself"));
    }
    let terms = args.read.terms(&beside).await?;
    let session = Session::open(&args.kms, &args.read.message.scope).await?;
    let single = Single::start(Task::Decrypt, &input, &target, args.output.json);
    let done = work(args, &session.envelope, &input, &target, terms).await;
    single.end(done, &session.envelope)
}

/// The bytes read and written.
async fn work(
    args: &DecryptArgs,
    envelope: &Envelope,
    input: &Input,
    target: &Target,
    terms: Terms,
) -> Result<(u64, u64), Failure> {
    let Terms { policy, header } = terms;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());
    if let (Some(source), Target::File(target), None) = (input.regular(), target, &header) {
        let report = envelope.decrypt_file_with(source, target, &policy, &file_options).await;
        let report = report.map_err(Failure::reading)?;
        return Ok((report.bytes_read, report.bytes_written));
    }
    let source = input.open().await?;
    let file = source.file().cloned();
    // A pipe does not tell who may read its content.
    let file_options = match source.len() {
        Some(_) => file_options,
        None => file_options.max_mode(0o600),
    };
    let sink = target.open(&file_options, !args.output.no_sync, file.as_ref()).await?;
    let len = source.len();
    let body = progress.watch(source, len);
    let source = Cursor::new(header.unwrap_or_default()).chain(body);
    let report = envelope.decrypt_stream(source, sink, &policy).await.map_err(Failure::reading)?;
    let bytes = (report.bytes_read, report.bytes_written);
    report.sink.commit().await?;
    Ok(bytes)
}
