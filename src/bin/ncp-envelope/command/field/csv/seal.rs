//! What becomes of a batch, on one thread.

use super::super::explain::{self, Explained};
use super::super::options::MAX_VALUE;
use super::batch::Batch;
use super::columns::{Layout, Way};
use super::format::Line;
use crate::status::Failure;
use crate::summary::counted;
use ncp_envelope::fields::{Column, Field, RingDocument, SecretColumn};

/// What stands in place of a column.
enum Cells {
    Ciphertexts(Column),
    Values(SecretColumn),
}

/// What is left of a batch, and why it is not all.
pub(super) type Sealed = (Batch, Option<Failure>);

/// Takes `batch` apart, and makes its output. If a record has another width, those before are
/// done; if a value fails, nothing is.
pub(super) fn seal(
    way: Way,
    name: &str,
    layout: &Layout,
    document: &RingDocument,
    mut batch: Batch,
) -> Result<Sealed, Failure> {
    let failed = batch.split(layout.width).err().map(|(line, len)| {
        let why = match len {
            0 => r#"the line is empty, and may be a value or nothing: write an empty value as """#
                .to_owned(),
            _ => {
                let cells = counted(len as u64, "cell");
                format!("the record has {cells}, and the first line has {}", layout.width)
            }
        };
        Failure::other(format!("{name}, line {line}: {why}"))
    });
    let mut instead: Vec<_> = (0..layout.width).map(|_| None).collect();
    for (column, field) in &layout.sealed {
        instead[*column] = Some(match way {
            Way::Encrypt => encrypt(layout, &batch, *column, field)?,
            Way::Decrypt => decrypt(layout, document, &batch, *column, field)?,
        });
    }
    let index = |(column, field): &(usize, Field)| {
        let values: Vec<_> = (0..batch.len()).map(|at| batch.cell(at, *column)).collect();
        field.index_many(&values).map_err(Failure::writing)
    };
    let added = layout.added.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    let mut out = std::mem::take(&mut batch.out);
    for at in 0..batch.len() {
        let mut line = Line::new(&mut out);
        for (column, instead) in instead.iter().enumerate() {
            match instead {
                _ if layout.dropped[column] => {}
                None => line.cell(batch.cell(at, column)),
                Some(Cells::Ciphertexts(all)) => line.ciphertext(&all[at]),
                Some(Cells::Values(all)) => line.cell(all.get(at).map_err(Failure::reading)?),
            }
        }
        added.iter().for_each(|indexes| line.hex(&indexes[at]));
        line.end(layout.crlf);
    }
    batch.out = out;
    Ok((batch, failed))
}

fn encrypt(layout: &Layout, batch: &Batch, column: usize, field: &Field) -> Result<Cells, Failure> {
    let pairs = (0..batch.len()).map(|at| (batch.cell(at, column), batch.row(layout, at)));
    let pairs: Vec<_> = pairs.collect();
    if let Some(at) = pairs.iter().position(|(value, _)| value.len() > MAX_VALUE) {
        return Err(Failure::usage(format!(
            "{}: the value is longer than 64 KiB, the most for a value",
            place(layout, batch, at, column)
        )));
    }
    field.encrypt_many(&pairs).map(Cells::Ciphertexts).map_err(Failure::writing)
}

fn decrypt(
    layout: &Layout,
    document: &RingDocument,
    batch: &Batch,
    column: usize,
    field: &Field,
) -> Result<Cells, Failure> {
    let (mut ciphertexts, mut ends) = (Vec::new(), Vec::with_capacity(batch.len()));
    for at in 0..batch.len() {
        let read = explain::append_from_text(batch.cell(at, column), &mut ciphertexts);
        read.map_err(|why| why.of(&place(layout, batch, at, column)))?;
        ends.push(ciphertexts.len());
    }
    let mut begin = 0;
    let pair = |(at, end): (usize, &usize)| {
        let ciphertext = &ciphertexts[begin..*end];
        begin = *end;
        (ciphertext, batch.row(layout, at))
    };
    let pairs: Vec<_> = ends.iter().enumerate().map(pair).collect();
    let values = field.decrypt_many(&pairs).map_err(Failure::reading)?;
    let Some(at) = values.failed().first().copied() else { return Ok(Cells::Values(values)) };
    match values.get(at) {
        Ok(_) => Err(Failure::other("a value failed and did not")),
        Err(error) => {
            let explained = Explained::new(error, document, pairs[at].0);
            Err(explained.of(&place(layout, batch, at, column)))
        }
    }
}

fn place(layout: &Layout, batch: &Batch, at: usize, column: usize) -> String {
    format!("line {}, column {}", batch.line(at), layout.name(column))
}
