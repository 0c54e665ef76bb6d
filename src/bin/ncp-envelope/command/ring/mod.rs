//! `ncp-envelope ring`: makes, shows and changes key rings, which are files that are not secret.

mod file;
mod show;

pub(crate) use file::{RingFile, decode};

use crate::confirm::Confirm;
use crate::options::KmsArgs;
use crate::output::{self, Record};
use crate::reading::refused;
use crate::session::Session;
use crate::slot;
use crate::status::{Failure, notice};
use clap::{Args, Subcommand};
use file::Change;
use ncp_envelope::ErrorKind;
use ncp_envelope::fields::{KeyRing, RingDocument};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Args)]
pub(crate) struct RingArgs {
    #[command(subcommand)]
    command: RingCommand,
}

#[derive(Subcommand)]
enum RingCommand {
    /// Make a key ring with two new keys: one encrypts values, the other makes blind indexes.
    Create(ServiceRingArgs),
    /// Show the keys of a ring, and what wraps them; needs no key and no network.
    Show(ShowArgs),
    /// Add a key that new values are encrypted under. Values under the others can still be
    /// decrypted.
    Rotate(ServiceRingArgs),
    /// Add a key that new blind indexes are made with. Indexes of one value under different keys
    /// are not equal: search for both until all rows have new ones.
    RotateIndex(ServiceRingArgs),
    /// Remove a key; values under it can then not be decrypted any more. The newest key of its kind
    /// cannot be removed. Needs no key service.
    Retire(RetireArgs),
    /// Wrap the ring's keys under the newest version of their key, without exposing them. No value
    /// changes.
    Rewrap(ServiceRingArgs),
}

#[derive(Args)]
struct ServiceRingArgs {
    #[command(flatten)]
    file: RingFile,
    #[command(flatten)]
    scope: ScopeArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kms: KmsArgs,
}

#[derive(Args)]
struct ShowArgs {
    #[command(flatten)]
    file: RingFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct RetireArgs {
    #[command(flatten)]
    file: RingFile,
    /// Number of the key, which begins with 1.
    #[arg(long, value_name = "N")]
    number: u32,
    #[command(flatten)]
    confirm: Confirm,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ScopeArg {
    /// Purpose of the ring's keys, such as a tenant; every use of the ring needs the same. Not
    /// stored.
    #[arg(long)]
    pub(crate) scope: Option<String>,
}

pub(crate) async fn run(args: RingArgs) -> Result<(), Failure> {
    match args.command {
        RingCommand::Create(args) => create(args).await,
        RingCommand::Show(args) => show::run(&args.file, args.json).await,
        RingCommand::Rotate(args) => rotate(args, Kind::Value).await,
        RingCommand::RotateIndex(args) => rotate(args, Kind::Index).await,
        RingCommand::Retire(args) => retire(args).await,
        RingCommand::Rewrap(args) => rewrap(args).await,
    }
}

/// What a new key is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    Index,
}

async fn create(args: ServiceRingArgs) -> Result<(), Failure> {
    args.file.refuse_existing()?;
    let session = Session::open(&args.kms, &args.scope.scope).await?;
    let ring = KeyRing::create(&session.envelope).await.map_err(Failure::writing)?;
    let document = ring.document();
    args.file.create(&document).await?;
    output::one(args.json, summary(&document))
}

async fn rotate(args: ServiceRingArgs, kind: Kind) -> Result<(), Failure> {
    let change = Change::start(&args.file).await?;
    let session = Session::open(&args.kms, &args.scope.scope).await?;
    let opened = KeyRing::open(change.bytes(), &session.envelope).await;
    let ring = opened.map_err(|error| refused(&args.file.name(), error))?;
    let before = ring.document();
    let rotated = match kind {
        Kind::Value => ring.rotate().await,
        Kind::Index => ring.rotate_index().await,
    };
    let document = rotated.map_err(|error| refused(&args.file.name(), error))?;
    change.write(&document).await?;
    let (old, new) = match kind {
        Kind::Value => (before.value_key(), document.value_key()),
        Kind::Index => (before.index_key(), document.index_key()),
    };
    notice(&match kind {
        Kind::Value => format!(
            "new values are encrypted under key {new}; those under other keys can be decrypted as \
             long as these are in the ring"
        ),
        Kind::Index => format!(
            "new indexes are made with key {new}; those of key {old} are found only with \
             --index-key {old}"
        ),
    });
    let mut record = summary(&document);
    record.push(("replaced_key", json!(old)));
    output::one(args.json, record)
}

async fn retire(args: RetireArgs) -> Result<(), Failure> {
    let number = args.number;
    // Refused before the question, which would be for nothing.
    let retired = |change: &Change| {
        let document = change.document(&args.file)?;
        document.retire(number).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => Failure::usage(format!("{}: {error}", args.file.name())),
            _ => refused(&args.file.name(), error),
        })
    };
    retired(&Change::start(&args.file).await?)?;
    let what = format!(
        "remove key {number} of {}: what is encrypted under it, or found by it, is lost",
        args.file.name()
    );
    args.confirm.ask(&what).await?;
    // The ring may have been rotated meanwhile.
    let change = Change::start(&args.file).await?;
    let document = retired(&change)?;
    change.write(&document).await?;
    let mut record = summary(&document);
    record.push(("retired", json!(number)));
    output::one(args.json, record)
}

async fn rewrap(args: ServiceRingArgs) -> Result<(), Failure> {
    let change = Change::start(&args.file).await?;
    let before = change.document(&args.file)?;
    let session = Session::open(&args.kms, &args.scope.scope).await?;
    let rewrapped = before.rewrap(&session.envelope).await;
    let document = rewrapped.map_err(|error| refused(&args.file.name(), error))?;
    change.write(&document).await?;
    let slots = |document: &RingDocument| -> Vec<_> {
        document.entries().iter().flat_map(|entry| entry.slots().to_vec()).collect()
    };
    let pairs = slots(&before).into_iter().zip(slots(&document));
    let changed: Vec<_> = pairs.filter(|(old, new)| old != new).collect();
    let versions = |of: fn(&(_, _)) -> Option<u32>| -> Vec<u32> {
        changed.iter().filter_map(of).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let mut record = summary(&document);
    record.push(("rewrapped", json!(changed.len())));
    record.push(("from_versions", json!(versions(|(old, _)| slot::version(old)))));
    record.push(("to_versions", json!(versions(|(_, new)| slot::version(new)))));
    output::one(args.json, record)
}

/// What a ring is, for people and programs.
fn summary(document: &RingDocument) -> Record {
    let slots = document.entries().iter().flat_map(|entry| entry.slots());
    let tags: BTreeSet<_> = slots.map(|slot| slot.key_id().id().to_owned()).collect();
    let numbers: Vec<_> = document.entries().iter().map(|entry| entry.number()).collect();
    vec![
        ("ring", json!(document.id().to_string())),
        ("keys", json!(numbers)),
        ("value_key", json!(document.value_key())),
        ("index_key", json!(document.index_key())),
        ("key_tags", Value::from_iter(tags)),
    ]
}
