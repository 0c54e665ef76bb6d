//! Tokens of one key (API 2.0): issuing, renewing and checking them, and the key's token generator.
//!
//! Promises: tokens are in zeroized memory and in no error; a call that issues or voids tokens is
//! retried only if the service saw nothing of it. A client that makes cipher calls with a token
//! refreshes it automatically; these calls are for programs that distribute tokens.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::checked;
use crate::kms::auth::token_set::{MAX_TOKEN_HOURS, TokenSet, issued};
use crate::kms::call::request::Call;
use crate::kms::call::request::CallOptions;
use crate::kms::key::cipher::Key;
use crate::kms::time::Timestamp;
use crate::kms::vocabulary::GeneratorStatus;
use crate::kms::wire::fields::Answer;
use crate::kms::wire::{request, response};
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The lifetime of a token.
///
/// ```
/// use ncp_envelope::kms::TokenHours;
/// assert_eq!("72".parse::<TokenHours>()?, TokenHours::Hours(72));
/// assert_eq!("UL".parse::<TokenHours>()?, TokenHours::Unlimited);
/// assert!("0".parse::<TokenHours>().is_err());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenHours {
    /// 1 to 17,520 hours, which are 730 days.
    Hours(u16),
    /// Until the key's token generator is replaced or disabled; the service writes `UL`.
    Unlimited,
}

impl FromStr for TokenHours {
    type Err = Error;

    /// Reads a number of hours, or `UL`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("UL") {
            return Ok(Self::Unlimited);
        }
        let hours = Self::Hours(text.parse().unwrap_or(0));
        hours.check().map(|()| hours)
    }
}

impl fmt::Display for TokenHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hours(hours) => write!(f, "{hours}"),
            Self::Unlimited => f.write_str("UL"),
        }
    }
}

impl TokenHours {
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Hours(1..=MAX_TOKEN_HOURS) | Self::Unlimited => Ok(()),
            Self::Hours(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a token lives 1 to {MAX_TOKEN_HOURS} hours, or UL"),
            )),
        }
    }

    fn json(self) -> serde_json::Value {
        match self {
            Self::Hours(hours) => hours.into(),
            Self::Unlimited => "UL".into(),
        }
    }
}

/// The lifetimes of a new token set; the service chooses what is `None`.
///
/// ```
/// use ncp_envelope::kms::{TokenHours, TokenLifetimes};
/// let lifetimes = TokenLifetimes { access: Some(TokenHours::Hours(1)), refresh: None };
/// // As in a configuration file.
/// let read: TokenLifetimes = serde_json::from_str(r#"{ "access": 1 }"#)?;
/// assert_eq!(read, lifetimes);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenLifetimes {
    /// Of the access token; the service's default is 72 hours.
    pub access: Option<TokenHours>,
    /// Of the refresh token; the service's default is 2,160 hours (90 days).
    pub refresh: Option<TokenHours>,
}

/// What the service reports about a key's token generator. What it does not report is `None`.
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
/// use ncp_envelope::kms::GeneratorStatus;
/// let generator = key.tokens().generator().await?;
/// assert_eq!(generator.status, Some(GeneratorStatus::Active));
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenGenerator {
    /// Its id; each replacement has another one.
    pub id: Option<String>,
    /// Whether tokens can be issued.
    pub status: Option<GeneratorStatus>,
    /// When it was enabled.
    pub enabled: Option<Timestamp>,
    /// When it was disabled.
    pub disabled: Option<Timestamp>,
    /// How many tokens it has issued.
    pub issued_tokens: Option<u64>,
}

/// The token calls of one key, from [`Key::tokens`].
///
/// A client of API 1.0 has none of them, which is [`ErrorKind::InvalidInput`]. If account
/// credentials are needed, a client that only has a token gets [`ErrorKind::Credentials`]. Neither
/// makes a call. Otherwise calls fail as the [module's table](crate::kms#errors-of-calls) says.
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
/// use ncp_envelope::kms::TokenLifetimes;
/// let set = key.tokens().create_set(&TokenLifetimes::default()).await?;
/// assert!(key.tokens().validate(&set.access_token).await?);
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyTokens {
    key: Key,
}

impl Key {
    /// The token calls of this key.
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
    /// assert!(key.tokens().generator().await?.id.is_some());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn tokens(&self) -> KeyTokens {
        KeyTokens { key: self.clone() }
    }
}

impl KeyTokens {
    /// Issues a new set, with account credentials. The key needs an enabled token generator.
    ///
    /// A token carries every permission on the key that the caller has, and cannot be revoked
    /// individually.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a call for a lifetime out of range; otherwise as
    /// [`KeyTokens`] says.
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
    /// use ncp_envelope::kms::{TokenHours, TokenLifetimes};
    /// let lifetimes = TokenLifetimes { access: Some(TokenHours::Hours(1)), refresh: None };
    /// let set = key.tokens().create_set(&lifetimes).await?;
    /// let credentials = Credentials::token(set.access_token, Some(set.refresh_token))?;
    /// # let _ = credentials;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn create_set(&self, lifetimes: &TokenLifetimes) -> Result<TokenSet> {
        let options = CallOptions::change(Method::POST).giving(&["accessToken"]);
        let call = self.account_call("create token set", options, "token-set")?;
        self.set(Call { body: lifetimes_body(lifetimes)?, ..call }).await
    }

    /// Issues a new set for a refresh token. The older set stays valid.
    ///
    /// # Errors
    /// As for [`create_set`](Self::create_set); [`ErrorKind::Credentials`] if the token is refused.
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
    /// use ncp_envelope::kms::TokenLifetimes;
    /// let old = key.tokens().create_set(&TokenLifetimes::default()).await?;
    /// let new = key.tokens().renew_set(&old.refresh_token, &TokenLifetimes::default()).await?;
    /// // The older set stays valid.
    /// assert!(key.tokens().validate(&old.access_token).await?);
    /// # let _ = new;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn renew_set(
        &self,
        refresh_token: &SecretString,
        lifetimes: &TokenLifetimes,
    ) -> Result<TokenSet> {
        let options = CallOptions::change(Method::PUT).giving(&["accessToken"]);
        let call = self.token_call("renew token set", options, "token-set", refresh_token)?;
        self.set(Call { body: lifetimes_body(lifetimes)?, ..call }).await
    }

    /// Issues a new access token for a refresh token.
    ///
    /// # Errors
    /// As for [`renew_set`](Self::renew_set).
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
    /// use ncp_envelope::kms::{TokenHours, TokenLifetimes};
    /// let set = key.tokens().create_set(&TokenLifetimes::default()).await?;
    /// let hour = Some(TokenHours::Hours(1));
    /// let token = key.tokens().new_access_token(&set.refresh_token, hour).await?;
    /// assert!(key.tokens().validate(&token).await?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn new_access_token(
        &self,
        refresh_token: &SecretString,
        lifetime: Option<TokenHours>,
    ) -> Result<SecretString> {
        let options = CallOptions::change(Method::POST).giving(&["accessToken"]);
        let call = self.token_call("new access token", options, "access-token", refresh_token)?;
        let body = lifetimes_body(&TokenLifetimes { access: lifetime, refresh: None })?;
        let call = Call { body, ..call };
        let token = response::access_token(self.key.client.send(&call).await?).and_then(issued);
        token.map_err(|error| call.failed(&error))
    }

    /// Whether the service accepts a token, of either kind.
    ///
    /// Whether the service reports another token as not valid or refuses the call is not
    /// documented; both give `false`. A refusal without a code is not from the service, and says
    /// nothing about the token.
    ///
    /// # Errors
    /// As [`KeyTokens`] says, but for a refused token.
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
    /// use ncp_envelope::kms::TokenLifetimes;
    /// let set = key.tokens().create_set(&TokenLifetimes::default()).await?;
    /// assert!(key.tokens().validate(&set.refresh_token).await?);
    /// assert!(!key.tokens().validate(&"another".into()).await?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn validate(&self, token: &SecretString) -> Result<bool> {
        let options = CallOptions::read(&["validated", "valid"]);
        let call = self.token_call("validate token", options, "validate-token", token)?;
        match self.key.client.send(&call).await {
            Ok(answer) => response::valid(&answer).map_err(|error| call.failed(&error)),
            Err(error)
                if error.kind() == ErrorKind::Credentials && error.service_code().is_some() =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The key's token generator. Needs account credentials.
    ///
    /// # Errors
    /// As [`KeyTokens`] says.
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
    /// use ncp_envelope::kms::GeneratorStatus;
    /// assert_eq!(key.tokens().generator().await?.status, Some(GeneratorStatus::Active));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn generator(&self) -> Result<TokenGenerator> {
        let options = CallOptions::read(&["tokenGeneratorId"]);
        let call = self.account_call("token generator", options, "token-generator")?;
        let answer = Answer::read(&self.key.client.send(&call).await?)
            .map_err(|error| call.failed(&error))?;
        let fields = answer.fields();
        Ok(TokenGenerator {
            id: fields.text("tokenGeneratorId"),
            status: fields.word("status"),
            enabled: fields.time("enabledDate"),
            disabled: fields.time("disabledDate"),
            issued_tokens: fields.int("issuedTokenCount"),
        })
    }

    /// Enables the key's token generator, so that tokens can be issued. Needs account credentials.
    ///
    /// # Errors
    /// As [`KeyTokens`] says.
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
    /// use ncp_envelope::kms::TokenLifetimes;
    /// key.tokens().disable_generator().await?;
    /// assert!(key.tokens().create_set(&TokenLifetimes::default()).await.is_err());
    /// key.tokens().enable_generator().await?;
    /// assert!(key.tokens().create_set(&TokenLifetimes::default()).await.is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn enable_generator(&self) -> Result<()> {
        self.change_generator("enable token generator", Method::POST).await
    }

    /// Replaces the key's token generator: **every token issued so far is void, for good**. Needs
    /// account credentials.
    ///
    /// # Errors
    /// As [`KeyTokens`] says.
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
    /// use ncp_envelope::kms::TokenLifetimes;
    /// let set = key.tokens().create_set(&TokenLifetimes::default()).await?;
    /// key.tokens().replace_generator().await?;
    /// assert!(!key.tokens().validate(&set.access_token).await?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn replace_generator(&self) -> Result<()> {
        self.change_generator("replace token generator", Method::PUT).await
    }

    /// Disables the key's token generator: **every token issued so far is void, for good**. Needs
    /// account credentials.
    ///
    /// # Errors
    /// As [`KeyTokens`] says.
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
    /// use ncp_envelope::kms::GeneratorStatus;
    /// key.tokens().disable_generator().await?;
    /// assert_eq!(key.tokens().generator().await?.status, Some(GeneratorStatus::Inactive));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn disable_generator(&self) -> Result<()> {
        self.change_generator("disable token generator", Method::DELETE).await
    }

    async fn change_generator(&self, operation: &'static str, method: Method) -> Result<()> {
        let call = self.account_call(operation, CallOptions::change(method), "token-generator")?;
        self.key.client.send(&call).await.map(drop)
    }

    async fn set(&self, call: Call<'_>) -> Result<TokenSet> {
        let answer = self.key.client.send(&call).await?;
        let read = |answer: Zeroizing<Vec<u8>>| {
            let (access, refresh) = response::token_set(answer)?;
            Ok(TokenSet { access_token: issued(access)?, refresh_token: issued(refresh)? })
        };
        read(answer).map_err(|error| call.failed(&error))
    }

    fn account_call(
        &self,
        operation: &'static str,
        options: CallOptions,
        action: &'static str,
    ) -> Result<Call<'_>> {
        self.key.client.needs_account(operation)?;
        let (body, options) = (request::empty(&options.method), options.by_account());
        Ok(Call { operation, tag: self.key.id.id().into(), action: action.into(), body, options })
    }

    fn token_call(
        &self,
        operation: &'static str,
        options: CallOptions,
        action: &'static str,
        token: &SecretString,
    ) -> Result<Call<'_>> {
        self.key.client.needs_api_2(operation)?;
        let body = request::empty(&options.method);
        let options = options.with_token(checked("the token", token.clone())?);
        Ok(Call { operation, tag: self.key.id.id().into(), action: action.into(), body, options })
    }
}

impl crate::kms::Client {
    /// Refuses `call`, a management call of API 2.0, for a client that has no account to sign it
    /// with.
    pub(crate) fn needs_account(&self, call: &str) -> Result<()> {
        self.needs_api_2(call)?;
        if !self.has_account() {
            let message = format!(
                "{call}: this call needs account credentials, and this client has a token only: \
                 give it an access key and a secret key"
            );
            return Err(Error::new(ErrorKind::Credentials, message));
        }
        Ok(())
    }
}

fn lifetimes_body(lifetimes: &TokenLifetimes) -> Result<bytes::Bytes> {
    let mut body = serde_json::Map::new();
    for (name, hours) in
        [("accessTokenHours", lifetimes.access), ("refreshTokenHours", lifetimes.refresh)]
    {
        if let Some(hours) = hours {
            hours.check()?;
            body.insert(name.to_owned(), hours.json());
        }
    }
    Ok(request::json(&body.into()))
}
