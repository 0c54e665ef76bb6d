//! `ncp-envelope audit`: which versions of which keys stored messages depend on.

use crate::failures::Failures;
use crate::input::blocking;
use crate::status::Failure;
use crate::walk::PathsArgs;
use crate::{output, slot};
use clap::Args;
use ncp_envelope::stored::{Audit, AuditOptions, Audited, KeyUse, audit};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The help text explains the columns.
const COLUMNS: [&str; 8] =
    ["key_tag", "version", "provider", "files", "bytes", "only", "only_bytes", "oldest"];

/// "only" and "only_bytes" count the messages that only this version of this key opens, and that
/// become unreadable once it is disabled; "oldest" is the oldest time of last change among the
/// files.
#[derive(Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    paths: PathsArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print the table as CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub(crate) async fn run(args: AuditArgs) -> Result<(), Failure> {
    let failures = Arc::new(Failures::new(args.paths.check()?));
    let told = failures.clone();
    let options = AuditOptions::new().versions(slot::version).on_each(move |path, audited| {
        told.progress.step();
        match audited {
            Audited::Damaged(error) | Audited::Unreadable(error) => told.add(path, error.clone()),
            Audited::NotAMessage(error) if told.is_named(path) => told.add(path, error.clone()),
            _ => {}
        }
    });
    let walk = args.paths.walk(&failures);
    let links = walk.links();
    let audit = blocking(move || audit(walk, &options)).await?;
    let links = links.load(Ordering::Relaxed);
    if args.csv {
        output::print(csv(&audit).as_bytes())?;
    } else if args.json {
        let keys: Vec<_> = audit.keys.iter().map(|of| output::object(row(of))).collect();
        let mut all = totals(&audit, links);
        all.push(("keys", Value::Array(keys)));
        all.push(("failures", failures.json()));
        output::one(true, all)?;
    } else {
        output::list(false, &COLUMNS, audit.keys.iter().map(row).collect())?;
        output::one(false, totals(&audit, links))?;
    }
    failures.end(None)
}

fn row(of: &KeyUse) -> output::Record {
    let oldest = of.oldest.map(date);
    let values = [
        json!(of.key.id()),
        json!(of.version),
        json!(of.key.provider().to_string()),
        json!(of.files),
        json!(of.bytes),
        json!(of.only),
        json!(of.only_bytes),
        json!(oldest),
    ];
    COLUMNS.into_iter().zip(values).collect()
}

/// A file may claim any time; years of four digits are enough.
fn date(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

fn totals(audit: &Audit, links: u64) -> output::Record {
    vec![
        ("messages", json!(audit.messages)),
        ("message_bytes", json!(audit.bytes)),
        ("not_messages", json!(audit.not_messages)),
        ("links", json!(links)),
        ("damaged", json!(audit.damaged)),
        ("unreadable", json!(audit.unreadable)),
    ]
}

/// As in RFC 4180.
fn csv(audit: &Audit) -> String {
    let line = |values: Vec<String>| format!("{}\r\n", values.join(","));
    let field = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains(['"', ',']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::String(text) => text,
        other => other.to_string(),
    };
    let head = line(COLUMNS.map(str::to_owned).to_vec());
    let rows = audit
        .keys
        .iter()
        .map(|of| line(row(of).into_iter().map(|(_, value)| field(value)).collect()));
    std::iter::once(head).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_is_a_date() {
        let years = |years: u64| Duration::from_secs(years * 31_556_952);
        for (time, text) in [
            (UNIX_EPOCH, "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH - years(300), "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH + years(20_000), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(time), text);
        }
    }
}
