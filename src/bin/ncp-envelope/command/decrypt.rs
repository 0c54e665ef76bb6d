//! `ncp-envelope decrypt`: from a file or standard input to a file or standard output.

use crate::input::Input;
use crate::message::EXTENSION;
use crate::options::{ENVIRONMENT, KmsArgs};
use crate::place::{OutputArgs, Target};
use crate::progress::Progress;
use crate::reading::{ReadArgs, Terms};
use crate::session::Session;
use crate::status::Failure;
use clap::Args;
use std::io::{Cursor, Read};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Message to decrypt; "-" is standard input.
    input: PathBuf,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: DecryptArgs) -> Result<(), Failure> {
    let (input, beside) = (Input::look(&args.input)?, args.read.look()?);
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
    let Terms { policy, header } = args.read.terms(&beside).await?;
    let session = Session::open(&args.kms, &args.read.message.scope).await?;
    let progress = Progress::start();
    let file_options = args.output.options().progress(progress.reporter());

    if let (Some(source), Target::File(target), None) = (input.regular(), &target, &header) {
        session
            .envelope
            .decrypt_file_with(source, target, &policy, &file_options)
            .await
            .map(drop)
            .map_err(Failure::reading)
    } else {
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
        let report = session.envelope.decrypt_stream(source, sink, &policy).await;
        report.map_err(Failure::reading)?.sink.commit().await
    }
}
