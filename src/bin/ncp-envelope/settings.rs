//! Which value of a setting counts, and where it came from: an option, the environment, the
//! configuration file, the default. Commands and `config show` resolve them here, so that what is
//! shown is what is used.

use crate::options::ServiceArgs;
use crate::status::Failure;
use ncp_envelope::kms::{
    Api, Client, ClientBuilder, CredentialChain, CredentialPlace, Endpoint, FileTokenStore,
    Profile, Proxy, RateLimit, SignatureVersion,
};
use ncp_envelope::{CacheLimits, Error, ErrorKind};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How a setting is given, and what it is if it is not.
pub(crate) struct Row {
    /// Its name, and that of its field in a profile.
    pub(crate) field: &'static str,
    pub(crate) flag: Option<&'static str>,
    pub(crate) variable: Option<&'static str>,
    pub(crate) default: &'static str,
}

const fn row(
    field: &'static str,
    flag: &'static str,
    variable: &'static str,
    default: &'static str,
) -> Row {
    let flag = if flag.is_empty() { None } else { Some(flag) };
    let variable = if variable.is_empty() { None } else { Some(variable) };
    Row { field, flag, variable, default }
}

/// All settings, in the order in which they are shown.
pub(crate) const TABLE: &[Row] = &[
    row("local", "--local", "", "false"),
    row("endpoint", "--endpoint", "NCP_KMS_ENDPOINT", "global"),
    row("api", "--api", "NCP_KMS_API", "2.0"),
    row("signature", "--signature", "NCP_KMS_SIGNATURE", "v2"),
    row("key", "--key", "NCP_KMS_KEY_TAG", "none"),
    row("also_keys", "--also-key", "", "none"),
    row("scope", "--scope", "", "none"),
    row("cache", "", "", "none"),
    row("credentials", "", "", "automatic"),
    row("token_store", "--token-store", "NCP_KMS_TOKEN_STORE", "none"),
    row("issue_tokens", "", "", "true"),
    row("proxy", "--proxy", "NCP_KMS_PROXY", "none"),
    row("root_certificate_files", "--ca-cert", "NCP_KMS_CA_CERT", "none"),
    row("root_certificates_only", "--ca-cert-only", "", "false"),
    row("connect_timeout", "", "", "3s"),
    row("attempt_timeout", "", "", "10s"),
    row("call_timeout", "", "", "30s"),
    row("max_attempts", "", "", "3"),
    row("rate_limit", "", "", "service"),
    row("queue_limit", "", "", "2048"),
    row("circuit_breaker", "", "", "true"),
    row("re_encrypt_action", "", "", "re-encrypt, with API 1.0 reencrypt"),
];

/// Where a value came from.
#[derive(Clone, PartialEq)]
pub(crate) enum Source {
    Flag(&'static str),
    Environment(&'static str),
    File(String),
    Default,
}

/// A value, if it is set anywhere, and where.
pub(crate) struct Found<T> {
    pub(crate) value: Option<T>,
    pub(crate) source: Source,
}

/// The values that count.
pub(crate) struct Settings {
    /// The profile, and where its name came from.
    pub(crate) profile: Found<Profile>,
    pub(crate) local: Found<bool>,
    pub(crate) endpoint: Found<Endpoint>,
    pub(crate) api: Found<Api>,
    pub(crate) signature: Found<SignatureVersion>,
    pub(crate) key: Found<String>,
    pub(crate) also_keys: Found<Vec<String>>,
    pub(crate) scope: Found<String>,
    pub(crate) cache: Found<CacheLimits>,
    pub(crate) credentials: Found<Vec<CredentialPlace>>,
    pub(crate) token_store: Found<PathBuf>,
    pub(crate) issue_tokens: Found<bool>,
    pub(crate) proxy: Found<Proxy>,
    pub(crate) root_certificate_files: Found<Vec<PathBuf>>,
    pub(crate) root_certificates_only: Found<bool>,
    pub(crate) connect_timeout: Found<Duration>,
    pub(crate) attempt_timeout: Found<Duration>,
    pub(crate) call_timeout: Found<Duration>,
    pub(crate) max_attempts: Found<u32>,
    pub(crate) rate_limit: Found<RateLimit>,
    pub(crate) queue_limit: Found<usize>,
    pub(crate) circuit_breaker: Found<bool>,
    pub(crate) re_encrypt_action: Found<String>,
}

impl Settings {
    /// `also_keys` and `scope` are the options of commands that have them.
    pub(crate) fn of(
        args: &ServiceArgs,
        also_keys: &[String],
        scope: Option<&str>,
    ) -> Result<Self, Failure> {
        if args.local && args.profile.is_some() {
            return Err(Failure::usage("--local reads no profile: leave out --profile or --local"));
        }
        // An embedded service that the command line asks for is not any profile's.
        let profile = match args.local {
            true => Found { value: None, source: Source::Default },
            false => chosen(args.profile.as_deref())?,
        };
        let mut find = Finder { profile: profile.value.as_ref(), environment: !args.local };
        macro_rules! find {
            ($field:ident) => {
                find!($field, None, || Ok(None))
            };
            ($field:ident, $flag:expr) => {
                find!($field, $flag, || Ok(None))
            };
            ($field:ident, $flag:expr, $environment:expr) => {
                find.find(stringify!($field), $flag, $environment, |file| file.$field.clone())?
            };
        }
        let endpoint = args.endpoint.as_deref().map(str::parse).transpose();
        let endpoint = endpoint.map_err(Failure::writing)?;
        let endpoint = find!(endpoint, endpoint, || Endpoint::from_env().map(Some));
        let local = match (args.local, &endpoint.value) {
            (true, _) => find!(local, Some(true)),
            (false, None) => find!(local),
            // A service that is named elsewhere is not the profile's embedded one.
            (false, Some(_)) => Found { value: None, source: Source::Default },
        };
        if local.value == Some(true) {
            refuse_remote(args)?;
            // What the environment says is for services that are not embedded.
            find.environment = false;
        }
        let given = |list: &[_]| Some(list.to_vec()).filter(|list| !list.is_empty());
        let store = || Ok(FileTokenStore::from_env().map(|store| store.path().to_owned()));
        let certificates = || Ok(set("NCP_KMS_CA_CERT").map(|path| vec![path.into()]));
        let network = &args.network;
        Ok(Self {
            api: find!(api, args.api.map(Into::into), || Api::from_env().map(Some)),
            signature: find!(signature, args.signature.map(Into::into), || {
                SignatureVersion::from_env().map(Some)
            }),
            key: find!(key, args.key.clone(), || text("NCP_KMS_KEY_TAG")),
            also_keys: find!(also_keys, Some(also_keys.to_vec()).filter(|keys| !keys.is_empty())),
            scope: find!(scope, scope.map(str::to_owned)),
            cache: find!(cache),
            credentials: find!(credentials),
            token_store: find!(token_store, args.token_store.clone(), store),
            issue_tokens: find!(issue_tokens),
            proxy: find!(proxy, network.proxy()?, || Proxy::from_env().map(Some)),
            root_certificate_files: find!(
                root_certificate_files,
                given(&network.ca_cert),
                certificates
            ),
            root_certificates_only: find!(
                root_certificates_only,
                network.ca_cert_only.then_some(true)
            ),
            connect_timeout: find!(connect_timeout),
            attempt_timeout: find!(attempt_timeout),
            call_timeout: find!(call_timeout),
            max_attempts: find!(max_attempts),
            rate_limit: find!(rate_limit),
            queue_limit: find!(queue_limit),
            circuit_breaker: find!(circuit_breaker),
            re_encrypt_action: find!(re_encrypt_action),
            endpoint,
            local,
            profile,
        })
    }

    pub(crate) fn is_local(&self) -> bool {
        self.local.value == Some(true)
    }

    /// A client's builder with the settings that say how a service is reached, credentials and
    /// token store left out.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let mut builder = Client::builder();
        macro_rules! set {
            ($($field:ident),+) => {
                $(if let Some(value) = self.$field.value.clone() {
                    builder = builder.$field(value);
                })+
            };
        }
        set!(endpoint, api, signature, proxy, issue_tokens, re_encrypt_action);
        set!(connect_timeout, attempt_timeout, call_timeout);
        set!(max_attempts, rate_limit, queue_limit, circuit_breaker);
        builder = match &self.root_certificate_files {
            // Its errors name the variable.
            Found { source: Source::Environment(_), .. } => builder.root_certificate_from_env(),
            found => {
                let files = found.value.iter().flatten();
                files.fold(builder, ClientBuilder::root_certificate_file)
            }
        };
        match self.root_certificates_only.value {
            Some(true) => builder.root_certificates_only(),
            _ => builder,
        }
    }

    /// Where credentials are looked for.
    pub(crate) fn chain(&self) -> Result<CredentialChain, Failure> {
        let chain = match &self.credentials.value {
            Some(places) => CredentialChain::of(places.clone()),
            None => CredentialChain::from_env(),
        };
        chain.map_err(Failure::writing)
    }
}

/// The profile, by the option, the environment's choice, or the file's.
fn chosen(flag: Option<&str>) -> Result<Found<Profile>, Failure> {
    let value = Profile::load(flag).map_err(Failure::writing)?;
    let source = match &value {
        None => Source::Default,
        Some(_) if flag.is_some() => Source::Flag("--profile"),
        Some(_) if set("NCP_KMS_PROFILE").is_some() => Source::Environment("NCP_KMS_PROFILE"),
        Some(profile) => Source::File(profile.path.display().to_string()),
    };
    Ok(Found { value, source })
}

/// Options for another service than the embedded one that the profile asks for.
fn refuse_remote(args: &ServiceArgs) -> Result<(), Failure> {
    let network = &args.network;
    let given = [
        ("--api", args.api.is_some()),
        ("--signature", args.signature.is_some()),
        ("--token-store", args.token_store.is_some()),
        ("--proxy", network.proxy()?.is_some()),
        ("--ca-cert", !network.ca_cert.is_empty()),
        ("--ca-cert-only", network.ca_cert_only),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::usage(format!(
            "{flag} is not for the embedded service, which the profile asks for with local = true: \
             give --endpoint too, or another --profile"
        ))),
        None => Ok(()),
    }
}

struct Finder<'a> {
    profile: Option<&'a Profile>,
    environment: bool,
}

impl Finder<'_> {
    /// The first value, in the order that counts.
    fn find<T>(
        &self,
        field: &str,
        flag: Option<T>,
        environment: impl FnOnce() -> Result<Option<T>, Error>,
        file: impl FnOnce(&Profile) -> Option<T>,
    ) -> Result<Found<T>, Failure> {
        let row = TABLE.iter().find(|row| row.field == field);
        let flag_name = row.and_then(|row| row.flag).unwrap_or_default();
        if let Some(value) = flag {
            return Ok(Found { value: Some(value), source: Source::Flag(flag_name) });
        }
        let variable = row.and_then(|row| row.variable).filter(|_| self.environment);
        if let Some(variable) = variable.filter(|name| set(name).is_some())
            && let Some(value) = environment().map_err(Failure::writing)?
        {
            return Ok(Found { value: Some(value), source: Source::Environment(variable) });
        }
        Ok(match self.profile.and_then(|profile| Some((profile, file(profile)?))) {
            Some((profile, value)) => {
                let place = format!("{}: profiles.{}", profile.path.display(), profile.name);
                Found { value: Some(value), source: Source::File(place) }
            }
            None => Found { value: None, source: Source::Default },
        })
    }
}

/// The value of an environment variable. An empty one counts as not set.
fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

/// The same as text.
pub(crate) fn text(variable: &str) -> Result<Option<String>, Error> {
    let text = |value: OsString| {
        let message = format!("{variable} is not text");
        value.into_string().map_err(|_| Error::new(ErrorKind::InvalidInput, message))
    };
    set(variable).map(text).transpose()
}
