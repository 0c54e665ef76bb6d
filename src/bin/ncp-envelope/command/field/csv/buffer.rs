//! Bytes that may be secret.

use std::io::{self, Read};
use zeroize::Zeroize;

/// Wiped when dropped, and the place that they leave when they grow. Used again without.
#[derive(Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).extend_from_slice(bytes);
    }

    /// The bytes, which can grow by `more` without moving.
    pub(super) fn room(&mut self, more: usize) -> &mut Vec<u8> {
        let len = self.0.len();
        if self.0.capacity() - len < more {
            let mut longer = Vec::with_capacity((len + more).max(2 * self.0.capacity()));
            longer.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = longer;
        }
        &mut self.0
    }

    /// Reads once, at most `most` bytes.
    pub(super) fn read(&mut self, source: &mut impl Read, most: usize) -> io::Result<usize> {
        let len = self.0.len();
        self.room(most).resize(len + most, 0);
        let read = loop {
            match source.read(&mut self.0[len..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.0.truncate(len + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Moves what is behind `at` into `other`.
    pub(super) fn cut(&mut self, at: usize, other: &mut Self) {
        other.clear();
        other.extend(&self.0[at..]);
        self.0.truncate(at);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
