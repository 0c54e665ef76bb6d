//! Fixed values of an emulator, in place of random ones: from a file, overridden by options and the
//! environment.
//!
//! The file holds secrets, so errors repeat nothing of its content.

use crate::status::Failure;
use ncp_envelope::emulator::{EmulatorBuilder, EmulatorClock};
use serde::{Deserialize, Deserializer};
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A longer file is not a configuration: it would hold thousands of sub accounts.
const MAX_FILE: u64 = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Config {
    pub(crate) account: Option<Account>,
    #[serde(deserialize_with = "optional_secret")]
    pub(crate) apigw_api_key: Option<Zeroizing<String>>,
    pub(crate) key_tag: Option<String>,
    #[serde(deserialize_with = "optional_time")]
    pub(crate) clock: Option<SystemTime>,
    sub_accounts: Vec<SubAccount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) access_key: String,
    #[serde(deserialize_with = "secret")]
    pub(crate) secret_key: Zeroizing<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SubAccount {
    access_key: String,
    #[serde(deserialize_with = "secret")]
    secret_key: Zeroizing<String>,
    permissions: Vec<String>,
    #[serde(default)]
    addresses: Option<Vec<IpAddr>>,
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::other(format!("cannot read {}: {error}", path.display()));
        let meta = std::fs::metadata(path).map_err(failed)?;
        // A pipe may never get a writer.
        if !meta.is_file() || meta.len() > MAX_FILE {
            let what = "is not a regular file of at most 1 MiB, which --config takes";
            return Err(Failure::usage(format!("{} {what}", path.display())));
        }
        // Capacity for the whole file: a buffer that grows leaves copies behind.
        let room = usize::try_from(meta.len()).unwrap_or(0) + 1;
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
            .map_err(failed)?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::usage(format!(
                "{} is not a valid --config file, at line {}, column {}: docs/emulator.md lists \
                 its fields",
                path.display(),
                error.line(),
                error.column()
            ))
        })
    }

    pub(crate) fn apply(self, mut builder: EmulatorBuilder) -> EmulatorBuilder {
        if let Some(Account { access_key, mut secret_key }) = self.account {
            builder = builder.account(access_key, std::mem::take(&mut *secret_key));
        }
        if let Some(mut api_key) = self.apigw_api_key {
            builder = builder.apigw_api_key(std::mem::take(&mut *api_key));
        }
        if let Some(tag) = self.key_tag {
            builder = builder.key_tag(tag);
        }
        if let Some(at) = self.clock {
            builder = builder.clock(EmulatorClock::fixed(at));
        }
        for SubAccount { access_key, mut secret_key, permissions, addresses } in self.sub_accounts {
            let permissions: Vec<_> = permissions.iter().map(String::as_str).collect();
            let secret_key = std::mem::take(&mut *secret_key);
            builder = builder.sub_account(&access_key, secret_key, &permissions);
            if let Some(addresses) = addresses {
                builder = builder.sub_account_addresses(&access_key, &addresses);
            }
        }
        builder
    }
}

/// A time as in RFC 3339, in UTC.
pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(text).map_err(|_| "not a time such as 2026-01-31T12:00:00Z".to_owned())
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

fn optional_secret<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Zeroizing::new))
}

fn optional_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| time(&text).map_err(serde::de::Error::custom)).transpose()
}
