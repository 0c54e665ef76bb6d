//! From options and environment to an [`Envelope`].

use crate::args::{ApiArg, KmsArgs, SignatureArg};
use crate::status::Failure;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Api, Client, Credentials, Endpoint, SignatureVersion};
use ncp_envelope::{Envelope, Scope};
use std::path::PathBuf;

/// An envelope, and what has to stay alive for it to work.
pub(crate) struct Session {
    pub(crate) envelope: Envelope,
    _local: Option<Emulator>,
}

impl Session {
    pub(crate) async fn open(kms: &KmsArgs, scope: &str) -> Result<Self, Failure> {
        let (key, local) = if kms.local { local().await? } else { (remote(kms)?, None) };
        let envelope = Envelope::builder(key).scope(Scope::new(scope)).build().map_err(Failure::writing)?;
        Ok(Self { envelope, _local: local })
    }
}

fn remote(kms: &KmsArgs) -> Result<ncp_envelope::kms::Key, Failure> {
    let tag = setting(kms.key.clone(), "NCP_KMS_KEY_TAG")?
        .ok_or_else(|| Failure::usage("no key: give --key TAG or set NCP_KMS_KEY_TAG, or use --local"))?;
    let endpoint = match setting(kms.endpoint.clone(), "NCP_KMS_ENDPOINT")? {
        Some(text) => text.parse().map_err(Failure::writing)?,
        None => Endpoint::Global,
    };
    let api = match (kms.api, setting(None, "NCP_KMS_API")?.as_deref()) {
        (Some(ApiArg::V1), _) | (None, Some("1")) => Api::V1,
        (Some(ApiArg::V2), _) | (None, None | Some("2")) => Api::V2,
        (None, Some(_)) => return Err(Failure::usage("NCP_KMS_API is neither 1 nor 2")),
    };
    let signature = match (kms.signature, setting(None, "NCP_KMS_SIGNATURE")?.as_deref()) {
        (Some(SignatureArg::V1), _) | (None, Some("v1")) => SignatureVersion::V1,
        (Some(SignatureArg::V2), _) | (None, None | Some("v2")) => SignatureVersion::V2,
        (None, Some(_)) => return Err(Failure::usage("NCP_KMS_SIGNATURE is neither v1 nor v2")),
    };
    let credentials = Credentials::from_env().map_err(Failure::writing)?;
    Client::builder()
        .endpoint(endpoint)
        .api(api)
        .signature(signature)
        .credentials(credentials)
        .build()
        .and_then(|client| client.key(tag))
        .map_err(Failure::writing)
}

/// The emulator inside this process, reached over loopback HTTP like any other key service.
async fn local() -> Result<(ncp_envelope::kms::Key, Option<Emulator>), Failure> {
    let directory = data_directory()?.join("local-kms");
    eprintln!("ncp-envelope: --local is for development: whoever can read {} can decrypt what it encrypts", directory.display());
    let emulator = Emulator::builder().state_dir(directory).start().await.map_err(Failure::writing)?;
    let key = Credentials::account(emulator.access_key(), emulator.secret_key())
        .and_then(|credentials| Client::builder().endpoint(Endpoint::Custom(emulator.url().to_owned())).credentials(credentials).build())
        .and_then(|client| client.key(emulator.key_tag()))
        .map_err(Failure::writing)?;
    Ok((key, Some(emulator)))
}

fn data_directory() -> Result<PathBuf, Failure> {
    directories::ProjectDirs::from("", "", "ncp-envelope")
        .map(|project| project.data_local_dir().to_owned())
        .ok_or_else(|| Failure::other("cannot find your data directory: set HOME or XDG_DATA_HOME"))
}

/// What the command line says, or else the environment. An empty variable is one that is not set.
fn setting(argument: Option<String>, variable: &str) -> Result<Option<String>, Failure> {
    if argument.is_some() {
        return Ok(argument);
    }
    match std::env::var(variable) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{variable} is not text"))),
    }
}
