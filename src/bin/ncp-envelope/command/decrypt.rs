//! `ncp-envelope decrypt`: from a file or standard input to a file or standard output.

use crate::message::{EXTENSION, MessageArgs, pair};
use crate::options::{ENVIRONMENT, KmsArgs};
use crate::place::{OutputArgs, Target, is_dash, open};
use crate::progress::Progress;
use crate::session::Session;
use crate::status::Failure;
use clap::Args;
use ncp_envelope::DecryptPolicy;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct DecryptArgs {
    /// Refuse a message that does not carry this pair; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Message to decrypt; "-" is standard input.
    input: PathBuf,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: DecryptArgs) -> Result<(), Failure> {
    let mut policy = DecryptPolicy::new().aad(args.message.aad()?);
    for (name, value) in args.context {
        policy = policy.require(name, value);
    }
    let target = Target::of(&args.input, &args.output, |input| {
        if input.extension().is_some_and(|extension| extension == EXTENSION) {
            Ok(input.with_extension(""))
        } else {
            Err(Failure::usage(format!(
                "{} does not end in .{EXTENSION}: give -o OUT",
                input.display()
            )))
        }
    })?;
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());

    if let (false, Target::File(target)) = (is_dash(&args.input), &target) {
        session
            .envelope
            .decrypt_file(&args.input, target, &policy, &file_options)
            .await
            .map(drop)
            .map_err(Failure::reading)
    } else {
        let (source, sink) = (open(&args.input)?, target.open(&file_options)?);
        let source = progress.watch(source);
        let report = session.envelope.decrypt_stream(source, sink, &policy).await;
        report.map_err(Failure::reading)?.sink.commit().await
    }
}
