//! From options and environment to a client, and to an [`Envelope`].

use crate::options::{ApiArg, KmsArgs, ServiceArgs, SignatureArg};
use crate::status::{Failure, notice};
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{
    Api, Client, CredentialChain, Credentials, Endpoint, FileTokenStore, Key, SignatureVersion,
    TokenClaims, TokenStore,
};
use ncp_envelope::{Envelope, Error, ErrorKind, Scope};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Why the embedded service could not save its state. Its answer only says that it failed, as the
/// real service's would.
static LOCAL_FAULT: OnceLock<Error> = OnceLock::new();

/// `failure`, or its cause in the embedded service.
pub(crate) fn explained(failure: Failure) -> Failure {
    LOCAL_FAULT.get().cloned().map_or(failure, Failure::writing)
}

/// An envelope, and what must stay alive for it to work.
pub(crate) struct Session {
    pub(crate) envelope: Envelope,
    _local: Option<Emulator>,
}

impl Session {
    pub(crate) async fn open(kms: &KmsArgs, scope: &str) -> Result<Self, Failure> {
        Self::open_for(&kms.service, scope, &kms.also_key).await
    }

    /// An envelope with several recipients: the keys with these tags in addition to the one that
    /// `service` names.
    pub(crate) async fn open_for(
        service: &ServiceArgs,
        scope: &str,
        others: &[String],
    ) -> Result<Self, Failure> {
        let connection = Connection::open(service, Purpose::Cipher).await?;
        let mut builder = Envelope::builder(connection.key()?).scope(Scope::new(scope));
        for tag in others {
            builder = builder.and(connection.client.key(tag).map_err(Failure::writing)?);
        }
        let envelope = builder.build().map_err(Failure::writing)?;
        Ok(Self { envelope, _local: connection.local })
    }
}

/// The purpose of a client, which decides how it authenticates.
pub(crate) enum Purpose {
    /// Calls with a key: its token if there is one, the account otherwise.
    Cipher,
    /// Management: the account, even if there are tokens.
    Account,
    /// Calls that carry this token.
    Token(SecretString),
}

/// A client, and what must stay alive for it to work.
pub(crate) struct Connection {
    pub(crate) client: Client,
    tag: Option<String>,
    local: Option<Emulator>,
}

impl Connection {
    pub(crate) async fn open(kms: &ServiceArgs, purpose: Purpose) -> Result<Self, Failure> {
        if kms.local { Self::local(kms).await } else { Self::remote(kms, purpose) }
    }

    /// The key that the command line or the environment names.
    pub(crate) fn key(&self) -> Result<Key, Failure> {
        let tag = self.tag.as_ref();
        let tag = tag.ok_or_else(no_key)?;
        self.client.key(tag).map_err(Failure::writing)
    }

    fn remote(kms: &ServiceArgs, purpose: Purpose) -> Result<Self, Failure> {
        let tag = setting(kms.key.clone(), "NCP_KMS_KEY_TAG")?;
        if tag.is_none() && matches!(purpose, Purpose::Cipher) {
            return Err(no_key());
        }
        let endpoint = match &kms.endpoint {
            Some(text) => text.parse(),
            None => Endpoint::from_env(),
        };
        let api = match kms.api {
            Some(ApiArg::V1) => Ok(Api::V1),
            Some(ApiArg::V2) => Ok(Api::V2),
            None => Api::from_env(),
        };
        let signature = match kms.signature {
            Some(SignatureArg::V1) => Ok(SignatureVersion::V1),
            Some(SignatureArg::V2) => Ok(SignatureVersion::V2),
            None => SignatureVersion::from_env(),
        };
        let endpoint = endpoint.map_err(Failure::writing)?;
        let (api, signature) =
            (api.map_err(Failure::writing)?, signature.map_err(Failure::writing)?);
        if api == Api::V1 && !matches!(purpose, Purpose::Cipher) {
            return Err(Failure::usage("keys and tokens are managed with API 2 only"));
        }
        let builder = kms.network.builder()?;
        let builder = builder.endpoint(endpoint).api(api).signature(signature);
        let builder = match purpose {
            Purpose::Cipher => {
                let chain = CredentialChain::from_env().map_err(Failure::writing)?;
                let builder = builder.credential_chain(chain);
                match token_store(kms) {
                    Some(store) => {
                        check_key(&store, tag.as_deref())?;
                        builder.token_store(store)
                    }
                    None => builder,
                }
            }
            Purpose::Account => {
                let chain = CredentialChain::account_from_env().map_err(Failure::writing)?;
                builder.credential_chain(chain)
            }
            Purpose::Token(token) => {
                builder.credentials(Credentials::token(token, None).map_err(Failure::writing)?)
            }
        };
        Ok(Self { client: builder.build().map_err(Failure::writing)?, tag, local: None })
    }

    /// The emulator inside this process, reached over loopback HTTP like any other key service.
    async fn local(kms: &ServiceArgs) -> Result<Self, Failure> {
        let directory = data_directory()?.join("local-kms");
        notice(&format!(
            "--local is for development: anyone who can read {} can decrypt what it encrypts",
            directory.display()
        ));
        let builder = Emulator::builder().state_dir(directory);
        let builder = builder.on_state_fault(|error| {
            let _ = LOCAL_FAULT.set(error.clone());
        });
        let emulator = builder.start().await.map_err(Failure::writing)?;
        let client = Credentials::account(emulator.access_key(), emulator.secret_key())
            .and_then(|account| {
                Client::builder()
                    .endpoint(Endpoint::Custom(emulator.url().to_owned()))
                    .credentials(account)
                    .build()
            })
            .map_err(Failure::writing)?;
        let tag = kms.key.clone().unwrap_or_else(|| emulator.key_tag().to_owned());
        Ok(Self { client, tag: Some(tag), local: Some(emulator) })
    }
}

fn no_key() -> Failure {
    Failure::usage("no key: give --key TAG or set NCP_KMS_KEY_TAG, or use --local")
}

/// The store that the command line or the environment names.
pub(crate) fn token_store(kms: &ServiceArgs) -> Option<FileTokenStore> {
    match &kms.token_store {
        Some(path) => Some(FileTokenStore::new(path)),
        None => FileTokenStore::from_env(),
    }
}

/// Tokens in the store must belong to the key `tag`.
fn check_key(store: &FileTokenStore, tag: Option<&str>) -> Result<(), Failure> {
    let Some(tokens) = store.load().map_err(Failure::writing)? else { return Ok(()) };
    let claims = TokenClaims::peek(tokens.access_token.expose_secret());
    match (claims.key_tag, tag) {
        (Some(other), Some(tag)) if other != tag => {
            let path = store.path().display();
            let message = format!(
                "the token store {path} holds tokens of key {other}, not of {tag}: give each key a \
                 store of its own"
            );
            Err(Failure::writing(Error::new(ErrorKind::Credentials, message)))
        }
        _ => Ok(()),
    }
}

fn data_directory() -> Result<PathBuf, Failure> {
    directories::ProjectDirs::from("", "", "ncp-envelope")
        .map(|project| project.data_local_dir().to_owned())
        .ok_or_else(|| Failure::other("cannot find your data directory: set HOME or XDG_DATA_HOME"))
}

/// From the command line, or else from the environment. An empty variable counts as not set.
pub(crate) fn setting(argument: Option<String>, variable: &str) -> Result<Option<String>, Failure> {
    if argument.is_some() {
        return Ok(argument);
    }
    match std::env::var(variable) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{variable} is not text")))
        }
    }
}
