//! What a client is made of. Its calls are in [`send`](super::send), its settings in the builder.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::store::TokenStore;
use crate::kms::auth::{Auth, Credentials};
use crate::kms::call::clock::Clock;
use crate::kms::call::gate::Gate;
use crate::kms::call::quota::Quota;
use crate::kms::call::retry::Policy;
use crate::kms::call::stats::{Counters, Stats};
use crate::kms::call::transport::Transport;
use crate::kms::endpoint::{Api, Base, Endpoint, SignatureVersion, path};
use crate::process::PerProcess;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A client of the service. Cheap to clone; clones share connections and the access token.
///
/// Its calls run on a thread of the crate's own, one for the process, started at the first call.
/// So they can be waited for on any executor, several runtimes can share a client, and a call goes
/// on, and holds up no other, if whoever waits for it is not polled for a while. Dropping a call's
/// future stops it.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Shared>);

/// What a client and its clones share.
pub(crate) struct Shared {
    /// An error in a process that was forked off and could not set up its own.
    pub(crate) transport: PerProcess<Result<Transport>>,
    pub(crate) base: Base,
    pub(crate) auth: Auth,
    pub(crate) attempt_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) policy: Policy,
    /// The time that calls are signed with; another one in tests only.
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) quota: Quota,
    pub(crate) counters: Counters,
    pub(crate) token_store: Option<Arc<dyn TokenStore>>,
    /// Whether the account issues new tokens when those that there are were refused.
    pub(crate) issue_tokens: bool,
    pub(crate) endpoint: Endpoint,
    pub(crate) api: Api,
    pub(crate) signature: SignatureVersion,
    pub(crate) re_encrypt: String,
}

impl Client {
    /// Where calls go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Which generation of the API is spoken.
    pub fn api(&self) -> Api {
        self.0.api
    }

    /// A copy of the access token in use now, which differs from the one given after a refresh;
    /// `None` for an account.
    ///
    /// For programs that keep the token for their next run. Handle it as the secret it is.
    pub fn current_access_token(&self) -> Option<SecretString> {
        match &self.0.auth {
            Auth::Token(tokens, _) => Some(tokens.current().token()),
            Auth::Account(_) => None,
        }
    }

    /// Signs calls with other account keys from now on, in this client and its clones; caches,
    /// connections and limits stay. A [`CredentialSource`](crate::kms::CredentialSource) brings new
    /// keys by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] if this client has tokens only, or `credentials` have no account
    /// or not the API Gateway key that its signatures need.
    pub fn set_account(&self, credentials: Credentials) -> Result<()> {
        let none = || Error::new(ErrorKind::Credentials, "this client has tokens and no account");
        self.0.auth.account().ok_or_else(none)?.replace(credentials)
    }

    /// What this client and its clones did so far.
    pub fn stats(&self) -> Stats {
        self.0.counters.stats()
    }

    /// Whether calls carry a token, which serves one key only.
    pub(crate) fn uses_token(&self) -> bool {
        matches!(self.0.auth, Auth::Token(..))
    }

    /// Whether there is an account to sign calls with.
    pub(crate) fn has_account(&self) -> bool {
        self.0.auth.account().is_some()
    }

    pub(crate) fn path(&self, tag: &str, action: &str) -> String {
        path(self.0.api, self.0.signature, tag, action)
    }

    /// The last part of the path of re-encrypt calls.
    pub(crate) fn re_encrypt_action(&self) -> &str {
        &self.0.re_encrypt
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { endpoint, api, signature, auth, .. } = &*self.0;
        let mut out = f.debug_struct("Client");
        out.field("endpoint", endpoint).field("api", api).field("auth", auth);
        if matches!(auth, Auth::Account(_)) {
            out.field("signature", signature);
        }
        out.finish()
    }
}
