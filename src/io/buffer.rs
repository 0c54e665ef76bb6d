//! Page-aligned buffers for file I/O.

use std::ops::{Deref, DerefMut};
use zeroize::optimization_barrier;

pub(super) const PAGE: usize = 4_096;

/// Bytes that start on a page and are wiped once, when dropped.
///
/// The start matters: the kernel copies into a page-aligned buffer up to twice as fast as into one
/// at the 16-byte offset that a large allocation has.
pub(super) struct PageBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl PageBuffer {
    pub(super) fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        // `align_offset` may give up; an unaligned buffer is slower and still right.
        let start = match bytes.as_ptr().align_offset(PAGE) {
            start if start < PAGE => start,
            _ => 0,
        };
        Self { bytes, start, len }
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

impl Drop for PageBuffer {
    fn drop(&mut self) {
        // `zeroize` writes byte after byte, which takes longer than sealing them.
        self.bytes.fill(0);
        optimization_barrier(&self.bytes[..]);
    }
}
