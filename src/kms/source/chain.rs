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

/// A place where credentials may be.
///
/// ```
/// use ncp_envelope::kms::{Client, CredentialChain, CredentialPlace, Credentials};
/// // Keys of the program's own, unless the environment has some.
/// let own = CredentialPlace::Stored(Credentials::account("access-key", "secret-key")?);
/// let chain = CredentialChain::of([CredentialPlace::Environment, own])?;
/// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
/// let client = Client::builder().credential_chain(chain).build()?;
/// # assert_eq!(client.stats().calls, 0);
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CredentialPlace {
    /// The environment, as [`Credentials::from_env`] reads it: an account, tokens, or both.
    Environment,
    /// These, such as those in a configuration file.
    Stored(Credentials),
    /// `~/.ncloud/configure`, of the cloud's own command line: an account. The home directory is
    /// `HOME`, on Windows `USERPROFILE`.
    ConfigureFile,
    /// The Server Role, as [`ServerRole`] fetches it: account keys that expire.
    ServerRole,
}

/// Looks for credentials in the places of this machine. Only the first place that has any is used.
///
/// An API Gateway key in the environment belongs to the account, wherever that is from. A client of
/// API 1.0, which takes no tokens, skips them.
///
/// In [`ClientBuilder::credential_chain`](crate::kms::ClientBuilder::credential_chain) all places
/// but the Server Role are read while the client is built. If they have an account, they are read
/// again when its keys are refused, because a mounted secret or a file may have been replaced.
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

#[derive(Debug, Clone)]
struct Places {
    tokens: bool,
    order: Vec<CredentialPlace>,
    configure: Option<PathBuf>,
    role: Option<Arc<ServerRole>>,
}

impl CredentialChain {
    /// All places of this machine: the environment, the file of the cloud's own command line, the
    /// Server Role.
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
        Self::of(CredentialPlace::ALL)
    }

    /// These places, in this order. The Server Role is the last one, wherever it stands, because
    /// only it needs the network.
    ///
    /// # Errors
    /// Those of [`ServerRole::from_env`], if that is one of them.
    ///
    /// ```
    /// use ncp_envelope::kms::{CredentialChain, CredentialPlace, Credentials};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// // Whatever the environment has.
    /// let chain = CredentialChain::of([CredentialPlace::Stored(account)])?;
    /// # let _ = chain;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn of(places: impl IntoIterator<Item = CredentialPlace>) -> Result<Self> {
        let order: Vec<_> = places.into_iter().collect();
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let home = std::env::var_os(home).filter(|home| !home.is_empty());
        let configure = home.map(|home| Path::new(&home).join(".ncloud").join("configure"));
        let asks = order.iter().any(|place| matches!(place, CredentialPlace::ServerRole));
        let role = asks.then(ServerRole::from_env).transpose()?.map(Arc::new);
        Ok(Self(Arc::new(Places { tokens: true, order, configure, role })))
    }

    /// The same without tokens, for calls that need an account.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, CredentialChain};
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// let chain = CredentialChain::from_env()?.account_only();
    /// let client = Client::builder().credential_chain(chain).build()?;
    /// // Never a token, whatever the environment has.
    /// assert!(client.current_access_token().is_none());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn account_only(mut self) -> Self {
        Arc::make_mut(&mut self.0).tokens = false;
        self
    }

    /// The first place that has credentials for a client of this API, and its name: a variable, or
    /// a file. The Server Role is not asked: it is the place if no other has any. `None` if it is
    /// not one of them.
    ///
    /// # Errors
    /// Those of [`Credentials::from_env`] and of reading the file, except that nothing is there.
    ///
    /// ```
    /// use ncp_envelope::kms::{Api, CredentialChain, CredentialPlace, Credentials};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// let chain = CredentialChain::of([CredentialPlace::Stored(account)])?;
    /// # if std::env::var_os("NCP_APIGW_API_KEY").is_none() {
    /// let (place, _) = chain.find(Api::V2)?.expect("what is stored is found");
    /// assert!(matches!(place, CredentialPlace::Stored(_)));
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn find(&self, api: Api) -> Result<Option<(CredentialPlace, String)>> {
        let tokens = self.0.tokens && api == Api::V2;
        let found = self.0.look(tokens, |name| std::env::var_os(name))?;
        let role = || (CredentialPlace::ServerRole, "Server Role".to_owned());
        Ok(match found {
            Some(Found { place, name, .. }) => Some((place, name)),
            None => self.0.role.as_ref().map(|_| role()),
        })
    }

    /// Searches the places that need no network, for a client of this API; `stored` if there are
    /// tokens already.
    pub(crate) fn begin(self, api: Api, stored: bool) -> Result<Beginning> {
        // API 1.0 takes no tokens, so they were not meant for it.
        let tokens = self.0.tokens && api == Api::V2;
        let found = self.0.look(tokens, |name| std::env::var_os(name))?;
        let found = found.map(|found| found.credentials);
        let has_account = found.as_ref().is_some_and(Credentials::has_account);
        // A client with tokens and no account was not meant to have one.
        let lacks = found.is_none() && !(stored && tokens);
        if lacks && self.0.role.is_none() {
            return Err(self.0.nothing(None));
        }
        // The network is asked only if nothing else is set.
        let source = (has_account || lacks).then(|| Arc::new(self) as Arc<dyn CredentialSource>);
        Ok(Beginning { credentials: found, source })
    }
}

/// What a client starts with.
pub(crate) struct Beginning {
    pub(crate) credentials: Option<Credentials>,
    /// The source of account keys later.
    pub(crate) source: Option<Arc<dyn CredentialSource>>,
}

impl CredentialPlace {
    /// All places of a machine, in their order.
    pub(crate) const ALL: [Self; 3] = [Self::Environment, Self::ConfigureFile, Self::ServerRole];
}

/// Credentials, and where they were.
struct Found {
    credentials: Credentials,
    place: CredentialPlace,
    name: String,
}

impl Places {
    /// The first credentials that need no network.
    fn look(
        &self,
        tokens: bool,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Found>> {
        for place in &self.order {
            let (credentials, name) = match place {
                CredentialPlace::Environment => {
                    let found = environment::look(&lookup)?;
                    (found.credentials, found.named_by.unwrap_or_default().to_owned())
                }
                CredentialPlace::Stored(stored) => (Some(stored.clone()), String::new()),
                CredentialPlace::ConfigureFile => {
                    let path = self.configure.as_deref();
                    let name = path.map(|path| path.display().to_string()).unwrap_or_default();
                    (path.map(configure::read).transpose()?.flatten(), name)
                }
                CredentialPlace::ServerRole => continue,
            };
            let credentials = match credentials {
                Some(found) if !tokens => found.account_only(),
                found => found,
            };
            let Some(credentials) = credentials else { continue };
            let credentials = match environment::api_gateway_key(&lookup)? {
                Some(key) => credentials.with_api_gateway_key(key)?,
                None => credentials,
            };
            return Ok(Some(Found { credentials, place: place.clone(), name }));
        }
        Ok(None)
    }

    /// Nothing was found anywhere.
    fn nothing(&self, role: Option<Error>) -> Error {
        let configure = || match &self.configure {
            Some(path) => format!("no keys are in {}", path.display()),
            None => "there is no home to look into".to_owned(),
        };
        let searched = self.order.iter().filter_map(|place| match place {
            CredentialPlace::Environment => Some(format!("set {NAMES}{HINT}")),
            CredentialPlace::Stored(_) => None,
            CredentialPlace::ConfigureFile => Some(configure()),
            CredentialPlace::ServerRole => Some(format!("no server role: {}", role.as_ref()?)),
        });
        let searched: Vec<_> = searched.collect();
        let message = match searched.is_empty() {
            true => "no credentials, and no place to look for them".to_owned(),
            false => format!("no credentials: {}", searched.join("; ")),
        };
        match role {
            Some(role) => Error::with_source(ErrorKind::Credentials, message, role),
            None => Error::new(ErrorKind::Credentials, message),
        }
    }
}

/// What else can be done, where it can be.
const HINT: &str = match cfg!(feature = "profile") {
    true => ", or store them in a profile of the configuration file",
    false => "",
};

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
                return Ok(found.credentials);
            }
            let Some(role) = &self.0.role else { return Err(self.0.nothing(None)) };
            match role.credentials().await {
                Ok(keys) => Ok(keys),
                Err(error) if error.kind() == ErrorKind::Unavailable && role.is_there() => {
                    Err(error)
                }
                Err(error) => Err(self.0.nothing(Some(error))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::auth::credentials::tests::shown;

    fn chain(tokens: bool, configure: &Path) -> CredentialChain {
        let role = Some(Arc::new(ServerRole::at("http://127.0.0.1:1").unwrap()));
        let (order, configure) = (CredentialPlace::ALL.to_vec(), Some(configure.to_owned()));
        CredentialChain(Arc::new(Places { tokens, order, configure, role }))
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
            let found = found.map(|found| shown(&found.credentials));
            assert_eq!(found.as_deref(), expected, "{variables:?}");
        }
        let gateway = |name: &str| (name == "NCP_APIGW_API_KEY").then(|| "g".into());
        let found = chain(true, &file).0.look(true, gateway).unwrap().unwrap();
        assert!(found.credentials.into_account().unwrap().api_gateway_key.is_some());
    }
}
