//! The places where a machine may have credentials, in order.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::Credentials;
use crate::kms::auth::configure;
use crate::kms::auth::environment::{self, NAMES};
use crate::kms::auth::source::CredentialSource;
use crate::kms::endpoint::Api;
use crate::kms::source::server_role::ServerRole;
use crate::runtime;
use crate::wrap::BoxFuture;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Looks for credentials in the places of this machine. Only the first place that has any is used.
///
/// | place | what is found |
/// | --- | --- |
/// | environment, as [`Credentials::from_env`] reads it | an account, tokens, or both |
/// | `~/.ncloud/configure`, of the cloud's own command line | an account |
/// | the Server Role, as [`ServerRole`] fetches it | account keys that expire |
///
/// The home directory is `HOME`, on Windows `USERPROFILE`. An API Gateway key in the environment
/// belongs to the account, wherever that is from. A client of API 1.0, which takes no tokens, skips
/// them.
///
/// In [`ClientBuilder::credential_chain`](crate::kms::ClientBuilder::credential_chain) the first
/// two are read while the client is built. If they have an account, they are read again when its
/// keys are refused, because a mounted secret or a file may have been replaced.
///
/// ```
/// use ncp_envelope::kms::{Client, CredentialChain};
/// let chain = CredentialChain::from_env()?;
/// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
/// let client = Client::builder().credential_chain(chain).build()?;
/// // The network is asked at the first call, if nothing else has any.
/// assert_eq!(client.stats().calls, 0);
/// # }
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
    ///
    /// ```
    /// use ncp_envelope::kms::{CredentialChain, CredentialSource};
    /// # if std::env::var_os("NCLOUD_METADATA_API_ENDPOINT").is_none() {
    /// let chain = CredentialChain::from_env()?;
    /// // It is a source of account keys, too.
    /// let source: &dyn CredentialSource = &chain;
    /// # let _ = source;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        Self::of(true)
    }

    /// The same without tokens, for calls that need an account.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, CredentialChain};
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// let chain = CredentialChain::account_from_env()?;
    /// let client = Client::builder().credential_chain(chain).build()?;
    /// // Never a token, whatever the environment has.
    /// assert!(client.current_access_token().is_none());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
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

    /// Searches the places that need no network, for a client of this API; `stored` if there are
    /// tokens already.
    pub(crate) fn begin(self, api: Api, stored: bool) -> Result<Beginning> {
        // API 1.0 takes no tokens, so they were not meant for it.
        let tokens = self.0.tokens && api == Api::V2;
        let found = self.0.look(tokens, |name| std::env::var_os(name))?;
        let has_account = found.as_ref().is_some_and(Credentials::has_account);
        // The network is asked only if nothing else is set. A client with tokens and no account was
        // not meant to have one.
        let asks = has_account || (found.is_none() && !(stored && tokens));
        let source = asks.then(|| Arc::new(self) as Arc<dyn CredentialSource>);
        Ok(Beginning { credentials: found, source })
    }
}

/// What a client starts with.
pub(crate) struct Beginning {
    pub(crate) credentials: Option<Credentials>,
    /// The source of account keys later.
    pub(crate) source: Option<Arc<dyn CredentialSource>>,
}

impl Places {
    /// The credentials of the environment and the file.
    fn look(
        &self,
        tokens: bool,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Credentials>> {
        let environment = environment::look(lookup)?;
        let found = match environment.credentials {
            Some(found) if tokens => Some(found),
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
    /// [`ErrorKind::Credentials`] with all searched places if none has any; those of
    /// [`Credentials::from_env`]; [`ErrorKind::Unavailable`] if the metadata service answered
    /// before and does not answer now.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        Box::pin(async {
            let places = Arc::clone(&self.0);
            // A client has its tokens; it asks only for the account.
            let look = move || places.look(false, |name| std::env::var_os(name));
            if let Some(found) = runtime::offload(look).await? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::auth::credentials::tests::shown;

    fn chain(tokens: bool, configure: &Path) -> CredentialChain {
        let role = ServerRole::at("http://127.0.0.1:1").unwrap();
        CredentialChain(Arc::new(Places { tokens, configure: Some(configure.to_owned()), role }))
    }

    #[test]
    fn the_first_place_that_has_what_is_looked_for_counts() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("configure");
        std::fs::write(&file, "ncloud_access_key_id=fa\nncloud_secret_access_key=fs\n").unwrap();
        let none = directory.path().join("none");
        const TOKEN: (&str, &str) = ("NCP_KMS_ACCESS_TOKEN", "t");
        const ACCOUNT: [(&str, &str); 2] = [("NCP_ACCESS_KEY", "a"), ("NCP_SECRET_KEY", "s")];
        for (tokens, configure, variables, expected) in [
            (true, &file, &[][..], Some("fa fs - -")),
            (true, &file, &[TOKEN], Some("- - t -")),
            (false, &file, &[TOKEN], Some("fa fs - -")),
            (true, &file, &[TOKEN, ACCOUNT[0], ACCOUNT[1]], Some("a s t -")),
            (false, &file, &[TOKEN, ACCOUNT[0], ACCOUNT[1]], Some("a s - -")),
            (false, &none, &[TOKEN], None),
            (true, &none, &[], None),
        ] {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
            };
            let found = chain(tokens, configure).0.look(tokens, find).unwrap();
            assert_eq!(found.map(|found| shown(&found)).as_deref(), expected, "{variables:?}");
        }
        let gateway = |name: &str| (name == "NCP_APIGW_API_KEY").then(|| "g".into());
        let found = chain(true, &file).0.look(true, gateway).unwrap().unwrap();
        assert!(found.into_account().unwrap().api_gateway_key.is_some());
    }
}
