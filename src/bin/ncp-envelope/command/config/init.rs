//! `ncp-envelope config init`: the options of a command line, as a profile.

use super::section::{Section, quoted};
use crate::input::blocking;
use crate::options::KmsArgs;
use crate::output;
use crate::session::setting;
use crate::status::Failure;
use clap::Args;
use ncp_envelope::io::{AtomicFile, FileOptions};
use ncp_envelope::kms::{Api, Credentials, Endpoint, Profile, SignatureVersion, secret_from_env};
use ncp_envelope::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Args)]
pub(crate) struct InitArgs {
    /// Store the account of NCP_ACCESS_KEY and NCP_SECRET_KEY in the profile, too. They are then in
    /// the file as they are.
    #[arg(long, conflicts_with = "local")]
    store_credentials: bool,
    /// Replace a profile that exists; other profiles stay as they are.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Purpose of the data key, such as a tenant; decryption needs the same.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    kms: KmsArgs,
}

pub(super) async fn run(args: InitArgs) -> Result<(), Failure> {
    output::check()?;
    let path = Profile::default_path().map_err(Failure::writing)?;
    let name = setting(args.kms.service.profile.clone(), "NCP_KMS_PROFILE")?;
    let name = name.unwrap_or_else(|| "default".to_owned());
    if name.is_empty() {
        return Err(Failure::usage("--profile: a profile has a name"));
    }
    let section = section(&args, &name)?;
    let (target, profile, force) = (path.clone(), name.clone(), args.force);
    blocking(move || write(&target, &profile, &section, force)).await??;
    let record = vec![
        ("profile", json!(name)),
        ("file", json!(path.to_string_lossy())),
        (
            "credentials",
            match args.store_credentials {
                true => json!("stored in the file, which only its owner can read"),
                false => json!("not stored"),
            },
        ),
    ];
    output::one(args.json, record)
}

/// The profile with these options.
fn section(args: &InitArgs, name: &str) -> Result<Section, Failure> {
    let (service, network) = (&args.kms.service, &args.kms.service.network);
    let mut section = Section::new(name);
    if service.local {
        section.add("local", true);
    }
    if let Some(endpoint) = &service.endpoint {
        let endpoint: Endpoint = endpoint.parse().map_err(Failure::writing)?;
        section.add("endpoint", quoted(&endpoint.to_string()));
    }
    if let Some(api) = service.api {
        section.add("api", quoted(&Api::from(api).to_string()));
    }
    if let Some(signature) = service.signature {
        section.add("signature", quoted(&SignatureVersion::from(signature).to_string()));
    }
    if let Some(key) = &service.key {
        section.add("key", quoted(key));
    }
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    if !args.kms.also_key.is_empty() {
        let keys = args.kms.also_key.iter().map(|key| quoted(key));
        section.add("also_keys", list(keys.collect()));
    }
    if let Some(scope) = &args.scope {
        section.add("scope", quoted(scope));
    }
    if let Some(path) = &service.token_store {
        section.add("token_store", absolute(path)?);
    }
    if network.proxy()?.is_some() {
        section.add("proxy", quoted(network.proxy.as_deref().unwrap_or_default()));
    }
    if !network.ca_cert.is_empty() {
        let files: Result<_, _> = network.ca_cert.iter().map(|path| absolute(path)).collect();
        section.add("root_certificate_files", list(files?));
    }
    if network.ca_cert_only {
        section.add("root_certificates_only", true);
    }
    if args.store_credentials {
        let (access, secret) = (part("NCP_ACCESS_KEY")?, part("NCP_SECRET_KEY")?);
        Credentials::account(access.clone(), secret.clone()).map_err(Failure::writing)?;
        section.add_account(access.expose_secret(), secret.expose_secret()).map_err(|why| {
            Failure::usage(format!("--store-credentials: {why}: leave them in the environment"))
        })?;
    }
    Ok(section)
}

/// A path of the command line is relative to this directory, and one in the file is not.
fn absolute(path: &Path) -> Result<String, Failure> {
    let whole = std::path::absolute(path);
    let whole = whole.map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
    match whole.to_str() {
        Some(text) => Ok(quoted(text)),
        None => Err(Failure::usage(format!("{} is not text in UTF-8", path.display()))),
    }
}

/// A secret of the environment.
fn part(name: &str) -> Result<SecretString, Failure> {
    let missing = || {
        let message = format!(
            "--store-credentials takes the account from NCP_ACCESS_KEY and NCP_SECRET_KEY, and \
             {name} is not set"
        );
        Failure::writing(Error::new(ErrorKind::Credentials, message))
    };
    secret_from_env(name).map_err(Failure::writing)?.ok_or_else(missing)
}

/// Puts the profile `name` into the file at `path`.
fn write(path: &Path, name: &str, section: &Section, force: bool) -> Result<(), Failure> {
    let failed = |what: &str, path: &Path, error: std::io::Error| {
        Failure::other(format!("cannot {what} {}: {error}", path.display()))
    };
    // Another run may write another profile now: each reads what the other has written.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(directory) = path.parent() {
        create_directory(directory).map_err(|error| failed("create", directory, error))?;
    }
    let lock_path = PathBuf::from(format!("{}.lock", path.display()));
    let lock = open_lock(&lock_path).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| failed("lock", &lock_path, error))?;
    // It is refused if it is not the user's own, not right, or open to others with a secret in it.
    let exists = Profile::names(path).map_err(Failure::writing)?.iter().any(|one| one == name);
    let old = match fs::read(path) {
        Ok(bytes) => Some(Zeroizing::new(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", path, error)),
    };
    let old = old.as_deref().map(|bytes| std::str::from_utf8(bytes)).transpose();
    let old = old.map_err(|_| Failure::other(format!("{} is not text", path.display())))?;
    let cannot = |why: String| {
        Failure::usage(format!(
            "{}: profile {name} cannot be written without changing the rest, as {why}: edit the \
             file",
            path.display()
        ))
    };
    let new = match (old, exists, force) {
        (None, ..) => section.alone(),
        (Some(old), false, _) => section.added_to(old).map_err(cannot)?,
        (Some(old), true, true) => section.put_into(old).map_err(cannot)?,
        (Some(_), true, false) => {
            return Err(Failure::usage(format!(
                "{} has a profile {name}: give --force to replace it, or another --profile",
                path.display()
            )));
        }
    };
    let options = FileOptions::new().overwrite(old.is_some()).mode(0o600);
    let mut file = AtomicFile::create(path, &options).map_err(Failure::writing)?;
    file.write_all(new.as_bytes()).map_err(|error| failed("write", path, error))?;
    file.commit().map_err(Failure::writing)
}

/// For its owner alone, as the file in it.
fn create_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(directory)
}

fn open_lock(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
