//! Credentials as the user gives them.

use crate::error::Result;
use crate::kms::auth::secret::checked;
use crate::kms::auth::token_set::{Pair, TokenSet};
use crate::kms::time::Timestamp;
use secrecy::SecretString;
use std::fmt;

/// What a client authenticates with: the access key of an account, a token of one key (API 2.0), or
/// both.
///
/// Each part must be 1 to 8,192 visible ASCII characters. All parts are zeroized when dropped;
/// `Debug` shows only which are there.
///
/// ```
/// use ncp_envelope::kms::Credentials;
/// let account = Credentials::account("access-key", "secret-key")?;
/// assert!(!format!("{account:?}").contains("secret-key"));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    account: Option<AccountKeys>,
    tokens: Option<TokenPair>,
}

/// What calls are signed with.
#[derive(Clone)]
pub(crate) struct AccountKeys {
    pub(crate) access_key: SecretString,
    pub(crate) secret_key: SecretString,
    pub(crate) api_gateway_key: Option<SecretString>,
    /// When they expire, if they do.
    pub(crate) ends: Option<Timestamp>,
}

#[derive(Clone)]
pub(crate) struct TokenPair {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
}

impl Credentials {
    /// The access key and secret key of an account or sub account.
    ///
    /// # Errors
    /// [`Credentials`](crate::ErrorKind::Credentials) if a part is empty, too long or has
    /// characters other than visible ASCII.
    ///
    /// ```
    /// use ncp_envelope::kms::Credentials;
    /// assert!(Credentials::account("access-key", "secret-key").is_ok());
    /// // Such as a line break that was copied with it.
    /// assert!(Credentials::account("access-key", "secret-key\n").is_err());
    /// ```
    pub fn account(
        access_key: impl Into<SecretString>,
        secret_key: impl Into<SecretString>,
    ) -> Result<Self> {
        let access_key = checked("access key", access_key.into())?;
        let secret_key = checked("secret key", secret_key.into())?;
        Ok(Self {
            account: Some(AccountKeys {
                access_key,
                secret_key,
                api_gateway_key: None,
                ends: None,
            }),
            tokens: None,
        })
    }

    /// Adds the API Gateway key that [`V1`](crate::kms::SignatureVersion::V1) needs. Without
    /// account credentials it has no effect.
    ///
    /// # Errors
    /// As for [`account`](Self::account).
    ///
    /// ```
    /// use ncp_envelope::kms::{Api, Client, Credentials, SignatureVersion};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// let account = account.with_api_gateway_key("gateway-key")?;
    /// let older = Client::builder().api(Api::V1).signature(SignatureVersion::V1);
    /// assert!(older.credentials(account).build().is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn with_api_gateway_key(mut self, key: impl Into<SecretString>) -> Result<Self> {
        let key = checked("api gateway key", key.into())?;
        if let Some(account) = &mut self.account {
            account.api_gateway_key = Some(key);
        }
        Ok(self)
    }

    /// The access token of a key, and optionally the refresh token, which gets a new access token
    /// when that is refused. A token serves one key.
    ///
    /// # Errors
    /// As for [`account`](Self::account).
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// let token = Credentials::token("access-token", Some("refresh-token".into()))?;
    /// let client = Client::builder().credentials(token).build()?;
    /// assert!(client.current_access_token().is_some());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn token(
        access_token: impl Into<SecretString>,
        refresh_token: Option<SecretString>,
    ) -> Result<Self> {
        let access = checked("access token", access_token.into())?;
        let refresh = refresh_token.map(|token| checked("refresh token", token)).transpose()?;
        Ok(Self { account: None, tokens: Some(TokenPair { access, refresh }) })
    }

    /// Adds a key's tokens to an account, for a client of API 2.0 that uses
    /// [both](crate::kms::ClientBuilder::issue_tokens).
    ///
    /// # Errors
    /// As for [`account`](Self::account).
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// let both = account.with_token("access-token", None)?;
    /// let client = Client::builder().credentials(both).build()?;
    /// assert!(client.current_access_token().is_some());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn with_token(
        self,
        access_token: impl Into<SecretString>,
        refresh_token: Option<SecretString>,
    ) -> Result<Self> {
        let Self { tokens, .. } = Self::token(access_token, refresh_token)?;
        Ok(Self { tokens, ..self })
    }

    /// Sets when the account keys expire, as those of a role do. A client asks its
    /// [`CredentialSource`](crate::kms::CredentialSource) for new keys before that. Has no effect
    /// without account credentials.
    ///
    /// ```
    /// use ncp_envelope::kms::Credentials;
    /// use std::time::{Duration, SystemTime};
    /// let role = Credentials::account("access-key", "secret-key")?;
    /// let role = role.ending(SystemTime::now() + Duration::from_secs(3_600));
    /// # let _ = role;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn ending(mut self, at: impl Into<Timestamp>) -> Self {
        if let Some(account) = &mut self.account {
            account.ends = Some(at.into());
        }
        self
    }
}

impl Credentials {
    /// These, with `stored` in place of the tokens, unless the given ones are known to live longer
    /// or the stored ones belong to another key; and the given tokens that were passed over.
    pub(crate) fn with_stored(self, stored: TokenSet) -> Result<(Self, Option<TokenPair>)> {
        let better = |given: &TokenPair| {
            let given = Pair { access: &given.access, refresh: given.refresh.as_ref() };
            given.outlives(stored.pair()) || given.is_of_another_key(stored.pair())
        };
        if self.tokens.as_ref().is_some_and(better) {
            return Ok((self, None));
        }
        let Credentials { tokens, .. } =
            Self::token(stored.access_token, Some(stored.refresh_token))?;
        Ok((Self { tokens, ..self }, self.tokens))
    }

    /// No credentials at all, which no client accepts.
    pub(crate) fn none() -> Self {
        Self { account: None, tokens: None }
    }

    pub(crate) fn has_account(&self) -> bool {
        self.account.is_some()
    }

    pub(crate) fn into_account(self) -> Option<AccountKeys> {
        self.account
    }

    pub(crate) fn into_parts(self) -> (Option<AccountKeys>, Option<TokenPair>) {
        (self.account, self.tokens)
    }

    /// These without tokens.
    pub(crate) fn account_only(self) -> Option<Self> {
        self.account.is_some().then_some(Self { tokens: None, ..self })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway =
            self.account.as_ref().is_some_and(|account| account.api_gateway_key.is_some());
        let refresh = self.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some());
        f.debug_struct("Credentials")
            .field("account", &self.account.is_some())
            .field("api_gateway_key", &gateway)
            .field("access_token", &self.tokens.is_some())
            .field("refresh_token", &refresh)
            .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::kms::auth::secret::MAX_CREDENTIAL_LEN;
    use secrecy::ExposeSecret;

    /// Access key, secret key, access token and refresh token.
    pub(crate) fn shown(credentials: &Credentials) -> String {
        let Credentials { account, tokens } = credentials;
        [
            account.as_ref().map(|account| &account.access_key),
            account.as_ref().map(|account| &account.secret_key),
            tokens.as_ref().map(|tokens| &tokens.access),
            tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref()),
        ]
        .map(|part| part.map_or("-", |part| part.expose_secret()))
        .join(" ")
    }

    #[test]
    fn parts_are_checked_and_not_shown() {
        let long = "x".repeat(MAX_CREDENTIAL_LEN + 1);
        for odd in
            ["", "canary key", "canary\n", "canary\r\nx: y", "canary\0", "canary\u{e9}", &long]
        {
            let error = Credentials::account(odd, "secret").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(!error.to_string().contains("canary"));
            assert!(Credentials::account("a", odd).is_err());
            assert!(Credentials::account("a", "s").unwrap().with_api_gateway_key(odd).is_err());
            assert!(Credentials::token(odd, None).is_err());
            assert!(Credentials::token("t", Some(odd.into())).is_err());
        }
        let all = Credentials::account("canary1", "canary2").unwrap();
        let all = all.with_api_gateway_key("canary3").unwrap();
        let all = all.with_token("canary4", Some("canary5".into())).unwrap();
        assert!(!format!("{all:?}").contains("canary"));
    }
}
