//! Clients of a profile. The order in which values count is written here and nowhere else: the
//! environment's, then the profile's, then the default.

use super::settings::Profile;
use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::file_store::FileTokenStore;
use crate::kms::builder::ClientBuilder;
use crate::kms::call::client::Client;
use crate::kms::environment;
use crate::kms::source::chain::{CredentialChain, CredentialPlace};

impl Client {
    /// A client that is set up by a profile of the configuration file, as the program
    /// `ncp-envelope` is: [`ClientBuilder::from_profile`], built.
    ///
    /// # Errors
    /// Those of [`ClientBuilder::from_profile`] and [`ClientBuilder::build`].
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Endpoint};
    /// # if std::env::vars_os().all(|(name, _)| {
    /// #     let name = name.to_string_lossy();
    /// #     !name.starts_with("NC") && !name.starts_with("XDG") && name != "HOME"
    /// # }) {
    /// // The default profile, or the environment alone if there is no configuration file.
    /// let client = Client::from_profile(None)?;
    /// assert_eq!(client.endpoint(), &Endpoint::Global);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_profile(name: Option<&str>) -> Result<Self> {
        ClientBuilder::from_profile(name)?.build()
    }
}

impl ClientBuilder {
    /// A builder with the settings of the environment, as [`from_env`](Self::from_env) has them,
    /// and for what is not set there, those of the profile that [`Profile::load`] finds, if any.
    ///
    /// # Errors
    /// Those of [`Profile::load`], [`Profile::client_builder`] and [`from_env`](Self::from_env).
    ///
    /// ```
    /// use ncp_envelope::kms::ClientBuilder;
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// let error = ClientBuilder::from_profile(Some("no-such-profile")).unwrap_err();
    /// assert_eq!(error.kind(), ncp_envelope::ErrorKind::InvalidInput);
    /// # }
    /// ```
    pub fn from_profile(name: Option<&str>) -> Result<Self> {
        match Profile::load(name)? {
            Some(profile) => profile.client_builder(),
            None => Self::from_env(),
        }
    }
}

impl Profile {
    /// A client's builder with the settings of the environment, and for what is not set there,
    /// those of this profile.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a profile with `local = true`, which only the program can
    /// use, and for a variable's value that the setting does not take; those of
    /// [`CredentialChain::of`].
    ///
    /// ```
    /// use ncp_envelope::kms::{Endpoint, Profile};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("config.toml");
    /// std::fs::write(&path, "[profiles.work]\nendpoint = \"jp\"\ncall_timeout = \"5s\"\n")?;
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// let client = Profile::from_file(&path, Some("work"))?.client_builder()?.build()?;
    /// assert_eq!(client.endpoint(), &Endpoint::Jp);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_builder(&self) -> Result<ClientBuilder> {
        if self.local == Some(true) {
            let message = format!(
                "profile {} of {} is for the embedded key service of the program ncp-envelope: \
                 name another one",
                self.name,
                self.path.display()
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let places = self.credentials.clone().unwrap_or(CredentialPlace::ALL.to_vec());
        let mut builder = Client::builder().credential_chain(CredentialChain::of(places)?);
        macro_rules! set {
            ($($name:ident),+) => {
                $(if let Some(value) = self.$name.clone() {
                    builder = builder.$name(value);
                })+
            };
        }
        set!(endpoint, api, signature, proxy, issue_tokens, re_encrypt_action);
        set!(connect_timeout, attempt_timeout, call_timeout);
        set!(max_attempts, rate_limit, queue_limit, circuit_breaker);
        if let Some(path) = &self.token_store {
            builder = builder.token_store(FileTokenStore::new(path));
        }
        builder = environment::over(builder)?;
        match environment::has_root_certificate() {
            true => builder = builder.root_certificate_from_env(),
            false => {
                for path in self.root_certificate_files.iter().flatten() {
                    builder = builder.root_certificate_file(path);
                }
            }
        }
        Ok(match self.root_certificates_only {
            Some(true) => builder.root_certificates_only(),
            _ => builder,
        })
    }
}
