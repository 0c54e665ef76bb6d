//! What a caller means by a range.

use crate::error::{Error, ErrorKind, Result};
use std::ops::{Bound, Range, RangeBounds};

/// A range as it was given, which may have no end, or one past the message's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    start: Option<u64>,
    end: Option<u64>,
}

impl Wanted {
    pub(super) fn of(range: impl RangeBounds<u64>) -> Result<Self> {
        let start = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(before) => Some(before.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => Some(last.saturating_add(1)),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        forwards(start.unwrap_or(0), end.unwrap_or(u64::MAX))?;
        Ok(Self { start, end })
    }

    /// Which bytes it means, if that does not depend on where the message ends: those in chunks
    /// of which none is the last one.
    pub(super) fn within_whole(self, whole_len: u64) -> Option<Range<u64>> {
        let end = self.end.filter(|end| *end <= whole_len)?;
        Some(self.start.unwrap_or(0)..end)
    }

    /// Which bytes it means of a message of `len` bytes, as HTTP has it: an end past that one is
    /// that one, and a start past it is an error. All of an empty message is empty.
    pub(super) fn within(self, len: u64) -> Result<Range<u64>> {
        let end = self.end.map_or(len, |end| end.min(len));
        match self.start {
            Some(start) if start >= len => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("range begins at byte {start}, and the message has {len} bytes"),
            )),
            start => Ok(start.unwrap_or(0)..end),
        }
    }
}

/// The range of exactly `len` bytes at `offset`, which no message has if it is longer than numbers.
pub(super) fn exactly(offset: u64, len: u64) -> Range<u64> {
    offset..offset.saturating_add(len)
}

pub(super) fn forwards(start: u64, end: u64) -> Result<()> {
    match start <= end {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("range ends at {end}, before it begins at {start}"),
        )),
    }
}

/// The last `n` bytes of a message of `len` bytes; all, if there are fewer.
pub(super) fn last(n: u64, len: u64) -> Range<u64> {
    len.saturating_sub(n)..len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_as_http_does() {
        let within = |range: Wanted, len| range.within(len);
        let of = |range: Range<u64>| Wanted::of(range).unwrap();
        assert_eq!(within(of(3..10), 5).unwrap(), 3..5);
        assert_eq!(within(of(3..4), 5).unwrap(), 3..4);
        assert_eq!(within(Wanted::of(3..).unwrap(), 5).unwrap(), 3..5);
        assert_eq!(within(Wanted::of(..=3).unwrap(), 5).unwrap(), 0..4);
        assert_eq!(within(Wanted::of(..).unwrap(), 0).unwrap(), 0..0);
        assert_eq!(within(Wanted::of(0..=u64::MAX).unwrap(), 5).unwrap(), 0..5);
        for range in [of(5..6), of(5..5), Wanted::of(6..).unwrap(), of(u64::MAX..u64::MAX)] {
            let error = within(range, 5).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("has 5 bytes"), "{error}");
        }
        assert!(within(Wanted::of(0..).unwrap(), 0).is_err(), "HTTP has it so");
        let excluded = (Bound::Excluded(2), Bound::Included(3));
        assert_eq!(within(Wanted::of(excluded).unwrap(), 5).unwrap(), 3..4);
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = Wanted::of(5..4);
        assert_eq!(reversed.unwrap_err().kind(), ErrorKind::InvalidInput);
        for (n, len, range) in
            [(0, 5, 5..5), (2, 5, 3..5), (5, 5, 0..5), (9, 5, 0..5), (3, 0, 0..0)]
        {
            assert_eq!(last(n, len), range);
        }
    }
}
