//! From the settings to a client, and to an [`Envelope`].

use crate::options::{KmsArgs, ServiceArgs};
use crate::settings::{Settings, Source, text};
use crate::status::{Failure, notice};
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{
    Api, Client, Credentials, Endpoint, FileTokenStore, Key, TokenClaims, TokenStore,
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
    pub(crate) async fn open(kms: &KmsArgs, scope: &Option<String>) -> Result<Self, Failure> {
        let settings = Settings::of(&kms.service, &kms.also_key, scope.as_deref())?;
        let others = settings.also_keys.value.clone().unwrap_or_default();
        Self::with(settings, &others).await
    }

    /// An envelope with several recipients: the keys with these tags in addition to the one that
    /// `service` names.
    pub(crate) async fn open_for(
        service: &ServiceArgs,
        scope: &Option<String>,
        others: &[String],
    ) -> Result<Self, Failure> {
        Self::with(Settings::of(service, &[], scope.as_deref())?, others).await
    }

    async fn with(settings: Settings, others: &[String]) -> Result<Self, Failure> {
        let connection = Connection::with(&settings, Purpose::Cipher).await?;
        let mut builder = Envelope::builder(connection.key()?);
        if let Some(scope) = settings.scope.value {
            builder = builder.scope(Scope::new(scope));
        }
        if let Some(limits) = settings.cache.value {
            builder = builder.cache(limits);
        }
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
        Self::with(&Settings::of(kms, &[], None)?, purpose).await
    }

    async fn with(settings: &Settings, purpose: Purpose) -> Result<Self, Failure> {
        match settings.is_local() {
            true => Self::local(settings).await,
            false => Self::remote(settings, purpose),
        }
    }

    /// The key that the settings name.
    pub(crate) fn key(&self) -> Result<Key, Failure> {
        let tag = self.tag.as_ref();
        let tag = tag.ok_or_else(no_key)?;
        self.client.key(tag).map_err(Failure::writing)
    }

    fn remote(settings: &Settings, purpose: Purpose) -> Result<Self, Failure> {
        let tag = settings.key.value.clone();
        if tag.is_none() && matches!(purpose, Purpose::Cipher) {
            return Err(no_key());
        }
        if settings.api.value == Some(Api::V1) && !matches!(purpose, Purpose::Cipher) {
            return Err(Failure::usage("keys and tokens are managed with API 2 only"));
        }
        let builder = settings.builder();
        let builder = match purpose {
            Purpose::Cipher => {
                let builder = builder.credential_chain(settings.chain()?);
                match settings.token_store.value.as_ref().map(FileTokenStore::new) {
                    Some(store) => {
                        check_key(&store, tag.as_deref())?;
                        builder.token_store(store)
                    }
                    None => builder,
                }
            }
            Purpose::Account => builder.credential_chain(settings.chain()?.account_only()),
            Purpose::Token(token) => {
                builder.credentials(Credentials::token(token, None).map_err(Failure::writing)?)
            }
        };
        Ok(Self { client: builder.build().map_err(Failure::writing)?, tag, local: None })
    }

    /// The emulator inside this process, reached over loopback HTTP like any other key service.
    async fn local(settings: &Settings) -> Result<Self, Failure> {
        let directory = data_directory()?.join("local-kms");
        let asked = match settings.local.source {
            Source::Flag(flag) => flag,
            _ => "local = true",
        };
        notice(&format!(
            "{asked} is for development: anyone who can read {} can decrypt what it encrypts",
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
        let tag = settings.key.value.clone().unwrap_or_else(|| emulator.key_tag().to_owned());
        Ok(Self { client, tag: Some(tag), local: Some(emulator) })
    }
}

fn no_key() -> Failure {
    Failure::usage(
        "no key: give --key TAG, set NCP_KMS_KEY_TAG, or write it into a profile with \
         ncp-envelope config init --key TAG; or use --local",
    )
}

/// The store that the settings name.
pub(crate) fn token_store(kms: &ServiceArgs) -> Result<Option<FileTokenStore>, Failure> {
    let settings = Settings::of(kms, &[], None)?;
    Ok(settings.token_store.value.map(FileTokenStore::new))
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
    match argument {
        Some(argument) => Ok(Some(argument)),
        None => text(variable).map_err(Failure::writing),
    }
}
