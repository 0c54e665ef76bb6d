//! What the management commands print: aligned text for people, JSON for programs.

use crate::status::Failure;
use crate::{shown, streams};
use comfy_table::{Table, presets};
use serde_json::{Map, Value};
use std::io;

/// Names and values in display order; null means unknown.
pub(crate) type Record = Vec<(&'static str, Value)>;

/// Prints one record: a line for each known value.
pub(crate) fn one(json: bool, record: Record) -> Result<(), Failure> {
    if json {
        return json_line(&object(record));
    }
    let mut table = Table::new();
    table.add_rows(
        record
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| [name.to_owned(), shown(&value)]),
    );
    print(text(table).as_bytes())
}

/// Prints a list: a table with these columns, or a JSON array with all known values.
pub(crate) fn list(json: bool, columns: &[&str], records: Vec<Record>) -> Result<(), Failure> {
    if json {
        return json_line(&Value::Array(records.into_iter().map(object).collect()));
    }
    let cell = |record: &Record, column: &str| {
        let value = record
            .iter()
            .find(|(name, _)| *name == column)
            .map_or(&Value::Null, |(_, value)| value);
        if value.is_null() { "-".to_owned() } else { shown(value) }
    };
    let mut table = Table::new();
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    table.add_rows(records.iter().map(|record| columns.iter().map(|column| cell(record, column))));
    print(text(table).as_bytes())
}

/// Columns two spaces apart, without borders.
fn text(mut table: Table) -> String {
    table.load_style(presets::NOTHING);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    let lines: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    // A table without rows has an empty line.
    if lines.trim().is_empty() { String::new() } else { lines }
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    print(format!("{text}\n").as_bytes())
}

/// Prints JSON, in one line.
pub(crate) fn json_line(value: &Value) -> Result<(), Failure> {
    line(&shown::json(&value.to_string()))
}

/// Writes to standard output and flushes it.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    streams::print(bytes).map_err(cannot_write)
}

/// Refuses closed standard output, before any work whose result would be lost.
pub(crate) fn check() -> Result<(), Failure> {
    streams::output().map(drop).map_err(cannot_write)
}

/// The error for a failed standard output.
pub(crate) fn cannot_write(error: io::Error) -> Failure {
    Failure::other(format!("cannot write to standard output: {error}"))
}

pub(crate) fn object(record: Record) -> Value {
    Value::Object(
        record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

/// A value for people. Escaped: others chose these texts, and a terminal obeys some characters.
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
    shown::plain(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_in_line_where_letters_are_two_columns_wide() {
        let mut table = Table::new();
        table.set_header(["NAME", "STATUS"]);
        table.add_rows([["\u{ac00}\u{b098}\u{b2e4}", "ENABLE"], ["abc", "DISABLE"]]);
        assert_eq!(
            text(table),
            "NAME    STATUS\n\u{ac00}\u{b098}\u{b2e4}  ENABLE\nabc     DISABLE\n"
        );
        assert_eq!(text(Table::new()), "");
    }
}
