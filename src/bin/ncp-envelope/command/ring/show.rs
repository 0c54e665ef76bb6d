//! `ncp-envelope ring show`: what anyone can see of a key ring.

use super::file::{RingFile, decode};
use crate::status::Failure;
use crate::{output, slot};
use ncp_envelope::fields::{RingDocument, RingEntry};
use serde_json::{Value, json};

/// Columns of the list of keys: a line for each wrapped key.
const COLUMNS: [&str; 6] = ["number", "role", "newest", "created", "key_tag", "key_version"];

pub(super) async fn run(file: &RingFile, json: bool) -> Result<(), Failure> {
    let (name, bytes) = file.read(None).await?;
    let document = decode(&name, &bytes)?;
    let head = vec![
        ("ring", json!(document.id().to_string())),
        ("highest", json!(document.highest())),
        ("value_key", json!(document.value_key())),
        ("index_key", json!(document.index_key())),
    ];
    let entries = document.entries().iter();
    if json {
        let keys: Vec<_> = entries.map(|entry| as_json(&document, entry)).collect();
        let mut record = head;
        record.push(("keys", Value::Array(keys)));
        return output::one(true, record);
    }
    let lines = entries.flat_map(|entry| {
        entry.slots().iter().map(|wrapped| {
            let mut record = described(&document, entry);
            record.extend(slot::record(wrapped));
            record
        })
    });
    output::one(false, head)?;
    output::line("")?;
    output::list(false, &COLUMNS, lines.collect())
}

fn as_json(document: &RingDocument, entry: &RingEntry) -> Value {
    let slots = entry.slots().iter().map(|wrapped| output::object(slot::record(wrapped)));
    let mut record = described(document, entry);
    record.push(("slots", slots.collect()));
    output::object(record)
}

fn described(document: &RingDocument, entry: &RingEntry) -> output::Record {
    let newest = [document.value_key(), document.index_key()].contains(&entry.number());
    vec![
        ("number", json!(entry.number())),
        ("role", json!(entry.role().to_string())),
        ("newest", json!(if newest { "yes" } else { "no" })),
        ("created", json!(humantime::format_rfc3339_seconds(entry.created()).to_string())),
    ]
}
