//! Managing one key (API 2.0).
//!
//! Promises: a change is retried only if the service saw nothing of it, and is a success if the
//! response says so or is empty, whatever else it holds; reads are retried as cipher calls are.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::call::request::Call;
use crate::kms::call::request::CallOptions;
use crate::kms::key::cipher::Key;
use crate::kms::manage::describe::{KeyInfo, KeyVersions};
use crate::kms::manage::keys::{check_name, check_rotation_period};
use crate::kms::time::Timestamp;
use crate::kms::vocabulary::KeyStatus;
use crate::kms::wire::fields::Answer;
use crate::kms::wire::request;
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};

/// The management calls of one key, from [`Key::admin`].
///
/// A client of API 1.0 has none of them, which is [`ErrorKind::InvalidInput`]; a client that only
/// has a token gets [`ErrorKind::Credentials`]. Neither makes a call. Otherwise calls fail as the
/// [module's table](crate::kms#errors-of-calls) says: what the state of a key does not permit is
/// [`ErrorKind::KeyUnusable`].
///
/// No change is retried once the service may have seen it. After [`ErrorKind::Unavailable`],
/// [`info`](Self::info) shows what happened.
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
/// let rotation = key.admin().rotate().await?;
/// assert_eq!(rotation.version, Some(2));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyAdmin {
    pub(crate) key: Key,
}

/// The new state of a key or of a version. What the service does not report is `None`.
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
/// use ncp_envelope::kms::KeyStatus;
/// let change = key.admin().disable().await?;
/// assert_eq!((change.status, change.changed.is_some()), (Some(KeyStatus::Disabled), true));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusChange {
    /// The state.
    pub status: Option<KeyStatus>,
    /// Since when.
    pub changed: Option<Timestamp>,
}

/// A rotation that took place. What the service does not report is `None`.
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
/// let rotation = key.admin().rotate().await?;
/// assert_eq!((rotation.version, rotation.rotated.is_some()), (Some(2), true));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The new version, which encrypts and signs from now on.
    pub version: Option<u32>,
    /// When.
    pub rotated: Option<Timestamp>,
}

/// How a key is rotated automatically. What the service does not report is `None`.
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
/// let auto = key.admin().enable_auto_rotation().await?;
/// assert_eq!((auto.enabled, auto.period_days), (Some(true), Some(90)));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoRotation {
    /// Whether it is.
    pub enabled: Option<bool>,
    /// Days between rotations.
    pub period_days: Option<u32>,
    /// When next.
    pub next: Option<Timestamp>,
}

impl Key {
    /// The management calls of this key.
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
    /// assert_eq!(key.admin().info().await?.tag, emulator.key_tag());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn admin(&self) -> KeyAdmin {
        KeyAdmin { key: self.clone() }
    }
}

impl KeyAdmin {
    /// What the service reports about the key.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// use ncp_envelope::kms::{KeyStatus, KeyType};
    /// let info = key.admin().info().await?;
    /// assert_eq!((info.key_type, info.status), (Some(KeyType::Aes256), Some(KeyStatus::Enabled)));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn info(&self) -> Result<KeyInfo> {
        let read = |answer: &Answer| KeyInfo::read(answer.fields());
        self.key.read("key info", "", &["keyTag"], read).await
    }

    /// Enables the key, with each version in the state that it had before. Not while deletion is
    /// pending.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().disable().await?;
    /// key.admin().enable().await?;
    /// assert!(key.encrypt(b"hello").await.is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn enable(&self) -> Result<StatusChange> {
        self.key
            .change("enable key", Method::POST, "enable", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Disables the key with all its versions until it is enabled.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().disable().await?;
    /// let error = key.encrypt(b"hello").await.unwrap_err();
    /// assert_eq!(error.kind(), ncp_envelope::ErrorKind::KeyUnusable);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn disable(&self) -> Result<StatusChange> {
        self.key
            .change("disable key", Method::POST, "disable", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Renames the key: 3 to 15 letters, digits, `-` and `_`, the first of them a letter. The tag
    /// stays.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for other names; otherwise as [`KeyAdmin`] says.
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
    /// key.admin().rename("invoices").await?;
    /// assert_eq!(key.admin().info().await?.name.as_deref(), Some("invoices"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn rename(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.key
            .change("rename key", Method::PUT, "name", Some(json!({ "keyName": name })))
            .await
            .map(drop)
    }

    /// Sets the memo of the key, up to 100 characters.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().set_memo("of the shop").await?;
    /// assert_eq!(key.admin().info().await?.memo.as_deref(), Some("of the shop"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn set_memo(&self, memo: &str) -> Result<()> {
        self.key
            .change("set memo", Method::PUT, "memo", Some(json!({ "memo": memo })))
            .await
            .map(drop)
    }

    /// Adds a version, which encrypts and signs from now on. Older versions still decrypt and
    /// verify. The key must be enabled.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().rotate().await?;
    /// assert!(key.encrypt(b"hello").await?.starts_with("ncpkms:v2:"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn rotate(&self) -> Result<Rotation> {
        let answer = self.key.change("rotate key", Method::POST, "rotate", None).await?;
        Ok(Rotation {
            version: answer.fields().int("version"),
            rotated: answer.fields().time("rotatedDate"),
        })
    }

    /// Enables automatic rotation.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// let auto = key.admin().enable_auto_rotation().await?;
    /// assert!(auto.next.is_some());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn enable_auto_rotation(&self) -> Result<AutoRotation> {
        let answer = self
            .key
            .change("enable auto rotation", Method::POST, "enable-auto-rotation", None)
            .await?;
        Ok(AutoRotation::read(&answer))
    }

    /// Disables automatic rotation.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().enable_auto_rotation().await?;
    /// assert_eq!(key.admin().disable_auto_rotation().await?.enabled, Some(false));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn disable_auto_rotation(&self) -> Result<AutoRotation> {
        let answer = self
            .key
            .change("disable auto rotation", Method::POST, "disable-auto-rotation", None)
            .await?;
        Ok(AutoRotation::read(&answer))
    }

    /// Sets the period of automatic rotation in days, 1 to 730. Automatic rotation must be enabled.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for other numbers; otherwise as [`KeyAdmin`]
    /// says.
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
    /// key.admin().enable_auto_rotation().await?;
    /// assert_eq!(key.admin().set_rotation_period(30).await?.period_days, Some(30));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn set_rotation_period(&self, days: u16) -> Result<AutoRotation> {
        check_rotation_period(days)?;
        let body = json!({ "rotationPeriod": days });
        let answer = self
            .key
            .change("set rotation period", Method::PUT, "rotation-period", Some(body))
            .await?;
        Ok(AutoRotation::read(&answer))
    }

    /// The key's versions.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().rotate().await?;
    /// let versions = key.admin().versions().await?;
    /// assert_eq!((versions.current, versions.versions.len()), (Some(2), 2));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn versions(&self) -> Result<KeyVersions> {
        self.key.read("key versions", "versions", &["versionList"], KeyVersions::read).await
    }

    /// Enables a version. Not while the key is disabled.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for version 0; otherwise as [`KeyAdmin`] says.
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
    /// use ncp_envelope::kms::KeyStatus;
    /// key.admin().rotate().await?;
    /// key.admin().disable_version(1).await?;
    /// assert_eq!(key.admin().enable_version(1).await?.status, Some(KeyStatus::Enabled));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn enable_version(&self, version: u32) -> Result<StatusChange> {
        self.change_version("enable version", version, "enable").await
    }

    /// Disables a version: what it encrypted cannot be decrypted until it is enabled. Not the
    /// newest version, and not while the key is disabled.
    ///
    /// # Errors
    /// As for [`enable_version`](Self::enable_version).
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
    /// let old = key.encrypt(b"hello").await?;
    /// key.admin().rotate().await?;
    /// key.admin().disable_version(1).await?;
    /// assert!(key.decrypt(&old).await.is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn disable_version(&self, version: u32) -> Result<StatusChange> {
        self.change_version("disable version", version, "disable").await
    }

    /// Requests deletion of the key, which takes place after 72 hours. Until then it is unusable,
    /// and [`cancel_deletion`](Self::cancel_deletion) is possible.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// use ncp_envelope::kms::KeyStatus;
    /// let change = key.admin().request_deletion().await?;
    /// assert_eq!(change.status, Some(KeyStatus::PendingDeletion));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn request_deletion(&self) -> Result<StatusChange> {
        self.key
            .change("request deletion", Method::POST, "request-deletion", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Cancels a requested deletion. The key is disabled afterwards.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// use ncp_envelope::kms::KeyStatus;
    /// key.admin().request_deletion().await?;
    /// assert_eq!(key.admin().cancel_deletion().await?.status, Some(KeyStatus::Disabled));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn cancel_deletion(&self) -> Result<StatusChange> {
        self.key
            .change("cancel deletion", Method::POST, "cancel-deletion", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Deletes a key at once whose deletion was requested. **What is encrypted under it is lost for
    /// good.**
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
    /// key.admin().request_deletion().await?;
    /// key.admin().delete().await?;
    /// assert!(key.admin().info().await.is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn delete(&self) -> Result<()> {
        self.key.change("delete key", Method::DELETE, "", None).await.map(drop)
    }

    async fn change_version(
        &self,
        operation: &'static str,
        version: u32,
        action: &str,
    ) -> Result<StatusChange> {
        if version == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{operation}: versions of a key count from 1"),
            ));
        }
        let action = format!("versions/{version}/{action}");
        self.key
            .change(operation, Method::POST, &action, None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }
}

impl StatusChange {
    fn read(answer: &Answer) -> Self {
        Self { status: answer.fields().word("status"), changed: answer.fields().time("statusDate") }
    }
}

impl AutoRotation {
    fn read(answer: &Answer) -> Self {
        let fields = answer.fields();
        Self {
            enabled: fields.truth("isAutoRotation"),
            period_days: fields.int("rotationPeriod"),
            next: fields.time("nextRotationDate"),
        }
    }
}

impl Key {
    /// Reads something about this key, at `action`, which may end in a query: one of `names`.
    pub(crate) async fn read<T>(
        &self,
        operation: &'static str,
        action: &str,
        names: &'static [&'static str],
        read: impl FnOnce(&Answer) -> Result<T>,
    ) -> Result<T> {
        let call = self.managing(operation, CallOptions::read(names), action, Bytes::new())?;
        let answer = self.client.send(&call).await?;
        Answer::read(&answer).and_then(|answer| read(&answer)).map_err(|error| call.failed(&error))
    }

    /// Changes something about this key, at `action`.
    pub(crate) async fn change(
        &self,
        operation: &'static str,
        method: Method,
        action: &str,
        body: Option<Value>,
    ) -> Result<Answer> {
        let body = body.as_ref().map_or_else(|| request::empty(&method), request::json);
        let call = self.managing(operation, CallOptions::change(method), action, body)?;
        let answer = self.client.send(&call).await?;
        Answer::of_change(&answer).map_err(|error| call.failed(&error))
    }

    fn managing(
        &self,
        operation: &'static str,
        options: CallOptions,
        action: &str,
        body: Bytes,
    ) -> Result<Call<'_>> {
        self.client.needs_account(operation)?;
        let path = self.client.path(self.id.id(), action);
        // The key itself has no slash after its tag.
        let path = if action.is_empty() { path.trim_end_matches('/').to_owned() } else { path };
        Ok(Call {
            operation,
            tag: self.id.id().into(),
            action: "".into(),
            body,
            options: options.at(path).by_account(),
        })
    }
}
