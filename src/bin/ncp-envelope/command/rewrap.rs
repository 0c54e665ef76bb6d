//! `ncp-envelope rewrap`: moves messages in many files to the newest version of their key.

use crate::command::slots::WriteArgs;
use crate::failures::Failures;
use crate::options::KmsArgs;
use crate::output;
use crate::session::Session;
use crate::status::Failure;
use crate::walk::PathsArgs;
use clap::Args;
use ncp_envelope::stored::{Outcome, RewrapOptions, RewrapReport};
use ncp_envelope::{Error, ErrorKind};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Args)]
pub(crate) struct RewrapArgs {
    #[command(flatten)]
    paths: PathsArgs,
    /// Only slots under a version lower than this.
    #[arg(long, value_name = "N")]
    below: Option<u32>,
    /// Record progress in this file, so that an interrupted run continues where it stopped.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Change nothing, and report what would be done. Makes one call, to learn the newest version.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    write: WriteArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(crate) async fn run(args: RewrapArgs) -> Result<(), Failure> {
    let failures = Arc::new(Failures::new(args.paths.check()?));
    let session = Session::open(&args.kms, &None).await?;
    let mut options = RewrapOptions::new().dry_run(args.dry_run).write(args.write.options());
    if let Some(version) = args.below {
        options = options.below(version);
    }
    if let Some(path) = &args.checkpoint {
        options = options.checkpoint(path);
    }
    let told = failures.clone();
    let options = options.on_each(move |path, outcome| {
        told.progress.step();
        match outcome {
            Outcome::Failed(error) => told.add(path, error.clone()),
            Outcome::NotAMessage(error) if told.is_named(path) => told.add(path, error.clone()),
            Outcome::OtherKey if told.is_named(path) => {
                let text = format!("{}: message is under another key", path.display());
                told.add(path, Error::new(ErrorKind::KeyNotAllowed, text));
            }
            _ => {}
        }
    });
    let walk = args.paths.walk(&failures);
    let links = walk.links();
    let report = session.envelope.rewrap_files(walk, &options).await.map_err(Failure::writing)?;
    output::one(args.json, record(&args, &report, links.load(Ordering::Relaxed), &failures))?;
    let stopped = report.stopped.map(|error| {
        let how = match args.checkpoint {
            Some(_) => "run it again with the same checkpoint to continue",
            None => "run it again to continue",
        };
        let text = format!("stopped before the last file: {error}; {how}");
        (Failure::writing(error), text)
    });
    failures.end(stopped)
}

fn record(
    args: &RewrapArgs,
    report: &RewrapReport,
    links: u64,
    failures: &Failures,
) -> output::Record {
    let mut record = vec![
        ("rewrapped", json!(report.rewrapped)),
        ("bytes", json!(report.bytes)),
        ("newest", json!(report.newest)),
        ("left_out", json!(report.left_out)),
        ("other_key", json!(report.other_key)),
        ("not_messages", json!(report.not_messages)),
        ("links", json!(links)),
        ("failed", json!(failures.count())),
    ];
    if args.json {
        let stopped = report.stopped.as_ref();
        record.push(("dry_run", json!(args.dry_run)));
        record.push((
            "stopped",
            stopped.map_or(Value::Null, |error| Value::String(error.to_string())),
        ));
        record.push(("failures", failures.json()));
    }
    record
}
