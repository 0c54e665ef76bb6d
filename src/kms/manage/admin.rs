//! Managing one key (API 2.0).
//!
//! Promises: a change is sent again only if the service saw nothing of it, and is a success if the
//! answer says so or is empty, whatever else it tells; reads are repeated as cipher calls are.

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
/// A client of API 1.0 has none of them, which is [`ErrorKind::InvalidInput`]; a client with a
/// token gets [`ErrorKind::Credentials`]. Neither makes a call. Otherwise calls fail as the
/// [module's table](crate::kms#errors-of-calls) says: what a key's state does not permit is
/// [`ErrorKind::KeyUnusable`].
///
/// No change is repeated once the service may have seen it. After [`ErrorKind::Unavailable`],
/// [`info`](Self::info) tells what happened.
///
/// ```no_run
/// # async fn example(key: ncp_envelope::kms::Key) -> ncp_envelope::Result<()> {
/// let rotation = key.admin().rotate().await?;
/// println!("version {:?} since {:?}", rotation.version, rotation.rotated);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KeyAdmin {
    pub(crate) key: Key,
}

/// A key's, or a version's, new state. What the service does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusChange {
    /// The state.
    pub status: Option<KeyStatus>,
    /// Since when.
    pub changed: Option<Timestamp>,
}

/// A rotation that took place. What the service does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The new version, which encrypts and signs from now on.
    pub version: Option<u32>,
    /// When.
    pub rotated: Option<Timestamp>,
}

/// How a key is rotated automatically. What the service does not tell is `None`.
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
    pub fn admin(&self) -> KeyAdmin {
        KeyAdmin { key: self.clone() }
    }
}

impl KeyAdmin {
    /// What the service tells about the key.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn info(&self) -> Result<KeyInfo> {
        let read = |answer: &Answer| KeyInfo::read(answer.fields());
        self.key.read("key info", "", &["keyTag"], read).await
    }

    /// Makes the key usable, with each version in the state that it had before. Not while deletion
    /// is pending.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn enable(&self) -> Result<StatusChange> {
        self.key
            .change("enable key", Method::POST, "enable", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Makes the key with all its versions unusable until it is enabled.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn disable(&self) -> Result<StatusChange> {
        self.key
            .change("disable key", Method::POST, "disable", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Gives the key another name, of 3 to 15 letters, digits, `-` and `_`, the first of them a
    /// letter. Its tag stays.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for other names; otherwise as [`KeyAdmin`] says.
    pub async fn rename(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.key
            .change("rename key", Method::PUT, "name", Some(json!({ "keyName": name })))
            .await
            .map(drop)
    }

    /// Replaces the text about the key, of up to 100 characters.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn set_memo(&self, memo: &str) -> Result<()> {
        self.key
            .change("set memo", Method::PUT, "memo", Some(json!({ "memo": memo })))
            .await
            .map(drop)
    }

    /// Adds a version, which encrypts and signs from now on. Older ones still decrypt and verify.
    /// The key has to be enabled.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn rotate(&self) -> Result<Rotation> {
        let answer = self.key.change("rotate key", Method::POST, "rotate", None).await?;
        Ok(Rotation {
            version: answer.fields().int("version"),
            rotated: answer.fields().time("rotatedDate"),
        })
    }

    /// Rotates the key automatically from now on.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn enable_auto_rotation(&self) -> Result<AutoRotation> {
        let answer = self
            .key
            .change("enable auto rotation", Method::POST, "enable-auto-rotation", None)
            .await?;
        Ok(AutoRotation::read(&answer))
    }

    /// Ends automatic rotation.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn disable_auto_rotation(&self) -> Result<AutoRotation> {
        let answer = self
            .key
            .change("disable auto rotation", Method::POST, "disable-auto-rotation", None)
            .await?;
        Ok(AutoRotation::read(&answer))
    }

    /// Rotates the key automatically after this many days, 1 to 730. Automatic rotation has to be
    /// on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for other numbers; otherwise as [`KeyAdmin`]
    /// says.
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
    pub async fn versions(&self) -> Result<KeyVersions> {
        self.key.read("key versions", "versions", &["versionList"], KeyVersions::read).await
    }

    /// Makes a version usable. Not while the key is disabled.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for version 0; otherwise as [`KeyAdmin`] says.
    pub async fn enable_version(&self, version: u32) -> Result<StatusChange> {
        self.change_version("enable version", version, "enable").await
    }

    /// Makes a version unusable: what it encrypted cannot be decrypted until it is enabled. Not the
    /// newest, and not while the key is disabled.
    ///
    /// # Errors
    /// As for [`enable_version`](Self::enable_version).
    pub async fn disable_version(&self, version: u32) -> Result<StatusChange> {
        self.change_version("disable version", version, "disable").await
    }

    /// Has the key deleted in 72 hours. Until then it is unusable, and
    /// [`cancel_deletion`](Self::cancel_deletion) is possible.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn request_deletion(&self) -> Result<StatusChange> {
        self.key
            .change("request deletion", Method::POST, "request-deletion", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Keeps a key whose deletion was requested. It is disabled afterwards.
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
    pub async fn cancel_deletion(&self) -> Result<StatusChange> {
        self.key
            .change("cancel deletion", Method::POST, "cancel-deletion", None)
            .await
            .map(|answer| StatusChange::read(&answer))
    }

    /// Deletes a key whose deletion was requested, at once. **What is encrypted under it is lost
    /// for good.**
    ///
    /// # Errors
    /// As [`KeyAdmin`] says.
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
