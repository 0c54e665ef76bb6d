//! Records on their way through the program, many in one allocation.

use super::columns::Layout;
use csv::ByteRecord;
use ncp_envelope::fields::{Column, SecretColumn};
use zeroize::Zeroize;

/// A batch is full with this many records, or this many bytes of them.
const FULL_RECORDS: usize = 8_192;
const FULL_BYTES: usize = 2 << 20;

/// Records of one width. Wiped when they are replaced and when dropped.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
    /// The line on which each record begins.
    lines: Vec<u64>,
    width: usize,
}

impl Batch {
    pub(super) fn clear(&mut self, width: usize) {
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
        self.ends.clear();
        self.lines.clear();
        self.width = width;
    }

    pub(super) fn push(&mut self, record: &ByteRecord) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(record.as_slice());
        let ends = (0..record.len()).filter_map(|cell| record.range(cell));
        self.ends.extend(ends.map(|range| begin + range.end));
        self.lines.push(record.position().map_or(0, csv::Position::line));
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= FULL_RECORDS || self.bytes.len() >= FULL_BYTES
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn line(&self, record: usize) -> u64 {
        self.lines.get(record).copied().unwrap_or_default()
    }

    pub(super) fn cell(&self, record: usize, column: usize) -> &[u8] {
        let at = record * self.width + column;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[begin..self.ends[at]]
    }

    /// The row of a record, as its values are tied to it.
    pub(super) fn row(&self, layout: &Layout, record: usize) -> &[u8] {
        layout.row.map_or(&[][..], |column| self.cell(record, column))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// What stands in place of a column.
pub(super) enum Cells {
    Ciphertexts(Column),
    Values(SecretColumn),
}

/// A batch, and what its encrypted columns become, and the indexes that are added.
pub(super) struct Done {
    pub(super) batch: Batch,
    pub(super) cells: Vec<Cells>,
    pub(super) added: Vec<Column>,
}
