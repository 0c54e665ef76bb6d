//! How a call is made: method, path, what it authenticates with, and whether it may be made twice.
//!
//! Promises: what changes something is sent again only if the service saw nothing of it. This
//! module knows nothing of HTTP clients.

use super::retry::Repeat;
use reqwest::Method;
use secrecy::SecretString;

/// How one call differs from a cipher call, which is a POST to an action of a key with the client's
/// own credentials.
pub(super) struct Manner {
    pub(super) method: Method,
    /// Path and query, percent-encoded, in place of the key's path and the action.
    pub(super) path: Option<String>,
    pub(super) repeat: Repeat,
    /// A token that this call authenticates with in place of the client's credentials.
    pub(super) token: Option<SecretString>,
    /// Whether the body holds nothing that errors must not show.
    pub(super) open: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            method: Method::POST,
            path: None,
            repeat: Repeat::Transient,
            token: None,
            open: false,
        }
    }
}

impl Manner {
    /// Reads something: as often as it takes.
    pub(super) fn read() -> Self {
        Self { method: Method::GET, repeat: Repeat::Transient, open: true, ..Self::default() }
    }

    /// Changes something: once.
    pub(super) fn change(method: Method) -> Self {
        Self { method, repeat: Repeat::Unseen, open: true, ..Self::default() }
    }

    /// Same, at this path and query.
    pub(super) fn at(self, path: String) -> Self {
        Self { path: Some(path), ..self }
    }

    /// Same, authenticated with this token.
    pub(super) fn with_token(self, token: SecretString) -> Self {
        Self { token: Some(token), ..self }
    }
}
