//! `ncp-envelope config show`: each setting with its value and its source.

use crate::options::KmsArgs;
use crate::output::{self, Record};
use crate::settings::{Found, Settings, Source, TABLE};
use crate::status::Failure;
use clap::Args;
use ncp_envelope::kms::{Api, CredentialPlace, Proxy};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Display;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Purpose of the data key, as commands with messages take it.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    kms: KmsArgs,
}

/// Settings that say something about an embedded service.
const LOCAL: [&str; 5] = ["local", "key", "also_keys", "scope", "cache"];

pub(super) fn run(args: ShowArgs) -> Result<(), Failure> {
    let settings = Settings::of(&args.kms.service, &args.kms.also_key, args.scope.as_deref())?;
    let name = settings.profile.value.as_ref().map(|profile| profile.name.clone());
    let mut records = vec![record("profile", json!(name), &settings.profile.source)];
    for row in TABLE.iter().filter(|row| !settings.is_local() || LOCAL.contains(&row.field)) {
        let (value, source) = shown(&settings, row.field)?;
        let value = match value {
            Value::Null => default(row.default),
            value => value,
        };
        match row.field {
            "credentials" => {
                records.push(record("credentials.source", value, &source));
                records.push(credentials(&settings, &source)?);
            }
            field => records.push(record(field, value, &source)),
        }
    }
    match args.json {
        true => output::list(true, &[], records),
        false => {
            let lines = records.into_iter().map(line).collect();
            output::list(false, &["setting", "value", "source"], lines)
        }
    }
}

/// A value that is not set. `none` is none.
fn default(text: &str) -> Value {
    match text {
        "none" => Value::Null,
        "true" | "false" => json!(text == "true"),
        text => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

fn record(setting: &str, value: Value, source: &Source) -> Record {
    let (kind, from) = match source {
        Source::Flag(flag) => ("flag", json!(flag)),
        Source::Environment(variable) => ("environment", json!(variable)),
        Source::File(place) => ("file", json!(place)),
        Source::Default => ("default", Value::Null),
    };
    vec![("setting", json!(setting)), ("value", value), ("source", json!(kind)), ("from", from)]
}

/// A record for people: the source is one text.
fn line(record: Record) -> Record {
    let mut line = Record::new();
    let mut from = None;
    for (name, value) in record.into_iter().rev() {
        match (name, &from) {
            ("from", _) => from = value.as_str().map(str::to_owned),
            ("source", Some(from)) => {
                let kind = value.as_str().unwrap_or_default();
                line.push(("source", json!(format!("{kind} {from}"))));
            }
            _ => line.push((name, value)),
        }
    }
    line.reverse();
    line
}

/// The value of a setting as a profile has it, and its source.
fn shown(settings: &Settings, field: &str) -> Result<(Value, Source), Failure> {
    Ok(match field {
        "local" => plain(&settings.local),
        "endpoint" => text(&settings.endpoint),
        "api" => text(&settings.api),
        "signature" => text(&settings.signature),
        "key" => plain(&settings.key),
        "also_keys" => plain(&settings.also_keys),
        "scope" => plain(&settings.scope),
        "cache" => plain(&settings.cache),
        "credentials" => with(&settings.credentials, |places| json!(source_name(places))),
        "token_store" => with(&settings.token_store, |path| json!(path.to_string_lossy())),
        "issue_tokens" => plain(&settings.issue_tokens),
        "proxy" => with(&settings.proxy, proxy),
        "root_certificate_files" => with(&settings.root_certificate_files, |paths| {
            json!(paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>())
        }),
        "root_certificates_only" => plain(&settings.root_certificates_only),
        "connect_timeout" => with(&settings.connect_timeout, duration),
        "attempt_timeout" => with(&settings.attempt_timeout, duration),
        "call_timeout" => with(&settings.call_timeout, duration),
        "max_attempts" => plain(&settings.max_attempts),
        "rate_limit" => plain(&settings.rate_limit),
        "queue_limit" => plain(&settings.queue_limit),
        "circuit_breaker" => plain(&settings.circuit_breaker),
        "re_encrypt_action" => plain(&settings.re_encrypt_action),
        other => return Err(Failure::other(format!("{other} is not a setting"))),
    })
}

fn with<T>(found: &Found<T>, show: impl FnOnce(&T) -> Value) -> (Value, Source) {
    (found.value.as_ref().map(show).unwrap_or_default(), found.source.clone())
}

fn plain<T: Serialize>(found: &Found<T>) -> (Value, Source) {
    with(found, |value| json!(value))
}

fn text<T: Display>(found: &Found<T>) -> (Value, Source) {
    with(found, |value| json!(value.to_string()))
}

fn duration(duration: &Duration) -> Value {
    json!(humantime::format_duration(*duration).to_string())
}

/// A proxy's user name and password are not shown.
fn proxy(proxy: &Proxy) -> Value {
    match proxy {
        Proxy::None => json!("none"),
        Proxy::System => json!("system"),
        Proxy::Url(url) if url.expose_secret().contains('@') => json!("set"),
        Proxy::Url(url) => json!(url.expose_secret()),
    }
}

/// The name of these places in a profile.
fn source_name(places: &[CredentialPlace]) -> &'static str {
    match places {
        [CredentialPlace::Environment] => "environment",
        [CredentialPlace::ConfigureFile] => "configure-file",
        [CredentialPlace::ServerRole] => "server-role",
        [_, CredentialPlace::Stored(_)] => "stored",
        _ => "automatic",
    }
}

/// Which credentials a call would use, found without one.
fn credentials(settings: &Settings, source: &Source) -> Result<Record, Failure> {
    let api = settings.api.value.unwrap_or(Api::V2);
    let (value, kind, from) = match settings.chain()?.find(api).map_err(Failure::writing)? {
        Some((CredentialPlace::Environment, name)) => ("set", "environment", json!(name)),
        Some((CredentialPlace::Stored(_), _)) => match source {
            Source::File(place) => ("set", "file", json!(place)),
            _ => ("set", "file", Value::Null),
        },
        Some((CredentialPlace::ConfigureFile, name)) => ("set", "file", json!(name)),
        Some(_) => ("asked for at the first call", "server role", Value::Null),
        None => ("not set", "default", Value::Null),
    };
    Ok(vec![
        ("setting", json!("credentials")),
        ("value", json!(value)),
        ("source", json!(kind)),
        ("from", from),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ncp_envelope::kms::ClientBuilder;

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_library() {
        let debug = format!("{:?}", ClientBuilder::default());
        for row in TABLE {
            let shown = match row.field {
                "endpoint" => "endpoint: Endpoint(global)".to_owned(),
                "api" => "api: V2".to_owned(),
                "signature" => "signature: V2".to_owned(),
                "proxy" => "proxy: None".to_owned(),
                "rate_limit" => "rate_limit: Service".to_owned(),
                "token_store" => "token_store: None".to_owned(),
                "root_certificate_files" => "given: 0".to_owned(),
                "root_certificates_only" => "only: false".to_owned(),
                // Those are no settings of a client.
                "local" | "key" | "also_keys" | "scope" | "cache" | "credentials" => continue,
                "re_encrypt_action" => "re_encrypt: None".to_owned(),
                field => format!("{field}: {}", row.default),
            };
            assert!(debug.contains(&shown), "{shown}: {debug}");
        }
    }

    #[test]
    fn the_page_has_every_setting_of_the_table() {
        let page = include_str!("../../../../../docs/configuration.md");
        let name = |name: Option<&str>| name.map_or("-".to_owned(), |name| format!("`{name}`"));
        let rows: Vec<String> = TABLE
            .iter()
            .map(|row| {
                let (flag, variable) = (name(row.flag), name(row.variable));
                format!("| `{}` | {flag} | {variable} | {} |", row.field, row.default)
            })
            .collect();
        let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let table: Vec<&str> =
            lines.iter().copied().filter(|line| line.matches('|').count() == 6).collect();
        for (at, row) in rows.iter().enumerate() {
            let line = table.get(at).copied().unwrap_or_default();
            assert!(line.starts_with(row.as_str()), "{row} is not in its place: {line}");
        }
        assert_eq!(table.len(), rows.len());
    }
}
