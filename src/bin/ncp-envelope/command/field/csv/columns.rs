//! Which columns are encrypted, and where they are in a file.

use super::super::options::named;
use crate::status::Failure;
use csv::ByteRecord;
use ncp_envelope::fields::{Field, KeyRing};
use std::collections::HashSet;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Encrypt,
    Decrypt,
}

/// What the command line asks for.
pub(super) struct Work {
    pub(super) way: Way,
    pub(super) columns: Vec<String>,
    pub(super) indexes: Vec<String>,
    pub(super) row: Option<String>,
    pub(super) table: Option<String>,
    pub(super) bits: u16,
    pub(super) deterministic: bool,
}

/// The columns of a file.
#[derive(Clone)]
pub(super) struct Layout {
    pub(super) width: usize,
    /// Encrypted columns, each with its field.
    pub(super) sealed: Vec<(usize, Field)>,
    pub(super) row: Option<usize>,
    /// Columns whose indexes are added, each with its field.
    pub(super) added: Vec<(usize, Field)>,
    /// Whether a column is left out.
    pub(super) dropped: Vec<bool>,
    /// Whether lines end in two bytes.
    pub(super) crlf: bool,
    names: Vec<String>,
}

impl Work {
    pub(super) fn check(&self) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        if let Some(twice) = self.columns.iter().find(|name| !seen.insert(*name)) {
            return Err(Failure::usage(format!("--column {twice} is given twice")));
        }
        let mut indexed = HashSet::new();
        if let Some(twice) = self.indexes.iter().find(|name| !indexed.insert(*name)) {
            return Err(Failure::usage(format!("--index {twice} is given twice")));
        }
        if let Some(row) = self.row.as_ref().filter(|row| seen.contains(row)) {
            return Err(Failure::usage(format!(
                "--row-column {row} is also a --column: the row is needed to decrypt, and stays as \
                 it is"
            )));
        }
        match self.indexes.iter().find(|name| !seen.contains(name)) {
            Some(name) => Err(Failure::usage(format!(
                "--index {name} needs --column {name}: beside its value, an index hides nothing"
            ))),
            None => Ok(()),
        }
    }

    /// The fields of the encrypted columns.
    pub(super) fn fields(&self, ring: &KeyRing) -> Result<Vec<Field>, Failure> {
        let field = |column: &String| {
            let name = match &self.table {
                Some(table) => format!("{table}.{column}"),
                None => column.clone(),
            };
            let field = named(ring, &name, self.deterministic)?;
            field.with_index_bits(self.bits).map_err(Failure::writing)
        };
        self.columns.iter().map(field).collect()
    }

    /// The layout of a file with this first line, and the first line of the output.
    pub(super) fn layout(
        &self,
        ring: &KeyRing,
        header: &ByteRecord,
        crlf: bool,
    ) -> Result<(Layout, ByteRecord), Failure> {
        let names = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let fields = self.fields(ring)?;
        let sealed = self.columns.iter().map(|name| find(header, name));
        let sealed: Vec<_> =
            sealed.collect::<Result<Vec<_>, _>>()?.into_iter().zip(fields).collect();
        let row = self.row.as_ref().map(|name| find(header, name)).transpose()?;
        let (mut out, mut added) = (ByteRecord::new(), Vec::new());
        let mut dropped = vec![false; header.len()];
        let index_name = |name: &String| format!("{name}_index");
        if self.way == Way::Decrypt {
            for name in &self.indexes {
                dropped[find(header, &index_name(name))?] = true;
            }
        }
        let kept = header.iter().zip(&dropped).filter(|(_, dropped)| !**dropped);
        kept.for_each(|(name, _)| out.push_field(name));
        if self.way == Way::Encrypt {
            for name in &self.indexes {
                let added_name = index_name(name);
                if header.iter().any(|other| other == added_name.as_bytes()) {
                    return Err(Failure::usage(format!(
                        "standard input has a column {added_name} already, which --index {name} \
                         would add"
                    )));
                }
                out.push_field(added_name.as_bytes());
                let at = find(header, name)?;
                added.extend(sealed.iter().find(|(column, _)| *column == at).cloned());
            }
        }
        let layout = Layout { width: header.len(), sealed, row, added, dropped, crlf, names };
        Ok((layout, out))
    }
}

impl Layout {
    /// The name of a column.
    pub(super) fn name(&self, column: usize) -> &str {
        self.names.get(column).map_or("", String::as_str)
    }
}

/// Where the column `name` is.
fn find(header: &ByteRecord, name: &str) -> Result<usize, Failure> {
    let mut at = header.iter().enumerate().filter(|(_, other)| *other == name.as_bytes());
    match (at.next(), at.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("standard input has two columns with the name {name}")))
        }
        (None, _) => {
            let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
            Err(Failure::usage(format!(
                "standard input has no column {name}: its first line has {}",
                names.join(", ")
            )))
        }
    }
}
