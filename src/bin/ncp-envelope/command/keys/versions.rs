//! `ncp-envelope keys versions`.

use crate::command::keys::open::open;
use crate::confirm::Confirm;
use crate::options::Common;
use crate::status::Failure;
use crate::{output, records};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum VersionsCommand {
    /// List all versions.
    List(Common),
    /// Make a version usable.
    Enable(VersionArgs),
    /// Make a version unusable: what it encrypted cannot be decrypted.
    Disable(VersionAsking),
}

#[derive(Args)]
pub(crate) struct VersionArgs {
    /// Number of the version, from 1.
    version: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct VersionAsking {
    /// Number of the version, from 1.
    version: u32,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(command: VersionsCommand) -> Result<(), Failure> {
    let (VersionsCommand::List(common)
    | VersionsCommand::Enable(VersionArgs { common, .. })
    | VersionsCommand::Disable(VersionAsking { common, .. })) = &command;
    let connection = open(common).await?;
    let key = connection.key()?;
    let change = match &command {
        VersionsCommand::List(_) => {
            let versions = key.admin().versions().await.map_err(Failure::writing)?;
            let versions = versions.versions.into_iter().map(records::version).collect();
            return output::list(common.json, &records::VERSION_COLUMNS, versions);
        }
        VersionsCommand::Enable(args) => key.admin().enable_version(args.version).await,
        VersionsCommand::Disable(args) => {
            args.confirm
                .ask(&format!("disable version {} of key {}", args.version, key.id()))
                .await?;
            key.admin().disable_version(args.version).await
        }
    };
    output::one(common.json, records::status(change.map_err(Failure::writing)?))
}
