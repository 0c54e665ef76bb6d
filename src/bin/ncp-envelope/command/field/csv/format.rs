//! Records as text, byte for byte as the csv crate writes them.
//!
//! Of its own, because the crate's writer looks at every byte of a ciphertext, which never needs
//! quotes, and leaves a buffer behind that nobody wipes.

use super::buffer::Buffer;
use ncp_envelope::fields::FieldCiphertext;

/// A record being written.
pub(super) struct Line<'a> {
    out: &'a mut Buffer,
    begin: usize,
    first: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(out: &'a mut Buffer) -> Self {
        let begin = out.as_slice().len();
        Self { out, begin, first: true }
    }

    pub(super) fn cell(&mut self, bytes: &[u8]) {
        let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
        // Without an early end, many bytes are compared at once.
        if !bytes.iter().fold(false, |any, byte| any | special(byte)) {
            self.next(bytes.len()).extend_from_slice(bytes);
            return;
        }
        let out = self.next(2 * bytes.len() + 2);
        out.push(b'"');
        for byte in bytes {
            if *byte == b'"' {
                out.push(b'"');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }

    pub(super) fn ciphertext(&mut self, ciphertext: &[u8]) {
        let out = self.next(ciphertext.len().div_ceil(3) * 4);
        FieldCiphertext::append_text(ciphertext, out);
    }

    pub(super) fn hex(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let out = self.next(2 * bytes.len());
        out.extend(digits.map(|digit| DIGITS[usize::from(digit)]));
    }

    pub(super) fn end(self, crlf: bool) {
        let empty = self.out.as_slice().len() == self.begin;
        let out = self.out.room(4);
        if empty {
            // An empty line would be no record.
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
    }

    /// Where the next cell goes, of at most `len` bytes.
    fn next(&mut self, len: usize) -> &mut Vec<u8> {
        let out = self.out.room(len + 1);
        if !self.first {
            out.push(b',');
        }
        self.first = false;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use csv::{Terminator, WriterBuilder};

    #[test]
    fn records_are_written_as_the_crate_writes_them() {
        let cells: [&[u8]; 9] =
            [b"", b" a b ", b"a,b", b"\"", b"say \"no\"", b"a\nb", b"\r", b"\xff;'", b"-1.5"];
        for crlf in [false, true] {
            let terminator = if crlf { Terminator::CRLF } else { Terminator::Any(b'\n') };
            let mut theirs = WriterBuilder::new();
            let mut theirs = theirs.flexible(true).terminator(terminator).from_writer(Vec::new());
            let mut ours = Buffer::default();
            for width in 1..=cells.len() {
                for record in cells.windows(width) {
                    theirs.write_record(record).unwrap();
                    let mut line = Line::new(&mut ours);
                    record.iter().for_each(|cell| line.cell(cell));
                    line.end(crlf);
                }
            }
            assert_eq!(ours.as_slice(), theirs.into_inner().unwrap());
        }
    }

    #[test]
    fn ciphertexts_and_indexes_have_their_text_forms() {
        let mut out = Buffer::default();
        let mut line = Line::new(&mut out);
        line.ciphertext(&[1, 2, 0, 0, 0, 255]);
        line.hex(&[0, 0x9a, 0xff]);
        line.end(false);
        assert_eq!(out.as_slice(), b"AQIAAAD_,009aff\n");
    }
}
