//! A growing buffer that leaves no copy of its contents behind.

use zeroize::Zeroizing;

const FIRST: usize = 4_096;

/// Bytes that are zeroized when dropped, with a limit.
///
/// A plain `Vec` that grows frees its old memory as it is; this one zeroizes it first.
pub(crate) struct Buffer {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
}

impl Buffer {
    /// An empty buffer for at most `limit` bytes, about `expected` of them.
    pub(crate) fn new(expected: Option<u64>, limit: usize) -> Self {
        let expected = expected.and_then(|len| usize::try_from(len).ok()).unwrap_or(FIRST);
        Self { bytes: Zeroizing::new(Vec::with_capacity(expected.min(limit))), limit }
    }

    /// Appends `more`, or nothing and `false` if that would exceed the limit.
    #[must_use]
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        let len = self.bytes.len() + more.len();
        if len > self.limit {
            return false;
        }
        if len > self.bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(
                len.max(2 * self.bytes.capacity()).min(self.limit),
            ));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(more);
        true
    }

    /// The bytes.
    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_pushed_up_to_the_limit() {
        let mut buffer = Buffer::new(Some(u64::MAX), 10);
        assert!(buffer.push(b"01234"));
        assert!(!buffer.push(b"567890"));
        assert!(buffer.push(b"56789"));
        assert!(!buffer.push(b"x"));
        assert!(buffer.push(b""));
        assert_eq!(&buffer.into_bytes()[..], b"0123456789");

        let mut buffer = Buffer::new(Some(1), 100_000);
        for _ in 0..99 {
            assert!(buffer.push(&[7; 1000]));
        }
        assert_eq!(buffer.into_bytes().len(), 99_000);
    }
}
