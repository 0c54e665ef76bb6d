//! `ncp-envelope encrypt`: from a file or standard input to a file or standard output.

use crate::input::Input;
use crate::message::{EXTENSION, LayoutArg, MessageArgs, aad, pair};
use crate::options::{ENVIRONMENT, KmsArgs};
use crate::place::{OutputArgs, Target};
use crate::progress::Progress;
use crate::session::Session;
use crate::status::Failure;
use crate::streams;
use clap::Args;
use ncp_envelope::{EncryptOptions, EncryptionContext};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
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
    /// File to encrypt; "-" is standard input.
    input: PathBuf,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: EncryptArgs) -> Result<(), Failure> {
    let mut context = EncryptionContext::new();
    for (name, value) in args.context {
        context.insert(name, value).map_err(Failure::writing)?;
    }
    let (input, aad_input) = (Input::look(&args.input)?, args.message.aad_input()?);
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
    let aad = aad(aad_input.as_ref(), args.allow_changing).await?;
    let options = EncryptOptions::new().context(context).aad(aad).layout(args.layout.profile());
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().allow_changing(args.allow_changing);
    let file_options = file_options.progress(progress.reporter());

    if let (Some(source), Target::File(target)) = (input.regular(), &target) {
        session
            .envelope
            .encrypt_file_with(source, target, options, &file_options)
            .await
            .map(drop)
            .map_err(Failure::writing)
    } else {
        let source = input.open().await?;
        let file = source.file().cloned();
        let sink = target.open(&file_options, !args.output.no_sync, file.as_ref()).await?;
        let len = source.len();
        let source = progress.watch(source, len);
        let report = session.envelope.encrypt_stream(source, sink, options).await;
        let sink = report.map_err(Failure::writing)?.sink;
        if let Some(file) = file.filter(|_| !args.allow_changing) {
            file.check_unchanged().map_err(Failure::writing)?;
        }
        sink.commit().await
    }
}
