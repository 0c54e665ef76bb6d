//! `ncp-envelope decrypt`: from a file or standard input to a file or standard output.

use crate::input::Input;
use crate::message::{EXTENSION, MessageArgs, aad, pair};
use crate::options::{ENVIRONMENT, KmsArgs};
use crate::place::{OutputArgs, Target};
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
    let (input, aad_input) = (Input::look(&args.input)?, args.message.aad_input()?);
    input.refuse_twice(aad_input.as_ref())?;
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
    target.refuse([Some(&input), aad_input.as_ref()].into_iter().flatten())?;
    let mut policy = DecryptPolicy::new().aad(aad(aad_input.as_ref(), false).await?);
    for (name, value) in args.context {
        policy = policy.require(name, value);
    }
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());

    if let (Some(source), Target::File(target)) = (input.regular(), &target) {
        session
            .envelope
            .decrypt_file(source, target, &policy, &file_options)
            .await
            .map(drop)
            .map_err(Failure::reading)
    } else {
        let source = input.open().await?;
        let file = source.file().cloned();
        // Nobody knows who may read what comes from a pipe.
        let file_options = match source.len() {
            Some(_) => file_options,
            None => file_options.max_mode(0o600),
        };
        let sink = target.open(&file_options, !args.output.no_sync, file.as_ref()).await?;
        let len = source.len();
        let source = progress.watch(source, len);
        let report = session.envelope.decrypt_stream(source, sink, &policy).await;
        report.map_err(Failure::reading)?.sink.commit().await
    }
}
