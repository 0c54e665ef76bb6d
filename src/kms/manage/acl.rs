//! The IP addresses that a key's tokens are accepted from (API 2.0).

use crate::error::{Error, ErrorKind, Result};
use crate::kms::key::cipher::Key;
use crate::kms::wire::fields::Answer;
use reqwest::Method;
use serde_json::json;
use std::net::Ipv4Addr;

/// The IP ACL of one key, from [`Key::acl`]. It applies to calls with tokens of the key, also to
/// tokens that were issued earlier. Changes take effect at once.
///
/// Calls need account credentials and API 2.0, and fail as those of
/// [`KeyAdmin`](crate::kms::KeyAdmin) do. No change is retried once the service may have seen it.
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
/// use std::net::Ipv4Addr;
/// let acl = key.acl();
/// acl.add(&[Ipv4Addr::new(203, 0, 113, 7)]).await?;
/// assert_eq!(acl.enable().await?.enabled, Some(true));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyAcl {
    key: Key,
}

/// What the service reports about an IP ACL. What a call does not report is `None`.
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
/// let acl = key.acl().list().await?;
/// assert_eq!((acl.enabled, acl.allowed), (Some(false), Some(Vec::new())));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acl {
    /// Whether it is enabled: all other addresses are then refused.
    pub enabled: Option<bool>,
    /// The addresses as the service writes them.
    pub allowed: Option<Vec<String>>,
}

impl Key {
    /// The IP ACL of this key's tokens.
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
    /// assert_eq!(key.acl().list().await?.enabled, Some(false));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn acl(&self) -> KeyAcl {
        KeyAcl { key: self.clone() }
    }
}

impl KeyAcl {
    /// Whether it is enabled, and its addresses.
    ///
    /// # Errors
    /// As [`KeyAcl`] says.
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
    /// let acl = key.acl().list().await?;
    /// assert_eq!(acl.allowed, Some(Vec::new()));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn list(&self) -> Result<Acl> {
        let names = &["isAclEnabled", "allowedIpList"];
        self.key.read("ip acl", "acl", names, |answer| Ok(Acl::read(answer))).await
    }

    /// Enables it. **With no address in it, every call with a token is refused.**
    ///
    /// # Errors
    /// As [`KeyAcl`] says.
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
    /// assert_eq!(key.acl().enable().await?.enabled, Some(true));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn enable(&self) -> Result<Acl> {
        self.key
            .change("enable ip acl", Method::POST, "acl/enable", None)
            .await
            .map(|answer| Acl::read(&answer))
    }

    /// Disables it: tokens are accepted from everywhere.
    ///
    /// # Errors
    /// As [`KeyAcl`] says.
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
    /// key.acl().enable().await?;
    /// assert_eq!(key.acl().disable().await?.enabled, Some(false));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn disable(&self) -> Result<Acl> {
        self.key
            .change("disable ip acl", Method::POST, "acl/disable", None)
            .await
            .map(|answer| Acl::read(&answer))
    }

    /// Adds addresses. The service supports single IPv4 addresses only.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call if there are none; otherwise as [`KeyAcl`] says.
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
    /// let acl = key.acl().add(&["203.0.113.7".parse().unwrap()]).await?;
    /// assert_eq!(acl.allowed, Some(vec!["203.0.113.7".to_owned()]));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn add(&self, addresses: &[Ipv4Addr]) -> Result<Acl> {
        self.edit("add to ip acl", Method::POST, addresses).await
    }

    /// Removes addresses.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
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
    /// let address = "203.0.113.7".parse().unwrap();
    /// key.acl().add(&[address]).await?;
    /// assert_eq!(key.acl().remove(&[address]).await?.allowed, Some(Vec::new()));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn remove(&self, addresses: &[Ipv4Addr]) -> Result<Acl> {
        self.edit("remove from ip acl", Method::DELETE, addresses).await
    }

    async fn edit(
        &self,
        operation: &'static str,
        method: Method,
        addresses: &[Ipv4Addr],
    ) -> Result<Acl> {
        if addresses.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{operation}: there is no address"),
            ));
        }
        let list: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        self.key
            .change(operation, method, "acl", Some(json!({ "ipList": list })))
            .await
            .map(|answer| Acl::read(&answer))
    }
}

impl Acl {
    fn read(answer: &Answer) -> Self {
        let fields = answer.fields();
        Self { enabled: fields.truth("isAclEnabled"), allowed: fields.texts("allowedIpList") }
    }
}
