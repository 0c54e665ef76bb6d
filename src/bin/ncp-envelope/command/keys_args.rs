//! What can be said to `ncp-envelope keys`.

use crate::confirm::Confirm;
use crate::options::{Asking, Common, ENVIRONMENT};
use clap::{Args, Subcommand, ValueEnum};
use std::net::Ipv4Addr;

#[derive(Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// List all keys of the account.
    List(Common),
    /// Create a key.
    Create(CreateArgs),
    /// Show what the service tells about a key.
    Info(Common),
    /// Add a version, which encrypts and signs from now on.
    Rotate(Common),
    /// Make a key usable.
    Enable(Common),
    /// Make a key unusable until it is enabled.
    Disable(Asking),
    /// Give a key another name; its tag stays.
    Rename(RenameArgs),
    /// Replace the text about a key.
    Memo(MemoArgs),
    /// Rotate a key automatically, or not.
    #[command(subcommand)]
    AutoRotation(AutoRotationCommand),
    /// List, enable or disable a key's versions.
    #[command(subcommand)]
    Versions(VersionsCommand),
    /// Have a key deleted in 72 hours.
    RequestDeletion(Asking),
    /// Keep a key whose deletion was requested; it is disabled afterwards.
    CancelDeletion(Common),
    /// Delete a key whose deletion was requested, at once and for good.
    Delete(Asking),
    /// Say which addresses a key's tokens are accepted from.
    #[command(subcommand)]
    Acl(AclCommand),
    /// Show what was done with a key.
    Activities(ActivitiesArgs),
    /// Show when a key was used last.
    LastUse(Common),
}

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// 3 to 15 letters, digits, "-" and "_", the first of them a letter.
    pub(crate) name: String,
    /// What the key can do.
    #[arg(long = "type", value_enum, default_value_t = TypeArg::Aes256)]
    pub(crate) key_type: TypeArg,
    /// A text about the key.
    #[arg(long)]
    pub(crate) memo: Option<String>,
    /// The same plaintext in the same context gives the same ciphertext; AES256 only.
    #[arg(long)]
    pub(crate) convergent: bool,
    /// Rotate the key automatically, after DAYS or else 90.
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true)]
    pub(crate) auto_rotation: Option<Option<u16>>,
    /// How the key is stored.
    #[arg(long, value_enum)]
    pub(crate) protection: Option<ProtectionArg>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TypeArg {
    #[value(name = "AES256")]
    Aes256,
    #[value(name = "RSA2048")]
    Rsa2048,
    #[value(name = "ECDSA")]
    Ecdsa,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ProtectionArg {
    #[value(name = "BASIC")]
    Basic,
    #[value(name = "COMMON_HSM")]
    CommonHsm,
}

#[derive(Args)]
pub(crate) struct RenameArgs {
    /// 3 to 15 letters, digits, "-" and "_", the first of them a letter.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct MemoArgs {
    /// Up to 100 characters.
    pub(crate) text: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Subcommand)]
pub(crate) enum AutoRotationCommand {
    /// Rotate automatically from now on.
    On(Common),
    /// Do not rotate automatically.
    Off(Common),
    /// Set the days between rotations; automatic rotation has to be on.
    Period(PeriodArgs),
}

#[derive(Args)]
pub(crate) struct PeriodArgs {
    /// 1 to 730.
    pub(crate) days: u16,
    #[command(flatten)]
    pub(crate) common: Common,
}

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
    pub(crate) version: u32,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct VersionAsking {
    /// Number of the version, from 1.
    pub(crate) version: u32,
    #[command(flatten)]
    pub(crate) confirm: Confirm,
    #[command(flatten)]
    pub(crate) common: Common,
}

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
    pub(crate) addresses: Vec<Ipv4Addr>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct ActivitiesArgs {
    /// Only entries with this text.
    #[arg(long)]
    pub(crate) keyword: Option<String>,
    /// Only entries of this time or later, in milliseconds since 1970 [default: a day ago].
    #[arg(long, value_name = "MILLIS")]
    pub(crate) from: Option<u64>,
    /// Only entries of this time or earlier, in milliseconds since 1970 [default: now].
    #[arg(long, value_name = "MILLIS")]
    pub(crate) to: Option<u64>,
    /// Show at most so many.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) common: Common,
}
