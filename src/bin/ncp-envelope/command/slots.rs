//! `ncp-envelope slots`: shows and changes which keys open stored messages.

use crate::failures::Failures;
use crate::input::blocking;
use crate::many::{Done, each};
use crate::message::{MessageArgs, aad, policy};
use crate::options::Common;
use crate::session::Session;
use crate::status::Failure;
use crate::walk::PathsArgs;
use crate::{output, slot};
use clap::{Args, Subcommand};
use ncp_envelope::stored::{SlotChange, SlotsChanged, StoredMessage, WriteOptions};
use ncp_envelope::{Error, ErrorKind, KeyId};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Files whose keys share calls to the key service.
const AT_ONCE: usize = 256;

#[derive(Args)]
pub(crate) struct SlotsArgs {
    #[command(subcommand)]
    command: SlotsCommand,
}

#[derive(Subcommand)]
enum SlotsCommand {
    /// Show the key slots of a message; any of these keys opens it. Needs no key.
    List(ListArgs),
    /// Add a slot for another key. Bodies stay as they are; a compact header has no room for a
    /// second slot, and `rekey` makes room.
    Add(AddArgs),
    /// Replace the slot of the key that opens a message by a slot for another key.
    Move(AddArgs),
    /// Remove the slots of a key. Needs no key. Anyone who has read a message, or has an old copy
    /// of its header, can still read it; `rekey` ends that.
    Remove(RemoveArgs),
}

#[derive(Args)]
struct ListArgs {
    /// Message to inspect.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct AddArgs {
    /// Tag of the key to add, at the same key service; can be given many times.
    #[arg(long, value_name = "TAG", required = true)]
    to_key: Vec<String>,
    #[command(flatten)]
    message: MessageArgs,
    /// Body of a message whose header is an object of its own.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    paths: PathsArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct RemoveArgs {
    /// Tag of the key whose slots are removed.
    #[arg(long, value_name = "TAG")]
    key: String,
    #[command(flatten)]
    write: WriteArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paths: PathsArgs,
}

/// How slots are written into files.
#[derive(Args)]
pub(crate) struct WriteArgs {
    /// Never write into a file: replace it by a new one, even where writing in place is safe.
    #[arg(long)]
    replace: bool,
    /// Do not wait until new key slots are on the disk, except those of the durable layout: faster,
    /// but a power cut may undo reported changes.
    #[arg(long)]
    no_sync: bool,
}

impl WriteArgs {
    pub(crate) fn options(&self) -> WriteOptions {
        WriteOptions::new().in_place(!self.replace).sync(!self.no_sync)
    }
}

pub(crate) async fn run(args: SlotsArgs) -> Result<(), Failure> {
    match args.command {
        SlotsCommand::List(args) => list(args).await,
        SlotsCommand::Add(args) => add(args, false).await,
        SlotsCommand::Move(args) => add(args, true).await,
        SlotsCommand::Remove(args) => remove(args).await,
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let message = blocking(move || StoredMessage::open(args.file)).await?;
    let message = message.map_err(Failure::reading)?;
    let slots = message.header().slots().slots().iter().map(slot::record).collect();
    output::list(args.json, &slot::COLUMNS, slots)
}

async fn add(args: AddArgs, in_place_of_own: bool) -> Result<(), Failure> {
    let aad_input = args.message.aad_input()?;
    let failures = Arc::new(Failures::new(args.paths.check()?));
    let policy = policy(aad(aad_input.as_ref(), false).await?, &[]);
    let session = Session::open_for(&args.common.kms, &args.message.scope, &args.to_key).await?;
    let own = session.envelope.key_ids().first().filter(|_| in_place_of_own).cloned();
    let change = own.into_iter().fold(SlotChange::new(), SlotChange::remove);
    let change = change.write(args.write.options());
    let change = args.body.into_iter().fold(change, SlotChange::body);
    let work = |path: PathBuf| {
        let (envelope, policy, change) = (session.envelope.clone(), policy.clone(), change.clone());
        async move { envelope.change_slots(path, &policy, &change).await }
    };
    let done = each(args.paths.walk(&failures), AT_ONCE, &failures, work).await;
    report(args.common.json, &done, &failures)
}

async fn remove(args: RemoveArgs) -> Result<(), Failure> {
    let failures = Arc::new(Failures::new(args.paths.check()?));
    let (tag, options) = (Arc::<str>::from(args.key), args.write.options());
    let work = |path: PathBuf| {
        let (tag, options) = (tag.clone(), options.clone());
        async move {
            let removed = tokio::task::spawn_blocking(move || without(path, &tag, &options));
            removed.await.unwrap_or_else(|error| {
                Err(Error::new(ErrorKind::Internal, format!("stopped: {error}")))
            })
        }
    };
    let done = each(args.paths.walk(&failures), AT_ONCE, &failures, work).await;
    report(args.json, &done, &failures)
}

/// Removes the slots under the key `tag`, of any key service.
fn without(path: PathBuf, tag: &str, options: &WriteOptions) -> Result<SlotsChanged, Error> {
    let mut message = StoredMessage::open(path)?;
    let slots = message.header().slots().slots().iter();
    let mut keys: Vec<KeyId> = slots.map(|slot| slot.key_id().clone()).collect();
    keys.retain(|key| key.id() == tag);
    if keys.is_empty() {
        return Ok(SlotsChanged::Already);
    }
    message.remove_slots(&keys, options)
}

fn report(json: bool, done: &Done<SlotsChanged>, failures: &Failures) -> Result<(), Failure> {
    let written = |done: &&SlotsChanged| matches!(done, SlotsChanged::Written { .. });
    let changed = done.results.iter().filter(written).count();
    let counts =
        vec![("changed", json!(changed)), ("already", json!(done.results.len() - changed))];
    done.report(json, counts, failures)
}
