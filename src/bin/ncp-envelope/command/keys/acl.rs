//! `ncp-envelope keys acl`.

use crate::command::keys::open::open;
use crate::options::{Asking, Common};
use crate::status::Failure;
use crate::{output, records};
use clap::{Args, Subcommand};
use std::net::Ipv4Addr;

#[derive(Subcommand)]
pub(crate) enum AclCommand {
    /// Show whether the list is enabled, and its addresses.
    List(Common),
    /// Refuse tokens from all addresses that are not in the list.
    Enable(Asking),
    /// Accept tokens from everywhere.
    Disable(Common),
    /// Add addresses.
    Add(AddressArgs),
    /// Remove addresses.
    Remove(AddressArgs),
}

#[derive(Args)]
pub(crate) struct AddressArgs {
    /// IPv4 addresses.
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<Ipv4Addr>,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(command: AclCommand) -> Result<(), Failure> {
    let (AclCommand::List(common)
    | AclCommand::Enable(Asking { common, .. })
    | AclCommand::Disable(common)
    | AclCommand::Add(AddressArgs { common, .. })
    | AclCommand::Remove(AddressArgs { common, .. })) = &command;
    let connection = open(common).await?;
    let key = connection.key()?;
    let acl = match &command {
        AclCommand::List(_) => key.acl().list().await,
        AclCommand::Enable(args) => {
            args.confirm
                .ask(&format!(
                    "refuse tokens of key {} from all addresses that are not in its list",
                    key.id()
                ))
                .await?;
            key.acl().enable().await
        }
        AclCommand::Disable(_) => key.acl().disable().await,
        AclCommand::Add(args) => key.acl().add(&args.addresses).await,
        AclCommand::Remove(args) => key.acl().remove(&args.addresses).await,
    };
    output::one(common.json, records::acl(acl.map_err(Failure::writing)?))
}
