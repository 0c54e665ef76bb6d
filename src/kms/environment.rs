//! A client's settings in the environment: the one place that knows the names of the variables,
//! for the library and for the program. Those of credentials are in [`Credentials::from_env`].
//!
//! Promises: an empty variable counts as not set; an error names the variable, and repeats its
//! value only where no password can be in it.
//!
//! [`Credentials::from_env`]: crate::kms::Credentials::from_env

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::file_store::FileTokenStore;
use crate::kms::builder::ClientBuilder;
use crate::kms::call::client::Client;
use crate::kms::call::proxy::Proxy;
use crate::kms::endpoint::{Api, Endpoint, SignatureVersion};
use crate::kms::source::chain::CredentialChain;
use std::ffi::OsString;
use std::str::FromStr;

const ENDPOINT: &str = "NCP_KMS_ENDPOINT";
const API: &str = "NCP_KMS_API";
const SIGNATURE: &str = "NCP_KMS_SIGNATURE";
const PROXY: &str = "NCP_KMS_PROXY";
const CA_CERT: &str = "NCP_KMS_CA_CERT";
const TOKEN_STORE: &str = "NCP_KMS_TOKEN_STORE";
/// The configuration file.
#[cfg(feature = "profile")]
pub(crate) const CONFIG: &str = "NCP_ENVELOPE_CONFIG";
/// The profile in it.
#[cfg(feature = "profile")]
pub(crate) const PROFILE: &str = "NCP_KMS_PROFILE";

impl Client {
    /// A client that is configured by the environment alone, as the program `ncp-envelope` is:
    /// [`ClientBuilder::from_env`], built.
    ///
    /// Where no credentials are set, the first call asks for those of the Server Role, and its
    /// error names all the places that were searched.
    ///
    /// # Errors
    /// Those of [`ClientBuilder::from_env`] and [`ClientBuilder::build`].
    ///
    /// ```
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// use ncp_envelope::kms::{Client, Endpoint};
    /// let client = Client::from_env()?;
    /// assert_eq!(client.endpoint(), &Endpoint::Global);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        ClientBuilder::from_env()?.build()
    }
}

impl ClientBuilder {
    /// A builder with the settings of the environment. An empty variable counts as not set.
    ///
    /// | variable | setting |
    /// | --- | --- |
    /// | `NCP_KMS_ENDPOINT` | [`endpoint`](Self::endpoint), as [`Endpoint::from_env`] reads it |
    /// | `NCP_KMS_API` | [`api`](Self::api): `1` or `2` |
    /// | `NCP_KMS_SIGNATURE` | [`signature`](Self::signature): `v1` or `v2` |
    /// | `NCP_KMS_PROXY` | [`proxy`](Self::proxy): `none`, `system` or a URL |
    /// | `NCP_KMS_CA_CERT` | [`root_certificate_file`](Self::root_certificate_file) |
    /// | `NCP_KMS_TOKEN_STORE` | [`token_store`](Self::token_store): a [`FileTokenStore`] |
    ///
    /// Credentials come from the [`CredentialChain`] of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with the name of the variable, for a value that the setting
    /// does not take; those of [`CredentialChain::from_env`].
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, ClientBuilder, Credentials};
    /// use std::time::Duration;
    /// # if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("NC")) {
    /// // Everything from the environment, with a setting of the program's own.
    /// let client = ClientBuilder::from_env()?.call_timeout(Duration::from_secs(5)).build()?;
    /// # assert_eq!(client.stats().calls, 0);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        let builder = Client::builder().credential_chain(CredentialChain::from_env()?);
        Ok(over(builder)?.root_certificate_from_env())
    }

    /// As [`root_certificate_file`](Self::root_certificate_file), for the file that
    /// `NCP_KMS_CA_CERT` names, if it names one.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # if std::env::var_os("NCP_KMS_CA_CERT").is_none() {
    /// let credentials = Credentials::account("access-key", "secret-key")?;
    /// let builder = Client::builder().credentials(credentials).root_certificate_from_env();
    /// // Not set: the system's certificates alone are trusted.
    /// assert!(builder.build().is_ok());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn root_certificate_from_env(self) -> Self {
        match set(lookup, CA_CERT) {
            Some(path) => self.root_certificate_file_named_by(path.as_ref(), CA_CERT),
            None => self,
        }
    }
}

impl Endpoint {
    /// The endpoint that `NCP_KMS_ENDPOINT` names: `global`, `kr`, `jp`, `gov`, `fin` or a URL;
    /// [`Endpoint::Global`] if it is not set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    ///
    /// ```
    /// use ncp_envelope::kms::Endpoint;
    /// if std::env::var_os("NCP_KMS_ENDPOINT").is_none() {
    ///     assert_eq!(Endpoint::from_env()?, Endpoint::Global);
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        parsed(lookup, ENDPOINT)
    }
}

impl Api {
    /// The generation that `NCP_KMS_API` names, `1` or `2`; [`Api::V2`] if it is not set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    ///
    /// ```
    /// use ncp_envelope::kms::Api;
    /// if std::env::var_os("NCP_KMS_API").is_none() {
    ///     assert_eq!(Api::from_env()?, Api::V2);
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        parsed(lookup, API)
    }
}

impl SignatureVersion {
    /// The version that `NCP_KMS_SIGNATURE` names, `v1` or `v2`; [`SignatureVersion::V2`] if it is
    /// not set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    ///
    /// ```
    /// use ncp_envelope::kms::SignatureVersion;
    /// if std::env::var_os("NCP_KMS_SIGNATURE").is_none() {
    ///     assert_eq!(SignatureVersion::from_env()?, SignatureVersion::V2);
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        parsed(lookup, SIGNATURE)
    }
}

impl Proxy {
    /// The proxy that `NCP_KMS_PROXY` names: `none`, `system` or a URL; [`Proxy::None`] if it is
    /// not set. A proxy's user name and password may be in the URL.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a proxy that cannot be used. It does not repeat the URL.
    ///
    /// ```
    /// use ncp_envelope::kms::Proxy;
    /// if std::env::var_os("NCP_KMS_PROXY").is_none() {
    ///     assert!(matches!(Proxy::from_env()?, Proxy::None));
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        Ok(proxy()?.unwrap_or_default())
    }
}

impl FileTokenStore {
    /// The store in the file that `NCP_KMS_TOKEN_STORE` names; `None` if it is not set.
    ///
    /// ```
    /// use ncp_envelope::kms::FileTokenStore;
    /// if std::env::var_os("NCP_KMS_TOKEN_STORE").is_none() {
    ///     assert!(FileTokenStore::from_env().is_none());
    /// }
    /// ```
    pub fn from_env() -> Option<Self> {
        set(lookup, TOKEN_STORE).map(Self::new)
    }
}

/// `builder` with what the environment sets in place of what it had, certificates left out: a
/// builder adds them up.
pub(crate) fn over(mut builder: ClientBuilder) -> Result<ClientBuilder> {
    if let Some(endpoint) = value(lookup, ENDPOINT)? {
        builder = builder.endpoint(endpoint);
    }
    if let Some(api) = value(lookup, API)? {
        builder = builder.api(api);
    }
    if let Some(signature) = value(lookup, SIGNATURE)? {
        builder = builder.signature(signature);
    }
    if let Some(proxy) = proxy()? {
        builder = builder.proxy(proxy);
    }
    Ok(match FileTokenStore::from_env() {
        Some(store) => builder.token_store(store),
        None => builder,
    })
}

/// Whether the environment names root certificates.
#[cfg(feature = "profile")]
pub(crate) fn has_root_certificate() -> bool {
    set(lookup, CA_CERT).is_some()
}

fn proxy() -> Result<Option<Proxy>> {
    let Some(text) = text(lookup, PROXY)?.map(zeroize::Zeroizing::new) else {
        return Ok(None);
    };
    let Ok(proxy) = text.parse::<Proxy>();
    proxy.for_tls().map_err(|error| named(PROXY, &error))?;
    Ok(Some(proxy))
}

fn lookup(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The value of the variable `name`, if it has one.
pub(crate) fn set(lookup: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<OsString> {
    lookup(name).filter(|value| !value.is_empty())
}

pub(crate) fn text(
    lookup: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<String>> {
    let text = |value: OsString| {
        let message = format!("{name} is not text");
        value.into_string().map_err(|_| Error::new(ErrorKind::InvalidInput, message))
    };
    set(lookup, name).map(text).transpose()
}

fn value<T: FromStr<Err = Error>>(
    lookup: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<T>> {
    let parse = |text: String| text.parse().map_err(|error| named(name, &error));
    text(lookup, name)?.map(parse).transpose()
}

/// The value of the variable `name`, or else the default.
fn parsed<T: FromStr<Err = Error> + Default>(
    lookup: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<T> {
    Ok(value(lookup, name)?.unwrap_or_default())
}

/// `error`, with the name of the variable first.
pub(crate) fn named(name: &str, error: &Error) -> Error {
    Error::with_source(error.kind(), format!("{name}: {error}"), error.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_and_errors_name_the_variable() {
        let with = |value: &'static str| move |_: &str| Some(OsString::from(value));
        assert_eq!(parsed::<Endpoint>(with("kr"), ENDPOINT).unwrap(), Endpoint::Kr);
        assert_eq!(parsed::<Endpoint>(with(""), ENDPOINT).unwrap(), Endpoint::Global);
        assert_eq!(parsed::<Endpoint>(|_| None, ENDPOINT).unwrap(), Endpoint::Global);
        assert_eq!(parsed::<Api>(with("1"), API).unwrap(), Api::V1);
        assert_eq!(parsed::<Api>(with("2.0"), API).unwrap(), Api::V2);
        assert_eq!(
            parsed::<SignatureVersion>(with("v1"), SIGNATURE).unwrap(),
            SignatureVersion::V1
        );
        for error in [
            parsed::<Endpoint>(with("https://user:canary@kms.example"), ENDPOINT).err(),
            parsed::<Endpoint>(with("korea"), ENDPOINT).err(),
            parsed::<Api>(with("3"), API).err(),
            parsed::<SignatureVersion>(with("2"), SIGNATURE).err(),
        ] {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(text.starts_with("NCP_KMS_") && !text.contains("canary"), "{text}");
        }
    }
}
