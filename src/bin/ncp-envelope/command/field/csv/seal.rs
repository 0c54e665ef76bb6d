//! The cryptography of a batch.

use super::super::MAX_VALUE;
use super::super::explain::{self, Explained};
use super::Way;
use super::batch::{Batch, Cells, Done};
use super::columns::Layout;
use crate::status::Failure;
use ncp_envelope::fields::{Field, RingDocument};

/// Encrypts or decrypts the columns of `batch`, all of them or none.
pub(super) fn seal(
    way: Way,
    layout: &Layout,
    document: &RingDocument,
    batch: Batch,
) -> Result<Done, Failure> {
    let (mut cells, mut added) = (Vec::new(), Vec::new());
    for (column, field) in &layout.sealed {
        cells.push(match way {
            Way::Encrypt => encrypt(layout, &batch, *column, field)?,
            Way::Decrypt => decrypt(layout, document, &batch, *column, field)?,
        });
    }
    for (column, field) in &layout.added {
        let values: Vec<_> = (0..batch.len()).map(|at| batch.cell(at, *column)).collect();
        added.push(field.index_many(&values).map_err(Failure::writing)?);
    }
    Ok(Done { batch, cells, added })
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
    let ciphertexts = (0..batch.len()).map(|at| {
        explain::from_text(batch.cell(at, column))
            .map_err(|why| why.of(&place(layout, batch, at, column)))
    });
    let ciphertexts = ciphertexts.collect::<Result<Vec<_>, _>>()?;
    let pairs = ciphertexts.iter().enumerate().map(|(at, it)| (it, batch.row(layout, at)));
    let values = field.decrypt_many(&pairs.collect::<Vec<_>>()).map_err(Failure::reading)?;
    let Some(at) = values.failed().first().copied() else { return Ok(Cells::Values(values)) };
    match values.get(at) {
        Ok(_) => Err(Failure::other("a value failed and did not")),
        Err(error) => {
            let explained = Explained::new(error, document, &ciphertexts[at]);
            Err(explained.of(&place(layout, batch, at, column)))
        }
    }
}

fn place(layout: &Layout, batch: &Batch, at: usize, column: usize) -> String {
    format!("line {}, column {}", batch.line(at), layout.name(column))
}
