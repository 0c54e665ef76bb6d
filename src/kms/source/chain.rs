//! The places where a machine may have credentials, in their order.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::Credentials;
use crate::kms::auth::configure;
use crate::kms::auth::environment::{self, NAMES};
use crate::kms::auth::source::CredentialSource;
use crate::kms::source::server_role::ServerRole;
use crate::wrap::BoxFuture;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Looks for credentials where this machine may have them. The first place that has any is the only
/// one that counts.
///
/// | place | what is found |
/// | --- | --- |
/// | environment, as [`Credentials::from_env`] reads it | an account, tokens, or both |
/// | `~/.ncloud/configure`, of the cloud's own command line | an account |
/// | the Server Role, as [`ServerRole`] fetches it | account keys that end |
///
/// The home is `HOME`, on Windows `USERPROFILE`. An API Gateway key in the environment goes with an
/// account from anywhere.
///
/// In [`ClientBuilder::credential_chain`](crate::kms::ClientBuilder::credential_chain) the first
/// two are read while the client is built. Where they have an account, they are read again when its
/// keys are refused: a mounted secret or a file may have been replaced.
///
/// ```no_run
/// use ncp_envelope::kms::{Client, CredentialChain};
/// let client = Client::builder().credential_chain(CredentialChain::from_env()?).build()?;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CredentialChain(Arc<Places>);

#[derive(Debug)]
struct Places {
    tokens: bool,
    configure: Option<PathBuf>,
    role: ServerRole,
}

impl CredentialChain {
    /// The places of this machine.
    ///
    /// # Errors
    /// Those of [`ServerRole::from_env`].
    pub fn from_env() -> Result<Self> {
        Self::of(true)
    }

    /// The same without tokens, for calls that need an account.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn account_from_env() -> Result<Self> {
        Self::of(false)
    }

    fn of(tokens: bool) -> Result<Self> {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let home = std::env::var_os(home).filter(|home| !home.is_empty());
        let configure = home.map(|home| Path::new(&home).join(".ncloud").join("configure"));
        let places = Places { tokens, configure, role: ServerRole::from_env()? };
        Ok(Self(Arc::new(places)))
    }

    /// Looks at what needs no network; `stored` if there are tokens already.
    pub(crate) fn begin(self, stored: bool) -> Result<Beginning> {
        let found = self.0.look(|name| std::env::var_os(name))?;
        let has_account = found.as_ref().is_some_and(Credentials::has_account);
        // The network is asked for whom nothing else is set. Who has tokens and no account was not
        // meant to have one.
        let asks = has_account || (found.is_none() && !stored);
        let source = asks.then(|| Arc::new(self) as Arc<dyn CredentialSource>);
        Ok(Beginning { credentials: found, source })
    }
}

/// What a client begins with.
pub(crate) struct Beginning {
    pub(crate) credentials: Option<Credentials>,
    /// Whom it asks for account keys later.
    pub(crate) source: Option<Arc<dyn CredentialSource>>,
}

impl Places {
    /// What the environment and the file have.
    fn look(&self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<Credentials>> {
        let environment = environment::look(lookup)?;
        let found = match environment.credentials {
            Some(found) if self.tokens => Some(found),
            Some(found) => found.account_only(),
            None => None,
        };
        if found.is_some() {
            return Ok(found);
        }
        let found = self.configure.as_deref().map(configure::read).transpose()?.flatten();
        match (found, environment.api_gateway_key) {
            (Some(account), Some(key)) => account.with_api_gateway_key(key).map(Some),
            (found, _) => Ok(found),
        }
    }

    /// Nothing was found anywhere.
    fn nothing(&self, role: Error) -> Error {
        let configure = match &self.configure {
            Some(path) => format!("no keys are in {}", path.display()),
            None => "there is no home to look into".to_owned(),
        };
        let message = format!("no credentials: set {NAMES}; {configure}; no server role: {role}");
        Error::with_source(ErrorKind::Credentials, message, role)
    }
}

impl CredentialSource for CredentialChain {
    /// # Errors
    /// [`ErrorKind::Credentials`], with all places that were looked at, if none has any; those of
    /// [`Credentials::from_env`]; [`ErrorKind::Unavailable`] if the server's role was there before
    /// and its service does not answer now.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        Box::pin(async {
            let places = Arc::clone(&self.0);
            let look = move || places.look(|name| std::env::var_os(name));
            let found = tokio::task::spawn_blocking(look).await.map_err(|error| {
                Error::with_source(ErrorKind::Internal, "credentials were not looked for", error)
            })?;
            if let Some(found) = found? {
                return Ok(found);
            }
            let role = &self.0.role;
            match role.credentials().await {
                Ok(keys) => Ok(keys),
                Err(error) if error.kind() == ErrorKind::Unavailable && role.is_there() => {
                    Err(error)
                }
                Err(error) => Err(self.0.nothing(error)),
            }
        })
    }
}
