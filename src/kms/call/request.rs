//! A call: method, path, body, what it authenticates with, and whether it is idempotent.
//!
//! Promises: a call that changes something is sent again only if the service saw nothing of it.
//! This module knows nothing of HTTP clients.

use crate::error::Error;
use crate::kms::auth::account::Keys;
use crate::kms::call::retry::Repeat;
use crate::kms::wire::response::{Due, RESULTS};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use tokio::time::Instant;

/// How a call differs from a cipher call, which is a POST to an action of a key with the client's
/// own credentials.
#[derive(Clone)]
pub(crate) struct CallOptions {
    pub(crate) method: Method,
    /// Path and query, percent-encoded, in place of the key's path and the action.
    pub(crate) path: Option<String>,
    pub(crate) repeat: Repeat,
    /// What the response must hold.
    pub(crate) due: Due,
    /// A token that this call authenticates with in place of the client's credentials.
    pub(crate) token: Option<SecretString>,
    /// Whether it is signed for the account even if the client has tokens.
    pub(crate) account: bool,
    /// Whether errors may show the body.
    pub(crate) open: bool,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            method: Method::POST,
            path: None,
            repeat: Repeat::Transient,
            due: RESULTS,
            token: None,
            account: false,
            open: false,
        }
    }
}

impl CallOptions {
    /// Reads something: retried as needed. The response has one of these fields, or a code.
    pub(crate) fn read(names: &'static [&'static str]) -> Self {
        let due = Due::AnyOf(names);
        Self { method: Method::GET, repeat: Repeat::Transient, due, open: true, ..Self::default() }
    }

    /// Changes something: sent once.
    pub(crate) fn change(method: Method) -> Self {
        let due = Due::Nothing;
        Self { method, repeat: Repeat::Unseen, due, open: true, ..Self::default() }
    }

    /// Same, for a change whose response is needed: it has one of these fields, or a code.
    pub(crate) fn giving(self, names: &'static [&'static str]) -> Self {
        Self { due: Due::AnyOf(names), ..self }
    }

    /// Same, at this path and query.
    pub(crate) fn at(self, path: String) -> Self {
        Self { path: Some(path), ..self }
    }

    /// Same, signed for the account.
    pub(crate) fn by_account(self) -> Self {
        Self { account: true, ..self }
    }

    /// Same, authenticated with this token.
    pub(crate) fn with_token(self, token: SecretString) -> Self {
        Self { token: Some(token), ..self }
    }
}

/// A call as the service sees it, whatever the attempt.
pub(crate) struct Call<'a> {
    /// What errors call it.
    pub(crate) operation: &'static str,
    pub(crate) tag: Cow<'a, str>,
    /// The last part of the path.
    pub(crate) action: Cow<'a, str>,
    /// Not sent when it is empty.
    pub(crate) body: Bytes,
    pub(crate) options: CallOptions,
}

impl Call<'_> {
    /// The same, for a task that outlives the caller's borrows.
    pub(crate) fn to_owned(&self) -> Call<'static> {
        Call {
            operation: self.operation,
            tag: Cow::Owned(self.tag.clone().into_owned()),
            action: Cow::Owned(self.action.clone().into_owned()),
            body: self.body.clone(),
            options: self.options.clone(),
        }
    }

    /// `error`, with the call before it.
    pub(crate) fn failed(&self, error: &Error) -> Error {
        Error::with_source(error.kind(), format!("{self}: {error}"), error.clone())
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.tag {
            "" => f.write_str(self.operation),
            tag => write!(f, "{} with key {tag}", self.operation),
        }
    }
}

/// What an attempt authenticates with.
pub(crate) enum Pass {
    /// Nothing, as it was not sent.
    None,
    /// These keys of the account.
    Account(Arc<Keys>),
    /// The access token of this generation.
    Access(u64, HeaderValue),
    Refresh(HeaderValue),
    /// A token of the caller, not of the client.
    Given(HeaderValue),
}

/// How the attempts of a call are made.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) deadline: Instant,
    /// Whether it goes before all waiters of the rate limit.
    pub(crate) urgent: bool,
}
