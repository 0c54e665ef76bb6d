//! The keys of the role that a server of the cloud has.

use crate::error::{Error, Result};
use crate::kms::Credentials;
use crate::kms::auth::secret::bad;
use crate::kms::auth::source::CredentialSource;
use crate::kms::source::metadata::Metadata;
use crate::kms::time::Timestamp;
use crate::wrap::BoxFuture;
use serde::Deserialize;
use std::borrow::Cow;
use std::ffi::OsString;
use zeroize::{Zeroize, Zeroizing};

/// The address of the service on every server of the cloud: link-local, so that no router forwards
/// it.
const LINK_LOCAL: &str = "http://169.254.169.254";
/// The variable that names another address.
const VARIABLE: &str = "NCLOUD_METADATA_API_ENDPOINT";
/// Longest part of the service's own words that is shown, in characters.
const SHOWN: usize = 100;

/// Account keys of the Server Role, from the cloud's metadata service: version 2, or version 1 if
/// there is no other. They expire, and a client fetches new ones before that.
///
/// Off the cloud it fails within a second, each time. It uses only plain HTTP to that one address:
/// no proxy, no redirect.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// use ncp_envelope::emulator::{Emulator, Metadata};
/// use ncp_envelope::kms::{Client, Endpoint, ServerRole};
/// # use ncp_envelope::blocking::wait;
/// let emulator = Emulator::builder().metadata(Metadata::new()).start_blocking()?;
/// // In the cloud: ServerRole::from_env()
/// let role = ServerRole::at(&emulator.metadata_url().unwrap())?;
/// let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// let client = Client::builder().endpoint(endpoint).credential_source(role).build()?;
/// let key = client.key(emulator.key_tag())?;
/// assert!(wait(key.encrypt(b"hello"))?.is_ok());
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug)]
pub struct ServerRole(Metadata);

impl ServerRole {
    /// The role of this server, from the service at `http://169.254.169.254`, or at
    /// `NCLOUD_METADATA_API_ENDPOINT` if that is set.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if that is not the URL of a host, in plain
    /// HTTP.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, ServerRole};
    /// # if std::env::var_os("NCLOUD_METADATA_API_ENDPOINT").is_none() {
    /// let client = Client::builder().credential_source(ServerRole::from_env()?).build()?;
    /// // Nothing is fetched before the first call.
    /// assert_eq!(client.stats().attempts, 0);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// The service at `url`, for tests.
    ///
    /// # Errors
    /// As for [`from_env`](Self::from_env).
    ///
    /// ```
    /// use ncp_envelope::kms::ServerRole;
    /// assert!(ServerRole::at("http://127.0.0.1:8080").is_ok());
    /// // The service speaks plain HTTP only.
    /// assert!(ServerRole::at("https://127.0.0.1:8080").is_err());
    /// ```
    pub fn at(url: &str) -> Result<Self> {
        Metadata::at(url).map(Self)
    }

    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        match lookup(VARIABLE).filter(|url| !url.is_empty()) {
            None => Self::at(LINK_LOCAL),
            Some(url) => {
                let url = url.into_string().unwrap_or_default();
                let named = |error: Error| Error::new(error.kind(), format!("{VARIABLE}: {error}"));
                Self::at(&url).map_err(named)
            }
        }
    }

    /// Whether this machine has the service: it answered before.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_there()
    }

    async fn fetch(&self) -> Result<Credentials> {
        let keys = self.0.role_keys().await?.ok_or_else(|| {
            bad(format!("the metadata service at {} knows no role of this server", self.0.url()))
        })?;
        read(&keys).map_err(|why| {
            bad(format!("the metadata service at {}, for the role's keys: {why}", self.0.url()))
        })
    }
}

impl CredentialSource for ServerRole {
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the service does not answer;
    /// [`Credentials`](crate::ErrorKind::Credentials) if it refuses, or there is no role, or no
    /// keys are in its answer.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        Box::pin(self.fetch())
    }
}

fn read(answer: &[u8]) -> std::result::Result<Credentials, String> {
    let mut answer: Answer<'_> = serde_json::from_slice(answer)
        .map_err(|_| "its answer is not what it documents".to_owned())?;
    let (access, secret) = match (&answer.access_key_id, &answer.secret_access_key) {
        (Some(access), Some(secret)) if answer.is_success() => (access, secret),
        _ => return Err(answer.refusal()),
    };
    let secret_copy = Zeroizing::new(secret.clone().into_owned());
    let keys = Credentials::account(&**access, &**secret_copy).map_err(|error| error.to_string());
    if let Some(Cow::Owned(secret)) = &mut answer.secret_access_key {
        secret.zeroize();
    }
    let ends = answer.expiration.as_deref().and_then(Timestamp::from_rfc3339);
    keys.map(|keys| match ends {
        Some(ends) => keys.ending(ends),
        None => keys,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    access_key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    secret_access_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    expiration: Option<Cow<'a, str>>,
}

impl Answer<'_> {
    fn is_success(&self) -> bool {
        self.code.as_deref().is_none_or(|code| code.eq_ignore_ascii_case("success"))
    }

    /// What the service says instead, as far as it can be shown.
    fn refusal(&self) -> String {
        let shown = |text: &Option<Cow<'_, str>>| -> String {
            let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
            text.as_deref().unwrap_or_default().chars().filter(plain).take(SHOWN).collect()
        };
        match (shown(&self.code), shown(&self.message)) {
            (code, message) if !code.is_empty() || !message.is_empty() => {
                format!("it has none: {code} {message}").trim_end().to_owned()
            }
            _ => "its answer has none".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::kms::auth::credentials::tests::shown;

    #[test]
    fn documented_answers_are_read_and_others_shown_without_secrets() {
        let keys = read(
            br#"{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"NCP-HMAC",
                "AccessKeyId":"a","SecretAccessKey":"s\u002f","Token":"",
                "Expiration":"2026-01-01T06:00:00+09:00"}"#,
        );
        let keys = keys.unwrap();
        assert_eq!(shown(&keys), "a s/ - -");
        let ends = keys.into_account().unwrap().ends.unwrap();
        assert_eq!(ends.to_string(), "2025-12-31T21:00:00.000Z");

        for (answer, expected) in [
            (r#"{"Code":"NoRole","Message":"no\n\u001b[31m role"}"#, "none: NoRole no[31m role"),
            (r#"{"Code":"Fail","AccessKeyId":"a","SecretAccessKey":"canary"}"#, "none: Fail"),
            (r#"{"Code":"Success","AccessKeyId":"a"}"#, "none: Success"),
            (r#"{"AccessKeyId":"a","SecretAccessKey":"canary key"}"#, "secret key has a space"),
            ("{}", "has none"),
            ("[]", "not what it documents"),
            ("canary", "not what it documents"),
        ] {
            let error = read(answer.as_bytes()).unwrap_err();
            assert!(error.contains(expected) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_place_is_plain_http_and_nothing_else() {
        let at = |url: &str| {
            let url = url.to_owned();
            ServerRole::from_lookup(move |name| (name == VARIABLE).then(|| url.clone().into()))
        };
        assert_eq!(at("").unwrap().0.url(), LINK_LOCAL);
        assert_eq!(at("http://127.0.0.1:8080/x/").unwrap().0.url(), "http://127.0.0.1:8080/x");
        for odd in ["https://x", "x", "file:///x", "http://", "http://u:canary@x", "http://x?a=b"] {
            let error = at(odd).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{odd}");
            let text = error.to_string();
            assert!(text.starts_with(VARIABLE) && !text.contains("canary"), "{text}");
        }
    }
}
