//! `ncp-envelope keys`: the account's keys.

use crate::command::keys_args::{
    AclCommand, ActivitiesArgs, AddressArgs, AutoRotationCommand, CreateArgs, KeysArgs,
    KeysCommand, PeriodArgs, ProtectionArg, TypeArg, VersionArgs, VersionAsking, VersionsCommand,
};
use crate::options::{Asking, Common};
use crate::session::{Connection, Purpose};
use crate::status::Failure;
use crate::{output, records};
use ncp_envelope::kms::{ActivityQuery, CreateKey, Key, KeyType, Protection, Timestamp};

pub(crate) async fn run(args: KeysArgs) -> Result<(), Failure> {
    match args.command {
        KeysCommand::List(common) => list(&common).await,
        KeysCommand::Create(args) => create(args).await,
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
        KeysCommand::AutoRotation(command) => auto_rotation(command).await,
        KeysCommand::Versions(command) => versions(command).await,
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
                .open("delete key", " and lose for good all that is encrypted under it")
                .await?;
            opened.1.admin().delete().await.map_err(Failure::writing)?;
            output::one(args.common.json, vec![("status", "DELETED".into())])
        }
        KeysCommand::Acl(command) => acl(command).await,
        KeysCommand::Activities(args) => activities(args).await,
        KeysCommand::LastUse(common) => {
            let used =
                open(&common).await?.key()?.admin().last_use().await.map_err(Failure::writing)?;
            output::one(common.json, used.map(records::activity).unwrap_or_default())
        }
    }
}

async fn open(common: &Common) -> Result<Connection, Failure> {
    Connection::open(&common.kms, Purpose::Account).await
}

/// A client for all keys, which the tag of one has no meaning for.
async fn open_all(common: &Common) -> Result<Connection, Failure> {
    if common.kms.key.is_some() {
        return Err(Failure::usage("--key has no meaning here"));
    }
    open(common).await
}

impl Asking {
    /// The key, after asking whether to do this to it. The connection has to stay alive meanwhile.
    async fn open(&self, verb: &str, rest: &str) -> Result<(Connection, Key), Failure> {
        let connection = open(&self.common).await?;
        let key = connection.key()?;
        self.confirm.ask(&format!("{verb} {}{rest}", key.id())).await?;
        Ok((connection, key))
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

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let key_type = match args.key_type {
        TypeArg::Aes256 => KeyType::Aes256,
        TypeArg::Rsa2048 => KeyType::Rsa2048,
        TypeArg::Ecdsa => KeyType::Ecdsa,
    };
    let mut key = CreateKey::new(args.name, key_type).convergent(args.convergent);
    if let Some(memo) = args.memo {
        key = key.memo(memo);
    }
    if let Some(period) = args.auto_rotation {
        key = key.auto_rotation(period);
    }
    if let Some(protection) = args.protection {
        key = key.protection(match protection {
            ProtectionArg::Basic => Protection::Basic,
            ProtectionArg::CommonHsm => Protection::CommonHsm,
        });
    }
    let connection = open_all(&args.common).await?;
    let info = connection.client.keys().create(&key).await.map_err(Failure::writing)?;
    output::one(args.common.json, records::key(info))
}

async fn auto_rotation(command: AutoRotationCommand) -> Result<(), Failure> {
    let (AutoRotationCommand::On(common)
    | AutoRotationCommand::Off(common)
    | AutoRotationCommand::Period(PeriodArgs { common, .. })) = &command;
    let connection = open(common).await?;
    let admin = connection.key()?.admin();
    let auto = match &command {
        AutoRotationCommand::On(_) => admin.enable_auto_rotation().await,
        AutoRotationCommand::Off(_) => admin.disable_auto_rotation().await,
        AutoRotationCommand::Period(args) => admin.set_rotation_period(args.days).await,
    };
    output::one(common.json, records::auto_rotation(auto.map_err(Failure::writing)?))
}

async fn versions(command: VersionsCommand) -> Result<(), Failure> {
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

async fn acl(command: AclCommand) -> Result<(), Failure> {
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

async fn activities(args: ActivitiesArgs) -> Result<(), Failure> {
    let mut query = ActivityQuery::new();
    if let Some(keyword) = args.keyword {
        query = query.keyword(keyword);
    }
    if let Some(from) = args.from {
        query = query.from(Timestamp::from_millis(from));
    }
    if let Some(to) = args.to {
        query = query.to(Timestamp::from_millis(to));
    }
    let connection = open(&args.common).await?;
    let mut pages = connection.key()?.admin().activities(&query);
    let mut all = Vec::new();
    while all.len() < args.limit
        && let Some(page) = pages.next().await.map_err(Failure::writing)?
    {
        all.extend(page.items.into_iter().take(args.limit - all.len()).map(records::activity));
    }
    output::list(args.common.json, &records::ACTIVITY_COLUMNS, all)
}
