//! `ncp-envelope rekey`: stored messages anew, under other data keys.

use crate::failures::Failures;
use crate::many::each;
use crate::message::{LayoutArg, MessageArgs, aad, pair, policy};
use crate::options::KmsArgs;
use crate::session::Session;
use crate::status::Failure;
use crate::walk::PathsArgs;
use clap::Args;
use ncp_envelope::stored::{RekeyOptions, WriteOptions};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Each uses two threads.
const AT_ONCE: usize = 4;

#[derive(Args)]
pub(crate) struct RekeyArgs {
    /// Refuse a message that does not carry this pair; can be given many times.
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    #[command(flatten)]
    message: MessageArgs,
    /// Accept that messages lose slots of keys that are not named here.
    #[arg(long)]
    drop_other_keys: bool,
    /// Give messages this layout instead of the one they have; "page" has room for more keys.
    #[arg(long, value_enum)]
    layout: Option<LayoutArg>,
    /// Do not wait until a message is on the disk before it replaces the old one.
    #[arg(long)]
    no_sync: bool,
    #[command(flatten)]
    paths: PathsArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: RekeyArgs) -> Result<(), Failure> {
    let aad_input = args.message.aad_input()?;
    let failures = Arc::new(Failures::new(args.paths.check()?));
    let policy = policy(aad(aad_input.as_ref(), false).await?, &args.context);
    let session = Session::open(&args.kms, &args.message.scope).await?;
    let options = RekeyOptions::new()
        .drop_other_keys(args.drop_other_keys)
        .write(WriteOptions::new().sync(!args.no_sync));
    let options =
        args.layout.map(LayoutArg::profile).into_iter().fold(options, RekeyOptions::layout);
    let work = |path: PathBuf| {
        let (envelope, policy) = (session.envelope.clone(), policy.clone());
        let options = options.clone();
        async move { envelope.rekey_file(path, &policy, &options).await }
    };
    let done = each(args.paths.walk(&failures), AT_ONCE, &failures, work).await;
    let bytes: u64 = done.results.iter().map(|report| report.bytes_written).sum();
    let counts = vec![("rekeyed", json!(done.results.len())), ("bytes", json!(bytes))];
    done.report(args.json, counts, &failures)
}
