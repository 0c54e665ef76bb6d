//! The parts of a client. Its calls are in [`send`](super::send), its settings in the builder.

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

/// A client of the key service. Cheap to clone; clones share connections, limits and the access
/// token.
///
/// # Runtime
///
/// Calls run on a thread of the crate, one for the process, which starts with the first call. They
/// can be awaited on any executor, and several runtimes can share a client. A call keeps running,
/// and blocks no other call, while its future is not polled. Dropping the future cancels the call.
///
/// ```
/// # #[cfg(feature = "emulator")] {
/// # use ncp_envelope::{blocking::wait, emulator::Emulator};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
/// # let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// # wait(async {
/// let key = client.key(emulator.key_tag())?;
/// let ciphertext = key.encrypt(b"hello").await?;
/// assert_eq!(client.stats().calls, 1);
/// # let _ = ciphertext;
/// # Ok::<(), ncp_envelope::Error>(())
/// # })??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Shared>);

/// What a client and its clones share.
pub(crate) struct Shared {
    /// An error in a forked process that could not set up its own.
    pub(crate) transport: PerProcess<Result<Transport>>,
    pub(crate) base: Base,
    pub(crate) auth: Auth,
    pub(crate) attempt_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) policy: Policy,
    /// The clock that calls are signed with; another one in tests only.
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) quota: Quota,
    pub(crate) counters: Counters,
    pub(crate) token_store: Option<Arc<dyn TokenStore>>,
    /// Whether the account issues new tokens when the current ones were refused.
    pub(crate) issue_tokens: bool,
    pub(crate) endpoint: Endpoint,
    pub(crate) api: Api,
    pub(crate) signature: SignatureVersion,
    pub(crate) re_encrypt: String,
}

impl Client {
    /// The endpoint that calls go to.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().credentials(account).build()?;
    /// assert_eq!(client.endpoint(), &Endpoint::Global);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The generation of the API.
    ///
    /// ```
    /// use ncp_envelope::kms::{Api, Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().credentials(account).build()?;
    /// assert_eq!(client.api(), Api::V2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn api(&self) -> Api {
        self.0.api
    }

    /// A copy of the current access token, which differs from the given one after a refresh; `None`
    /// for an account.
    ///
    /// For programs that store the token for their next run. It is a secret: handle it as one.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// use secrecy::ExposeSecret;
    /// let token = Credentials::token("access-token", None)?;
    /// let client = Client::builder().credentials(token).build()?;
    /// let token = client.current_access_token();
    /// assert_eq!(token.as_ref().map(|token| token.expose_secret()), Some("access-token"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn current_access_token(&self) -> Option<SecretString> {
        match &self.0.auth {
            Auth::Token(tokens, _) => Some(tokens.current().token()),
            Auth::Account(_) => None,
        }
    }

    /// Replaces the account keys of this client and its clones. Caches, connections and limits
    /// stay. A [`CredentialSource`](crate::kms::CredentialSource) does this automatically.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] if this client has tokens only, or if `credentials` lack an
    /// account or the API Gateway key that its signatures need.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().credentials(account).build()?;
    /// client.set_account(Credentials::account("next-access-key", "next-secret-key")?)?;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn set_account(&self, credentials: Credentials) -> Result<()> {
        let none = || Error::new(ErrorKind::Credentials, "this client has tokens and no account");
        self.0.auth.account().ok_or_else(none)?.replace(credentials)
    }

    /// Counts of what this client and its clones did so far.
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
    /// key.encrypt(b"hello").await?;
    /// let stats = client.stats();
    /// assert_eq!((stats.calls, stats.failed_calls), (1, 0));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// # })??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
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
