//! `ncp-envelope encrypt`: from a file or standard input to a file or standard output.

use crate::message::{EXTENSION, MessageArgs, pair};
use crate::options::{ENVIRONMENT, KmsArgs};
use crate::place::{OutputArgs, Target, is_dash, open};
use crate::progress::Progress;
use crate::session::Session;
use crate::status::Failure;
use clap::Args;
use ncp_envelope::{EncryptOptions, EncryptionContext};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct EncryptArgs {
    /// Store this pair in the clear and authenticate it; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    #[command(flatten)]
    message: MessageArgs,
    /// Keep two copies of the key slots in disk blocks of their own, so that they can be replaced
    /// in place.
    #[arg(long)]
    durable: bool,
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
    let options =
        EncryptOptions::new().context(context).aad(args.message.aad()?).durable(args.durable);
    let target = Target::of(&args.input, &args.output, |input| {
        let mut name = OsString::from(input);
        name.push(".");
        name.push(EXTENSION);
        Ok(name.into())
    })?;
    if target == Target::Stdout && args.output.output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a message is not for a terminal: give -o OUT, or -o - if you mean it",
        ));
    }
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());

    if let (false, Target::File(target)) = (is_dash(&args.input), &target) {
        session
            .envelope
            .encrypt_file(&args.input, target, options, &file_options)
            .await
            .map(drop)
            .map_err(Failure::writing)
    } else {
        let (source, sink) = (open(&args.input)?, target.open(&file_options)?);
        let source = progress.watch(source);
        let report = session.envelope.encrypt_stream(source, sink, options).await;
        report.map_err(Failure::writing)?.sink.commit().await
    }
}
