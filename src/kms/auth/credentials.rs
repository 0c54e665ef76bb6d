//! Credentials as the user gives them, and what of them calls are made with.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::secret::{bad, checked};
use crate::kms::auth::signature::Signer;
use crate::kms::auth::token::Tokens;
use crate::kms::auth::token_set::{Pair, TokenSet};
use crate::kms::endpoint::{Api, SignatureVersion};
use secrecy::{ExposeSecret, SecretString};
use std::ffi::OsString;
use std::fmt;

/// What a client proves its identity with: an account's access key, or a token of one key (API
/// 2.0).
///
/// Each part has to be 1 to 8,192 visible ASCII characters. All parts are wiped when dropped;
/// `Debug` shows which are there.
#[derive(Clone)]
pub struct Credentials {
    account: Option<Account>,
    tokens: Option<TokenPair>,
}

#[derive(Clone)]
struct Account {
    access_key: SecretString,
    secret_key: SecretString,
    api_gateway_key: Option<SecretString>,
}

#[derive(Clone)]
struct TokenPair {
    access: SecretString,
    refresh: Option<SecretString>,
}

impl Credentials {
    /// The access key and secret key of an account or sub account.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] if a part is empty, too long or has characters other than visible
    /// ASCII.
    pub fn account(
        access_key: impl Into<SecretString>,
        secret_key: impl Into<SecretString>,
    ) -> Result<Self> {
        let access_key = checked("access key", access_key.into())?;
        let secret_key = checked("secret key", secret_key.into())?;
        Ok(Self {
            account: Some(Account { access_key, secret_key, api_gateway_key: None }),
            tokens: None,
        })
    }

    /// Adds the API Gateway key that [`SignatureVersion::V1`] needs. Without account credentials it
    /// has no effect.
    ///
    /// # Errors
    /// As for [`account`](Self::account).
    pub fn with_api_gateway_key(mut self, key: impl Into<SecretString>) -> Result<Self> {
        let key = checked("api gateway key", key.into())?;
        if let Some(account) = &mut self.account {
            account.api_gateway_key = Some(key);
        }
        Ok(self)
    }

    /// A key's access token, and the refresh token to get a new one with when it is refused. A
    /// token serves one key.
    ///
    /// # Errors
    /// As for [`account`](Self::account).
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
    pub fn with_token(
        self,
        access_token: impl Into<SecretString>,
        refresh_token: Option<SecretString>,
    ) -> Result<Self> {
        let Self { tokens, .. } = Self::token(access_token, refresh_token)?;
        Ok(Self { tokens, ..self })
    }

    /// Credentials from the environment; a variable that is empty counts as not set.
    ///
    /// | variable | part |
    /// | --- | --- |
    /// | `NCP_ACCESS_KEY`, `NCP_SECRET_KEY` | account |
    /// | `NCP_APIGW_API_KEY` | API Gateway key of the account |
    /// | `NCP_KMS_ACCESS_TOKEN`, `NCP_KMS_REFRESH_TOKEN` | token; its refresh token, optional |
    ///
    /// When both an account and an access token are set, a client of API 2.0 makes its calls with
    /// the token and uses the account where the token does not serve: to manage keys, and to issue
    /// a new set when the tokens are refused
    /// ([`ClientBuilder::issue_tokens`](crate::kms::ClientBuilder::issue_tokens)). A client of API
    /// 1.0 uses the account alone.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] if nothing is set, if a part is missing or if a value is not
    /// acceptable.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let read = |name: &'static str| match lookup(name) {
            Some(value) if !value.is_empty() => match value.into_string() {
                Ok(value) => checked(name, value.into()).map(Some),
                Err(_) => Err(bad(format!("{name} is not text"))),
            },
            _ => Ok(None),
        };
        let api_gateway_key = read("NCP_APIGW_API_KEY")?;
        let account = match (read("NCP_ACCESS_KEY")?, read("NCP_SECRET_KEY")?) {
            (Some(access_key), Some(secret_key)) => {
                Some(Account { access_key, secret_key, api_gateway_key })
            }
            (None, None) => None,
            (Some(_), None) => return Err(bad("NCP_ACCESS_KEY is set and NCP_SECRET_KEY is not")),
            (None, Some(_)) => return Err(bad("NCP_SECRET_KEY is set and NCP_ACCESS_KEY is not")),
        };
        let tokens = match (read("NCP_KMS_ACCESS_TOKEN")?, read("NCP_KMS_REFRESH_TOKEN")?) {
            (Some(access), refresh) => Some(TokenPair { access, refresh }),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(bad("NCP_KMS_REFRESH_TOKEN is set and NCP_KMS_ACCESS_TOKEN is not"));
            }
        };
        if account.is_none() && tokens.is_none() {
            return Err(bad(
                "no credentials: set NCP_ACCESS_KEY and NCP_SECRET_KEY, or NCP_KMS_ACCESS_TOKEN",
            ));
        }
        Ok(Self { account, tokens })
    }
}

impl Credentials {
    /// These, with `stored` in place of tokens, unless those given are known to live longer or the
    /// stored ones to be another key's.
    pub(crate) fn with_stored(self, stored: TokenSet) -> Result<Self> {
        let better = |given: &TokenPair| {
            let given = Pair { access: &given.access, refresh: given.refresh.as_ref() };
            given.outlives(stored.pair()) || given.is_of_another_key(stored.pair())
        };
        if self.tokens.as_ref().is_some_and(better) {
            return Ok(self);
        }
        let Credentials { tokens, .. } =
            Self::token(stored.access_token, Some(stored.refresh_token))?;
        Ok(Self { tokens, ..self })
    }

    /// No credentials at all, which no client accepts.
    pub(crate) fn none() -> Self {
        Self { account: None, tokens: None }
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

/// The one way of the four in which a client authenticates its calls.
pub(crate) enum Auth {
    Account(Signer),
    /// A key's tokens, with the account for what tokens cannot do, if it was given too.
    Token(Tokens, Option<Signer>),
}

impl Auth {
    /// Chooses between account and token as [`Credentials::from_env`] documents.
    pub(crate) fn choose(
        api: Api,
        signature: SignatureVersion,
        credentials: Credentials,
    ) -> Result<Self> {
        let invalid = |message: &'static str| Err(Error::new(ErrorKind::InvalidInput, message));
        let Credentials { account, tokens } = credentials;
        match (api, tokens, account) {
            (Api::V2, Some(TokenPair { access, refresh }), account) => {
                let signer = account
                    .map(|account| Signer::new(account.access_key, account.secret_key, None));
                Ok(Self::Token(Tokens::new(access, refresh), signer))
            }
            (Api::V1, Some(_), None) => {
                invalid("tokens are accepted by API 2.0 only; API 1.0 needs account credentials")
            }
            (Api::V2, None, Some(_)) if signature == SignatureVersion::V1 => {
                invalid("API 2.0 has signature version 2 only")
            }
            (_, _, Some(Account { access_key, secret_key, api_gateway_key })) => {
                if signature == SignatureVersion::V1 && api_gateway_key.is_none() {
                    return Err(bad("signature version 1 needs an api gateway key"));
                }
                let gateway = api_gateway_key.filter(|_| signature == SignatureVersion::V1);
                Ok(Self::Account(Signer::new(access_key, secret_key, gateway)))
            }
            (_, None, None) => Err(bad("no credentials")),
        }
    }

    /// What signs for the account, if there is one.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        match self {
            Self::Account(signer) => Some(signer),
            Self::Token(_, signer) => signer.as_ref(),
        }
    }

    /// `text` without any credential that this client holds, whoever put it there.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut hide =
            |secret: &SecretString| text = text.replace(secret.expose_secret(), "[redacted]");
        if let Self::Token(tokens, _) = self {
            tokens.each_secret(&mut hide);
        }
        if let Some(signer) = self.signer() {
            signer.each_secret(&mut hide);
        }
        text
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account(_) => "account",
            Self::Token(..) => "token",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::auth::secret::MAX_CREDENTIAL_LEN;

    fn from(vars: &[(&str, &str)]) -> Result<Credentials> {
        Credentials::from_lookup(|name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    fn choose(api: Api, signature: SignatureVersion, credentials: Credentials) -> Result<String> {
        Auth::choose(api, signature, credentials).map(|auth| format!("{auth:?}"))
    }

    #[test]
    fn environment_gives_account_token_or_both() {
        const ACCOUNT: [(&str, &str); 2] = [("NCP_ACCESS_KEY", "a"), ("NCP_SECRET_KEY", "s")];
        const TOKEN: (&str, &str) = ("NCP_KMS_ACCESS_TOKEN", "t");
        let both = from(&[ACCOUNT[0], ACCOUNT[1], TOKEN]).unwrap();
        assert_eq!(choose(Api::V2, SignatureVersion::V2, both.clone()).unwrap(), "token");
        assert_eq!(choose(Api::V1, SignatureVersion::V2, both).unwrap(), "account");
        assert_eq!(
            choose(Api::V2, SignatureVersion::V2, from(&ACCOUNT).unwrap()).unwrap(),
            "account"
        );
        let empty_token = from(&[ACCOUNT[0], ACCOUNT[1], ("NCP_KMS_ACCESS_TOKEN", "")]).unwrap();
        assert_eq!(choose(Api::V2, SignatureVersion::V2, empty_token).unwrap(), "account");

        for missing in [
            &[][..],
            &ACCOUNT[..1],
            &ACCOUNT[1..],
            &[("NCP_KMS_REFRESH_TOKEN", "r")],
            &[("NCP_KMS_ACCESS_TOKEN", "canary\n")],
        ] {
            let error = from(missing).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn combinations_the_service_does_not_have_are_refused() {
        let kind =
            |api, signature, credentials| choose(api, signature, credentials).unwrap_err().kind();
        let account = Credentials::account("a", "s").unwrap();
        let token = Credentials::token("t", None).unwrap();
        assert_eq!(kind(Api::V1, SignatureVersion::V2, token), ErrorKind::InvalidInput);
        assert_eq!(kind(Api::V2, SignatureVersion::V1, account.clone()), ErrorKind::InvalidInput);
        assert_eq!(kind(Api::V1, SignatureVersion::V1, account.clone()), ErrorKind::Credentials);
        assert!(
            choose(Api::V1, SignatureVersion::V1, account.with_api_gateway_key("g").unwrap())
                .is_ok()
        );
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
        let all = from(&[
            ("NCP_ACCESS_KEY", "canary1"),
            ("NCP_SECRET_KEY", "canary2"),
            ("NCP_APIGW_API_KEY", "canary3"),
        ])
        .unwrap();
        assert!(!format!("{all:?}").contains("canary"));
        let auth = Auth::choose(Api::V1, SignatureVersion::V1, all).unwrap();
        assert_eq!(auth.redact("x canary1 canary2canary3"), "x [redacted] [redacted][redacted]");
    }
}
