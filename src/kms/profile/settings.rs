//! What a profile can set.

use crate::datakey::CacheLimits;
use crate::kms::call::proxy::Proxy;
use crate::kms::call::rate::RateLimit;
use crate::kms::endpoint::{Api, Endpoint, SignatureVersion};
use crate::kms::source::chain::CredentialPlace;
use std::path::PathBuf;
use std::time::Duration;

/// A profile of a configuration file: what it sets, and nothing of what it leaves open.
///
/// The file is TOML. Its tables `[profiles.NAME]` hold the settings, by the names of this type's
/// fields; `default_profile` names the one that counts if none is named.
///
/// ```toml
/// [profiles.work]
/// endpoint = "kr"
/// key = "11aa22bb-0000-4000-8000-000000000000"
/// cache = { ttl = "5m" }
/// ```
///
/// Paths may begin with `~/`; other relative paths are relative to the file. Names that are not
/// known are refused. So is a file that another user owns, except root, that others can write, or
/// that others can read although it holds a secret.
///
/// ```
/// use ncp_envelope::kms::{Endpoint, Profile};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("config.toml");
/// std::fs::write(&path, "[profiles.work]\nendpoint = \"kr\"\nkey = \"tag\"\n")?;
/// let profile = Profile::from_file(&path, Some("work"))?;
/// assert_eq!(profile.endpoint, Some(Endpoint::Kr));
/// assert_eq!(profile.key.as_deref(), Some("tag"));
/// // Not set, so that the environment or the default decides.
/// assert!(profile.api.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The file that it is from.
    pub path: PathBuf,
    /// See [`ClientBuilder::endpoint`](crate::kms::ClientBuilder::endpoint).
    pub endpoint: Option<Endpoint>,
    /// See [`ClientBuilder::api`](crate::kms::ClientBuilder::api).
    pub api: Option<Api>,
    /// See [`ClientBuilder::signature`](crate::kms::ClientBuilder::signature).
    pub signature: Option<SignatureVersion>,
    /// The tag of the key.
    pub key: Option<String>,
    /// The tags of further keys, for messages with several recipients.
    pub also_keys: Option<Vec<String>>,
    /// The scope of an envelope.
    pub scope: Option<String>,
    /// The limits of an envelope's cache.
    pub cache: Option<CacheLimits>,
    /// Whether the program uses its embedded key service. A library's client refuses it.
    pub local: Option<bool>,
    /// Where credentials come from: the table `credentials` with `source`, which is `automatic`
    /// (all places), `environment`, `configure-file`, `server-role`, or `stored`: `access_key` and
    /// `secret_key` beside it, unless the environment has credentials.
    pub credentials: Option<Vec<CredentialPlace>>,
    /// The file of a [`FileTokenStore`](crate::kms::FileTokenStore).
    pub token_store: Option<PathBuf>,
    /// See [`ClientBuilder::issue_tokens`](crate::kms::ClientBuilder::issue_tokens).
    pub issue_tokens: Option<bool>,
    /// See [`ClientBuilder::proxy`](crate::kms::ClientBuilder::proxy).
    pub proxy: Option<Proxy>,
    /// See [`root_certificate_file`](crate::kms::ClientBuilder::root_certificate_file).
    pub root_certificate_files: Option<Vec<PathBuf>>,
    /// See [`root_certificates_only`](crate::kms::ClientBuilder::root_certificates_only).
    pub root_certificates_only: Option<bool>,
    /// See [`ClientBuilder::connect_timeout`](crate::kms::ClientBuilder::connect_timeout).
    pub connect_timeout: Option<Duration>,
    /// See [`ClientBuilder::attempt_timeout`](crate::kms::ClientBuilder::attempt_timeout).
    pub attempt_timeout: Option<Duration>,
    /// See [`ClientBuilder::call_timeout`](crate::kms::ClientBuilder::call_timeout).
    pub call_timeout: Option<Duration>,
    /// See [`ClientBuilder::max_attempts`](crate::kms::ClientBuilder::max_attempts).
    pub max_attempts: Option<u32>,
    /// See [`ClientBuilder::rate_limit`](crate::kms::ClientBuilder::rate_limit).
    pub rate_limit: Option<RateLimit>,
    /// See [`ClientBuilder::queue_limit`](crate::kms::ClientBuilder::queue_limit).
    pub queue_limit: Option<usize>,
    /// See [`ClientBuilder::circuit_breaker`](crate::kms::ClientBuilder::circuit_breaker).
    pub circuit_breaker: Option<bool>,
    /// See [`ClientBuilder::re_encrypt_action`](crate::kms::ClientBuilder::re_encrypt_action).
    pub re_encrypt_action: Option<String>,
}
