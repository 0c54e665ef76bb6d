//! `ncp-envelope encrypt`: files or standard input to files or standard output.

use crate::batch::{Batch, Single};
use crate::input::Input;
use crate::inputs::InputsArgs;
use crate::message::{EXTENSION, LayoutArg, MessageArgs, aad, pair};
use crate::options::KmsArgs;
use crate::place::{OutputArgs, Target};
use crate::plan::{Plan, Task};
use crate::progress::Progress;
use crate::session::Session;
use crate::status::{Failure, notice};
use crate::{streams, tree};
use clap::Args;
use ncp_envelope::stored::StoredMessage;
use ncp_envelope::{EncryptOptions, EncryptionContext, Envelope};
use std::ffi::OsString;
use std::path::Path;

#[derive(Args)]
pub(crate) struct EncryptArgs {
    /// Store this pair in the clear and authenticate it; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    #[command(flatten)]
    message: MessageArgs,
    /// Layout of the header: "durable" keeps two copies of the key slots in disk blocks of their
    /// own, "page" starts the body at byte 4,096.
    #[arg(long, value_enum, default_value_t = LayoutArg::Compact)]
    layout: LayoutArg,
    /// Accept an input that changes while it is read, such as a log. The message may then hold
    /// content that the file never had at one time.
    #[arg(long)]
    allow_changing: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    inputs: InputsArgs,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: EncryptArgs) -> Result<(), Failure> {
    let mut context = EncryptionContext::new();
    for (name, value) in &args.context {
        context.insert(name, value).map_err(Failure::writing)?;
    }
    let options = EncryptOptions::new().context(context).layout(args.layout.profile());
    args.output.check()?;
    match args.inputs.single() {
        Some(input) => one(&args, input, options).await,
        None => many(&args, options).await,
    }
}

async fn many(args: &EncryptArgs, options: EncryptOptions) -> Result<(), Failure> {
    let aad_input = args.message.aad_input()?;
    let names = args.inputs.names(aad_input.as_ref()).await?;
    let out = args.output.output.as_deref();
    let plan = Plan::new(Task::Encrypt, names, args.inputs.recursive(), out)?;
    let aad = aad(aad_input.as_ref(), args.allow_changing).await?;
    let envelope = Session::open(&args.kms, &args.message.scope).await?;
    let (batch, pairs) = Batch::start(plan, Some(&args.output))?;
    let each = args.output.options().allow_changing(args.allow_changing);
    let how = batch.options(each, args.inputs.jobs(), |_| false);
    let pairs = pairs.with_targets();
    let report = envelope.envelope.encrypt_files(pairs, options.aad(aad), &how).await;
    batch.end(report.map_err(Failure::writing)?, &envelope.envelope, args.output.json).await
}

async fn one(args: &EncryptArgs, input: &Path, options: EncryptOptions) -> Result<(), Failure> {
    args.inputs.refuse_directory(input)?;
    let (input, aad_input) = (Input::look(input)?, args.message.aad_input()?);
    input.refuse_twice(aad_input.as_ref())?;
    let target = args.output.target(&input, |input| {
        let mut name = OsString::from(input);
        name.push(".");
        name.push(EXTENSION);
        Ok(name.into())
    })?;
    if target == Target::Standard && args.output.output.is_none() && streams::output_is_terminal() {
        return Err(Failure::usage(
            "a message is not for a terminal: give -o OUT, or -o - if you mean it",
        ));
    }
    target.refuse([Some(&input), aad_input.as_ref()].into_iter().flatten())?;
    args.output.refuse(&input, &target)?;
    let aad = aad(aad_input.as_ref(), args.allow_changing).await?;
    if let Some(path) =
        input.regular().filter(|path| matches!(StoredMessage::is_one(path), Ok(true)))
    {
        notice(&tree::again(path));
    }
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let single = Single::start(Task::Encrypt, &input, &target, args.output.json);
    let done = work(args, &session.envelope, &input, &target, options.aad(aad)).await;
    single.end(done, &session.envelope)
}

/// The bytes read and written.
async fn work(
    args: &EncryptArgs,
    envelope: &Envelope,
    input: &Input,
    target: &Target,
    options: EncryptOptions,
) -> Result<(u64, u64), Failure> {
    let progress = Progress::start();
    let file_options = args.output.options().allow_changing(args.allow_changing);
    let file_options = file_options.progress(progress.reporter());
    if let (Some(source), Target::File(target)) = (input.regular(), target) {
        let report = envelope.encrypt_file_with(source, target, options, &file_options).await;
        let report = report.map_err(Failure::writing)?;
        return Ok((report.bytes_read, report.bytes_written));
    }
    let source = input.open().await?;
    let file = source.file().cloned();
    let sink = target.open(&file_options, !args.output.no_sync, file.as_ref()).await?;
    let len = source.len();
    let source = progress.watch(source, len);
    let report = envelope.encrypt_stream(source, sink, options).await.map_err(Failure::writing)?;
    if let Some(file) = file.filter(|_| !args.allow_changing) {
        file.check_unchanged().map_err(Failure::writing)?;
    }
    let bytes = (report.bytes_read, report.bytes_written);
    report.sink.commit().await?;
    Ok(bytes)
}
