//! Which of its credentials a client makes calls with.
//!
//! Promises: combinations that the service does not have are refused before any call; no secret of
//! the client leaves here within a text.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::account::{Account, Form};
use crate::kms::auth::credentials::{Credentials, TokenPair};
use crate::kms::auth::secret::bad;
use crate::kms::auth::source::CredentialSource;
use crate::kms::auth::token::Tokens;
use crate::kms::auth::token_set::TokenSet;
use crate::kms::endpoint::{Api, SignatureVersion};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

/// The one way of the four in which a client authenticates its calls.
pub(crate) enum Auth {
    Account(Account),
    /// A key's tokens, with the account for what tokens cannot do, if there is one too.
    Token(Box<Tokens>, Option<Account>),
}

impl Auth {
    /// Chooses between account and token as [`Credentials::from_env`] documents, of what was given,
    /// what is stored and what a source will give.
    pub(crate) fn choose(
        form: Form,
        given: Option<Credentials>,
        stored: Option<TokenSet>,
        source: Option<Arc<dyn CredentialSource>>,
    ) -> Result<Self> {
        let invalid = |message: &'static str| Err(Error::new(ErrorKind::InvalidInput, message));
        let given = given.unwrap_or_else(Credentials::none);
        let (credentials, passed_over) = match stored {
            Some(stored) => given.with_stored(stored)?,
            None => (given, None),
        };
        let (keys, tokens) = credentials.into_parts();
        let has_account = keys.is_some() || source.is_some();
        match (form.api, tokens) {
            (Api::V2, Some(TokenPair { access, refresh })) => {
                // The signature is the account's, and tokens need none.
                let form = Form { signature: SignatureVersion::V2, ..form };
                let account = has_account.then(|| Account::new(form, keys, source)).transpose()?;
                let tokens = Tokens::new(access, refresh, passed_over);
                Ok(Self::Token(Box::new(tokens), account))
            }
            (Api::V1, Some(_)) if !has_account => {
                invalid("api 1.0 takes no tokens: choose api 2.0, or give account credentials")
            }
            (Api::V2, None) if form.signature == SignatureVersion::V1 => {
                invalid("api 2.0 has signature version v2 only: choose it, or api 1.0")
            }
            _ if has_account => Account::new(form, keys, source).map(Self::Account),
            _ => Err(bad(
                "the client has no credentials: give it some, a credential chain or source, or a \
                 token store that holds tokens",
            )),
        }
    }

    /// The account, if there is one.
    pub(crate) fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::Token(_, account) => account.as_ref(),
        }
    }

    /// `text` with every credential of this client replaced.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut hide =
            |secret: &SecretString| text = text.replace(secret.expose_secret(), "[redacted]");
        if let Self::Token(tokens, _) = self {
            tokens.each_secret(&mut hide);
        }
        if let Some(account) = self.account() {
            account.each_secret(&mut hide);
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

    fn choose(api: Api, signature: SignatureVersion, credentials: Credentials) -> Result<String> {
        Auth::choose(Form { api, signature }, Some(credentials), None, None)
            .map(|auth| format!("{auth:?}"))
    }

    fn account() -> Credentials {
        Credentials::account("canary1", "canary2").unwrap()
    }

    #[test]
    fn tokens_are_for_api_2_and_the_account_for_the_rest() {
        let both = account().with_token("t", None).unwrap();
        let name = |api, credentials: &Credentials| {
            choose(api, SignatureVersion::V2, credentials.clone()).unwrap()
        };
        assert_eq!(
            (name(Api::V2, &both), name(Api::V1, &both)),
            ("token".into(), "account".into())
        );
        assert_eq!(name(Api::V2, &account()), "account");
    }

    #[test]
    fn combinations_the_service_does_not_have_are_refused() {
        let kind =
            |api, signature, credentials| choose(api, signature, credentials).unwrap_err().kind();
        let token = Credentials::token("t", None).unwrap();
        assert_eq!(kind(Api::V1, SignatureVersion::V2, token), ErrorKind::InvalidInput);
        assert_eq!(kind(Api::V2, SignatureVersion::V1, account()), ErrorKind::InvalidInput);
        assert_eq!(kind(Api::V1, SignatureVersion::V1, account()), ErrorKind::Credentials);
        let nothing = Credentials::none();
        assert_eq!(kind(Api::V2, SignatureVersion::V2, nothing), ErrorKind::Credentials);
        let gateway = account().with_api_gateway_key("g").unwrap();
        assert!(choose(Api::V1, SignatureVersion::V1, gateway).is_ok());
    }

    #[test]
    fn secrets_are_taken_out_of_texts() {
        let form = Form { api: Api::V1, signature: SignatureVersion::V1 };
        let credentials = account().with_api_gateway_key("canary3").unwrap();
        let auth = Auth::choose(form, Some(credentials), None, None).unwrap();
        assert_eq!(auth.redact("x canary1 canary2canary3"), "x [redacted] [redacted][redacted]");
    }
}
