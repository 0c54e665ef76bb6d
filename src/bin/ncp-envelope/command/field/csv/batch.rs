//! Records on their way through the program, many in one allocation.

use super::buffer::Buffer;
use super::columns::Layout;
use super::split;
use csv::{ByteRecord, ReaderBuilder};
use std::ops::Range;

/// Records of one width: first as text, then taken apart.
#[derive(Default)]
pub(super) struct Batch {
    /// Whole records.
    pub(super) text: Buffer,
    /// The line on which the text begins.
    pub(super) first_line: u64,
    /// The cells without their quotes, if any has one; otherwise they are where they were.
    unquoted: Option<Buffer>,
    cells: Vec<Range<usize>>,
    /// Where each record begins in the text.
    begins: Vec<usize>,
    width: usize,
    /// What is written in place of the records.
    pub(super) out: Buffer,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.unquoted = None;
        self.cells.clear();
        self.begins.clear();
        self.out.clear();
    }

    /// Takes the text apart. If a record has another width, the ones before are kept, and the
    /// error has the place and the width of this one.
    ///
    /// Empty lines are no records. Where a record has one cell, an empty one could be meant: such a
    /// line is refused, as one of width 0.
    pub(super) fn split(&mut self, width: usize) -> Result<(), (u64, usize)> {
        self.width = width;
        let empty = if width == 1 { split::first_empty(self.text.as_slice()) } else { None };
        if let Some(begin) = empty {
            self.text.cut(begin, &mut Buffer::default());
        }
        let split = if split::has_quote(self.text.as_slice()) {
            self.split_quoted()
        } else {
            self.split_plain()
        };
        split.map_err(|(begin, width)| {
            self.begins.truncate(self.cells.len() / self.width);
            (self.line_at(begin), width)
        })?;
        empty.map_or(Ok(()), |begin| Err((self.line_at(begin), 0)))
    }

    fn split_plain(&mut self) -> Result<(), (usize, usize)> {
        let Self { text, cells, begins, width, .. } = self;
        let text = text.as_slice();
        let (mut begin, mut cell, mut failed) = (0, 0, None);
        let mut first = 0;
        let mut separator = |at: usize, comma: bool| {
            if failed.is_some() {
                return;
            }
            if !comma && at == begin {
                // No record is empty.
                (begin, cell) = (at + 1, at + 1);
                return;
            }
            cells.push(cell..at);
            cell = at + 1;
            if !comma {
                if cells.len() - first != *width {
                    failed = Some((begin, cells.len() - first));
                    cells.truncate(first);
                    return;
                }
                begins.push(begin);
                (first, begin) = (cells.len(), at + 1);
            }
        };
        split::separators(text, |at| separator(at, text[at] == b','));
        // The last line of a file may have no end.
        if text.last().is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {
            separator(text.len(), false);
        }
        failed.map_or(Ok(()), Err)
    }

    /// By the csv crate.
    fn split_quoted(&mut self) -> Result<(), (usize, usize)> {
        let mut unquoted = Buffer::default();
        let text = self.text.as_slice();
        // An empty line in front, so that this is not taken for the beginning of a file, where
        // the crate leaves out a byte order mark.
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(std::io::Read::chain(&b"\n"[..], text));
        let mut record = ByteRecord::new();
        // Reading from memory does not fail.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let begin = record.position().map_or(0, csv::Position::byte) as usize;
            let begin = begin.saturating_sub(1);
            let empty = text[begin..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let begin = begin + empty.count();
            if record.len() != self.width {
                self.unquoted = Some(unquoted);
                return Err((begin, record.len()));
            }
            let base = unquoted.as_slice().len();
            unquoted.extend(record.as_slice());
            let cells = (0..record.len()).filter_map(|cell| record.range(cell));
            self.cells.extend(cells.map(|cell| base + cell.start..base + cell.end));
            self.begins.push(begin);
        }
        self.unquoted = Some(unquoted);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.begins.len()
    }

    pub(super) fn line(&self, record: usize) -> u64 {
        self.line_at(self.begins.get(record).copied().unwrap_or_default())
    }

    fn line_at(&self, at: usize) -> u64 {
        self.first_line + split::lines(&self.text.as_slice()[..at])
    }

    pub(super) fn cell(&self, record: usize, column: usize) -> &[u8] {
        let cells = self.unquoted.as_ref().unwrap_or(&self.text);
        &cells.as_slice()[self.cells[record * self.width + column].clone()]
    }

    /// The row of a record, as its values are tied to it.
    pub(super) fn row(&self, layout: &Layout, record: usize) -> &[u8] {
        layout.row.map_or(&[][..], |column| self.cell(record, column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of `text` with their lines, and the width of the one that is refused.
    fn split(text: &[u8], width: usize) -> (Vec<Vec<Vec<u8>>>, Option<usize>) {
        let mut batch = Batch::default();
        batch.text.extend(text);
        let failed = batch.split(width).err().map(|(_, width)| width);
        let record = |at| (0..width).map(|column| batch.cell(at, column).to_vec()).collect();
        ((0..batch.len()).map(record).collect(), failed)
    }

    fn as_the_crate(text: &[u8], width: usize) -> (Vec<Vec<Vec<u8>>>, Option<usize>) {
        let empty = if width == 1 { split::first_empty(text) } else { None };
        let text = [b"\n", &text[..empty.unwrap_or(text.len())]].concat();
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..]);
        let mut records = Vec::new();
        for record in reader.into_byte_records() {
            let record = record.unwrap();
            if record.len() != width {
                return (records, Some(record.len()));
            }
            records.push(record.iter().map(<[u8]>::to_vec).collect());
        }
        (records, empty.map(|_| 0))
    }

    #[test]
    fn texts_are_taken_apart_and_cut_as_by_the_crate() {
        let alphabet = b"a,\n\r\"b";
        for number in 0..6_usize.pow(5) {
            let digits = (0..5).scan(number, |left, _| {
                let digit = *left % 6;
                *left /= 6;
                Some(alphabet[digit])
            });
            let text: Vec<u8> = digits.collect();
            for width in [1, 2] {
                assert_eq!(split(&text, width), as_the_crate(&text, width), "{text:?}");
            }
            // What is cut where a record ends comes to the same records.
            if let Some(end) = split::last_end(&text) {
                let (mut first, refused) = as_the_crate(&text[..end], 1);
                if refused.is_none() {
                    let (more, refused) = as_the_crate(&text[end..], 1);
                    first.extend(more);
                    assert_eq!((first, refused), as_the_crate(&text, 1), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn an_empty_line_is_no_empty_value() {
        for (text, records) in [
            (&b"\n"[..], 0),
            (b"\r", 0),
            (b"a\n\n", 1),
            (b"a\r\n\r\nb", 1),
            (b"a\r\r\n", 1),
            (b"\"\n\n\"\n\"\"\n\nb\n", 2),
        ] {
            let (kept, refused) = split(text, 1);
            assert_eq!((kept.len(), refused), (records, Some(0)), "{text:?}");
        }
        for text in [&b"a\r\nb\r\n"[..], b"a\rb\r", b"\"\n\n\"\n", b"\"\"\n\"\"\n", b""] {
            assert_eq!(split(text, 1).1, None, "{text:?}");
        }
        assert_eq!(split(b"a,b\n\nc,d\n\n", 2).0.len(), 2);
    }

    #[test]
    fn long_texts_without_quotes_are_taken_apart_as_by_the_crate() {
        let cells = ["", "a", "\u{feff}bc", "\u{ac00}\u{8d}\u{8a}", "0123456789,x", "-+*)(\u{b}\t"];
        let text: String = (0..3_000_usize)
            .map(|at| cells[at * at % 6].to_owned() + [",", "\n", "\r\n"][at % 7 % 3])
            .collect();
        for width in 1..5 {
            let lines: Vec<_> = text.lines().filter(|it| it.split(',').count() == width).collect();
            let text = lines.join("\n");
            let (ours, theirs) =
                (split(text.as_bytes(), width), as_the_crate(text.as_bytes(), width));
            assert!(!ours.0.is_empty() && ours == theirs, "{width}");
        }
    }
}
