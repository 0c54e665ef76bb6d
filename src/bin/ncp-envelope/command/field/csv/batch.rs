//! Records on their way through the program, many in one allocation.

use super::buffer::Buffer;
use super::columns::Layout;
use csv::ByteRecord;

/// A batch is full with this many records, or this many bytes of them. It is the work of one
/// thread, and stays in that processor's cache.
const FULL_RECORDS: usize = 1_024;
const FULL_BYTES: usize = 512 << 10;

/// Records of one width.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Buffer,
    /// Where each cell ends.
    ends: Vec<usize>,
    /// The line on which each record begins.
    lines: Vec<u64>,
    width: usize,
    /// What is written in place of the records.
    pub(super) out: Buffer,
}

impl Batch {
    pub(super) fn clear(&mut self, width: usize) {
        self.bytes.clear();
        self.ends.clear();
        self.lines.clear();
        self.width = width;
        self.out.clear();
    }

    pub(super) fn push(&mut self, record: &ByteRecord) {
        let begin = self.bytes.as_slice().len();
        self.bytes.extend(record.as_slice());
        let ends = (0..record.len()).filter_map(|cell| record.range(cell));
        self.ends.extend(ends.map(|range| begin + range.end));
        self.lines.push(record.position().map_or(0, csv::Position::line));
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= FULL_RECORDS || self.bytes.as_slice().len() >= FULL_BYTES
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
        &self.bytes.as_slice()[begin..self.ends[at]]
    }

    /// The row of a record, as its values are tied to it.
    pub(super) fn row(&self, layout: &Layout, record: usize) -> &[u8] {
        layout.row.map_or(&[][..], |column| self.cell(record, column))
    }
}
