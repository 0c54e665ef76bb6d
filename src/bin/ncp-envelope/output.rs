//! What the management commands print: aligned text for people, JSON for programs.

use crate::status::Failure;
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Names and values in the order in which they are shown; null is what is not known.
pub(crate) type Record = Vec<(&'static str, Value)>;

/// Prints one thing: a line for each value that is known.
pub(crate) fn one(json: bool, record: Record) -> Result<(), Failure> {
    if json {
        return line(&object(record).to_string());
    }
    let width = record.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let known = record.iter().filter(|(_, value)| !value.is_null());
    let text: String = known
        .map(|(name, value)| format!("{}\n", format!("{name:<width$}{}", shown(value)).trim_end()))
        .collect();
    print(text.as_bytes())
}

/// Prints a list: a table with these columns, or a JSON array with all that is known.
pub(crate) fn list(json: bool, columns: &[&str], records: Vec<Record>) -> Result<(), Failure> {
    if json {
        return line(&Value::Array(records.into_iter().map(object).collect()).to_string());
    }
    let cell = |record: &Record, column: &str| {
        let value = record
            .iter()
            .find(|(name, _)| *name == column)
            .map_or(&Value::Null, |(_, value)| value);
        if value.is_null() { "-".to_owned() } else { shown(value) }
    };
    let mut rows = vec![columns.iter().map(|column| column.to_uppercase()).collect::<Vec<_>>()];
    rows.extend(
        records.iter().map(|record| columns.iter().map(|column| cell(record, column)).collect()),
    );
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += padded.join("  ").trim_end();
        text.push('\n');
    }
    print(text.as_bytes())
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    print(text.as_bytes()).and_then(|()| print(b"\n"))
}

/// Writes to standard output and makes sure that it arrives.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::other(format!("cannot write to standard output: {error}")))
}

fn object(record: Record) -> Value {
    Value::Object(
        record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

/// A value as people read it. Escaped: others chose these texts, and a terminal obeys some.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let plain = |c: char| {
        !c.is_control()
            && !matches!(c,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if plain(c) { c.to_string() } else { c.escape_unicode().to_string() })
        .collect()
}
