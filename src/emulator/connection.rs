//! Address and credentials of an emulator, for its clients.

use crate::emulator::sensitive::secret_text;
use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use std::fmt;
use zeroize::Zeroizing;

/// An access and a refresh token of one key. Wiped when dropped; `Debug` shows neither.
///
/// ```
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::Emulator;
/// use std::time::Duration;
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let hour = Duration::from_secs(3600);
/// let tokens = wait(emulator.issue_tokens(emulator.key_tag(), hour, hour))??;
/// assert_eq!(format!("{tokens:?}"), "TokenSet(..)");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenSet {
    access: Zeroizing<String>,
    refresh: Zeroizing<String>,
}

impl TokenSet {
    pub(crate) fn new(access: Zeroizing<String>, refresh: Zeroizing<String>) -> Self {
        Self { access, refresh }
    }

    /// The token for cipher calls, a JSON web token.
    ///
    /// ```
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let tokens = wait(emulator.issue_tokens(emulator.key_tag(), hour, hour))??;
    /// assert_eq!(tokens.access_token().split('.').count(), 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn access_token(&self) -> &str {
        &self.access
    }

    /// The token that gets new tokens.
    ///
    /// ```
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let tokens = wait(emulator.issue_tokens(emulator.key_tag(), hour, hour))??;
    /// assert_ne!(tokens.refresh_token(), tokens.access_token());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn refresh_token(&self) -> &str {
        &self.refresh
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSet(..)")
    }
}

/// Address, key and credentials of an emulator in one value, to be passed to another program.
///
/// Serialises as an object with these fields in this order. Secrets are wiped when dropped; `Debug`
/// shows none.
///
/// ```
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::Emulator;
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let connection = wait(emulator.connection())??;
/// assert_eq!(connection.url, emulator.url());
/// assert!(!format!("{connection:?}").contains(&**connection.secret_key));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct Connection {
    /// Base URL, without a slash at its end.
    pub url: String,
    /// Tag of the ready-made key.
    pub key_tag: String,
    /// Access key of the account.
    pub access_key: String,
    /// Secret key of the account.
    #[serde(serialize_with = "secret_text::serialize")]
    pub secret_key: Zeroizing<String>,
    /// API key that signature v1 needs.
    #[serde(serialize_with = "secret_text::serialize")]
    pub apigw_api_key: Zeroizing<String>,
    /// Access token of the ready-made key.
    #[serde(serialize_with = "secret_text::serialize")]
    pub access_token: Zeroizing<String>,
    /// Refresh token of the ready-made key.
    #[serde(serialize_with = "secret_text::serialize")]
    pub refresh_token: Zeroizing<String>,
    /// Certificate to trust, if the emulator speaks TLS; left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
}

impl Connection {
    /// This as one line of JSON, without a line break at its end.
    ///
    /// ```
    /// # use ncp_envelope::{blocking::wait, emulator::Emulator};
    /// let emulator = Emulator::builder().key_tag("orders").start_blocking()?;
    /// let line = wait(emulator.connection())??.to_json()?;
    /// assert!(line.starts_with(r#"{"url":"http://127.0.0.1:"#));
    /// assert!(line.contains(r#","key_tag":"orders","access_key":""#));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if it cannot be written as JSON, which does not happen.
    pub fn to_json(&self) -> Result<Zeroizing<String>> {
        let line = serde_json::to_string(self)
            .map_err(|_| Error::new(ErrorKind::Internal, "cannot write the connection as JSON"))?;
        Ok(Zeroizing::new(line))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.url)
            .field("key_tag", &self.key_tag)
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}
