//! `ncp-envelope keys`: the account's keys.

mod acl;
mod activities;
mod auto_rotation;
mod create;
mod open;
mod versions;

use crate::options::{Asking, Common};
use crate::status::Failure;
use crate::{output, records};
use acl::AclCommand;
use activities::ActivitiesArgs;
use auto_rotation::AutoRotationCommand;
use clap::{Args, Subcommand};
use create::CreateArgs;
use open::{open, open_all};
use versions::VersionsCommand;

#[derive(Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List all keys of the account.
    List(Common),
    /// Create a key.
    Create(CreateArgs),
    /// Show the service's information about a key.
    Info(Common),
    /// Add a version, which encrypts and signs from now on.
    Rotate(Common),
    /// Make a key usable.
    Enable(Common),
    /// Make a key unusable until it is enabled.
    Disable(Asking),
    /// Give a key another name; its tag stays.
    Rename(RenameArgs),
    /// Replace the description of a key.
    Memo(MemoArgs),
    /// Turn automatic rotation on or off, or set its period.
    #[command(subcommand)]
    AutoRotation(AutoRotationCommand),
    /// List, enable or disable a key's versions.
    #[command(subcommand)]
    Versions(VersionsCommand),
    /// Request the deletion of a key, which happens after 72 hours.
    RequestDeletion(Asking),
    /// Cancel the deletion of a key; it is disabled afterwards.
    CancelDeletion(Common),
    /// Delete a key whose deletion was requested, at once and permanently.
    Delete(Asking),
    /// Show or change the addresses from which a key's tokens are accepted.
    #[command(subcommand)]
    Acl(AclCommand),
    /// Show what was done with a key.
    Activities(ActivitiesArgs),
    /// Show when a key was used last.
    LastUse(Common),
}

#[derive(Args)]
pub(crate) struct RenameArgs {
    /// 3 to 15 letters, digits, "-" and "_", the first of them a letter.
    name: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct MemoArgs {
    /// Up to 100 characters.
    text: String,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(args: KeysArgs) -> Result<(), Failure> {
    match args.command {
        KeysCommand::List(common) => list(&common).await,
        KeysCommand::Create(args) => create::run(args).await,
        KeysCommand::Info(common) => {
            let info =
                open(&common).await?.key()?.admin().info().await.map_err(Failure::writing)?;
            output::one(common.json, records::key(info))
        }
        KeysCommand::Rotate(common) => {
            let rotation =
                open(&common).await?.key()?.admin().rotate().await.map_err(Failure::writing)?;
            output::one(common.json, records::rotation(rotation))
        }
        KeysCommand::Enable(common) => {
            let change =
                open(&common).await?.key()?.admin().enable().await.map_err(Failure::writing)?;
            output::one(common.json, records::status(change))
        }
        KeysCommand::Disable(args) => {
            let opened = args.open("disable key", "").await?;
            let change = opened.1.admin().disable().await.map_err(Failure::writing)?;
            output::one(args.common.json, records::status(change))
        }
        KeysCommand::Rename(args) => {
            open(&args.common)
                .await?
                .key()?
                .admin()
                .rename(&args.name)
                .await
                .map_err(Failure::writing)?;
            output::one(args.common.json, vec![("name", args.name.into())])
        }
        KeysCommand::Memo(args) => {
            open(&args.common)
                .await?
                .key()?
                .admin()
                .set_memo(&args.text)
                .await
                .map_err(Failure::writing)?;
            output::one(args.common.json, vec![("memo", args.text.into())])
        }
        KeysCommand::AutoRotation(command) => auto_rotation::run(command).await,
        KeysCommand::Versions(command) => versions::run(command).await,
        KeysCommand::RequestDeletion(args) => {
            let opened = args.open("have key", " deleted in 72 hours").await?;
            let change = opened.1.admin().request_deletion().await.map_err(Failure::writing)?;
            output::one(args.common.json, records::status(change))
        }
        KeysCommand::CancelDeletion(common) => {
            let change = open(&common)
                .await?
                .key()?
                .admin()
                .cancel_deletion()
                .await
                .map_err(Failure::writing)?;
            output::one(common.json, records::status(change))
        }
        KeysCommand::Delete(args) => {
            let opened = args
                .open("delete key", " and lose everything encrypted under it permanently")
                .await?;
            opened.1.admin().delete().await.map_err(Failure::writing)?;
            output::one(args.common.json, vec![("status", "DELETED".into())])
        }
        KeysCommand::Acl(command) => acl::run(command).await,
        KeysCommand::Activities(args) => activities::run(args).await,
        KeysCommand::LastUse(common) => {
            let used =
                open(&common).await?.key()?.admin().last_use().await.map_err(Failure::writing)?;
            output::one(common.json, used.map(records::activity).unwrap_or_default())
        }
    }
}

async fn list(common: &Common) -> Result<(), Failure> {
    let connection = open_all(common).await?;
    let mut pages = connection.client.keys().pages();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await.map_err(Failure::writing)? {
        all.extend(page.items.into_iter().map(records::key));
    }
    output::list(common.json, &records::KEY_COLUMNS, all)
}
