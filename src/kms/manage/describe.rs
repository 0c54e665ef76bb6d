//! What the service reports about keys and their versions.

use crate::error::Result;
use crate::kms::time::Timestamp;
use crate::kms::vocabulary::{KeyStatus, KeyType, Protection, VersionStatus};
use crate::kms::wire::contract::contract;
use crate::kms::wire::fields::{Answer, Fields};

/// What the service reports about a key. What a call does not report, or reports in an unknown
/// form, is `None`.
///
/// Lists report the least, [`KeyAdmin::info`](crate::kms::KeyAdmin::info) the most.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # let key = client.key(emulator.key_tag())?;
/// # wait(async {
/// let info = key.admin().info().await?;
/// assert_eq!((info.tag.as_str(), info.current_version), (emulator.key_tag(), Some(1)));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The key tag, by which calls name the key.
    pub tag: String,
    /// The service's number of the key.
    pub id: Option<u64>,
    /// The name that people gave it.
    pub name: Option<String>,
    /// The resource name by which permissions are given.
    pub nrn: Option<String>,
    /// Where the service wants calls with this key to go. **No call follows it**: anyone who can
    /// change a response would otherwise receive every secret after it. Parsed, it is an
    /// [`Endpoint`](crate::kms::Endpoint).
    pub base_url: Option<String>,
    /// What it can do.
    pub key_type: Option<KeyType>,
    /// What state it is in.
    pub status: Option<KeyStatus>,
    /// The service's number of the key store.
    pub keystore_id: Option<u64>,
    /// The version that encrypts and signs.
    pub current_version: Option<u32>,
    /// How it is stored.
    pub protection: Option<Protection>,
    /// What people wrote about it.
    pub memo: Option<String>,
    /// Whether it is convergent, so that its cipher calls need a context.
    pub convergent: Option<bool>,
    /// Whether it is rotated automatically.
    pub auto_rotation: Option<bool>,
    /// Days between automatic rotations.
    pub rotation_period_days: Option<u32>,
    /// When it is rotated automatically next.
    pub next_rotation: Option<Timestamp>,
    /// When it was created.
    pub registered: Option<Timestamp>,
    /// When it is, or was, to be deleted.
    pub destroyed: Option<Timestamp>,
}

impl KeyInfo {
    pub(crate) fn read(fields: Fields<'_>) -> Result<Self> {
        let tag = fields.text("keyTag").filter(|tag| !tag.is_empty());
        Ok(Self {
            tag: tag.ok_or_else(|| contract("its answer has a key without a tag"))?,
            id: fields.int("keyId"),
            name: fields.text("keyName"),
            nrn: fields.text("nrn"),
            base_url: fields.text("baseUrl"),
            key_type: fields.word("keyType"),
            status: fields.word("status"),
            keystore_id: fields.int("keystoreId"),
            current_version: fields.int("currentVersion"),
            protection: fields.word("protectionType"),
            memo: fields.text("memo"),
            convergent: fields.truth("isConvergent"),
            auto_rotation: fields.truth("isAutoRotation"),
            rotation_period_days: fields.int("rotationPeriod"),
            next_rotation: fields.time("nextRotationDate"),
            registered: fields.time("registerDate"),
            destroyed: fields.time("destroyDate"),
        })
    }
}

/// The versions of a key.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # let key = client.key(emulator.key_tag())?;
/// # wait(async {
/// let versions = key.admin().versions().await?;
/// assert_eq!(versions.current, Some(1));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyVersions {
    /// The version that encrypts and signs, if the service reports it.
    pub current: Option<u32>,
    /// All versions, in the service's order.
    pub versions: Vec<KeyVersion>,
}

/// A version of a key. What the service does not report is `None`.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # let key = client.key(emulator.key_tag())?;
/// # wait(async {
/// use ncp_envelope::kms::VersionStatus;
/// let versions = key.admin().versions().await?.versions;
/// assert_eq!((versions[0].version, &versions[0].status), (1, &Some(VersionStatus::Enabled)));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyVersion {
    /// Its number, from 1.
    pub version: u32,
    /// What state it is in.
    pub status: Option<VersionStatus>,
    /// Since when it is in that state.
    pub status_changed: Option<Timestamp>,
    /// When rotating the key made it.
    pub rotated: Option<Timestamp>,
}

impl KeyVersions {
    pub(crate) fn read(answer: &Answer) -> Result<Self> {
        let fields = answer.fields();
        let list = fields
            .objects("versionList")
            .ok_or_else(|| contract("its answer has no list of versions"))??;
        let version = |entry| {
            let entry = Fields::of(entry);
            Ok(KeyVersion {
                version: entry
                    .int("version")
                    .ok_or_else(|| contract("its answer has a version without a number"))?,
                status: entry.word("status"),
                status_changed: entry.time("statusDate"),
                rotated: entry.time("rotatedDate"),
            })
        };
        Ok(Self {
            current: fields.int("currentVersion"),
            versions: list.into_iter().map(version).collect::<Result<_>>()?,
        })
    }
}
