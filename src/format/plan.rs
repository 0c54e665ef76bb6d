//! What a range of the plaintext needs of the body, and what of that it wants.
//!
//! Promises: a fetch is a run of whole chunks, bounded in length, so a short chunk is never opened
//! in one; each range opens the chunks that it touches and no others, also where several ranges
//! share a fetch. The last chunk, the only short one (`F-24`), is nobody's fetch: it is opened
//! alone, by the number that the body's length gives it, and that proves where the message ends.
//! Knows numbers only: no source, no waiting.

use super::chunk::{CHUNK_LEN, MAX_CHUNKS, SEALED_CHUNK_LEN, TAG_LEN};
use super::{PREAMBLE_LEN, RangeDecryptor, range};
use crate::error::{Error, ErrorKind, Result};
use std::ops::Range;
use zeroize::Zeroizing;

const CHUNK: u64 = CHUNK_LEN as u64;
const SEALED: u64 = SEALED_CHUNK_LEN as u64;

/// What the length of a body says of its chunks. Nobody vouches for that length.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Chunks of full size.
    whole: u64,
    /// Of the plaintext; an error for a length that no body has (`F-25`).
    claimed: Result<u64>,
}

impl Extent {
    pub(crate) fn of(body_len: u64) -> Self {
        let chunks = body_len.saturating_sub(PREAMBLE_LEN as u64) / SEALED;
        Self { whole: chunks.min(MAX_CHUNKS), claimed: range::plaintext_len(body_len) }
    }

    /// Plaintext bytes in chunks of full size, none of which is the last.
    pub(crate) fn whole_len(&self) -> u64 {
        self.whole * CHUNK
    }

    /// Number of the last chunk, and where it is among the chunks.
    ///
    /// # Errors
    /// Those of [`range::plaintext_len`].
    pub(crate) fn last(&self) -> Result<(u64, Range<u64>)> {
        let len = self.claimed.clone()? - self.whole_len() + TAG_LEN as u64;
        let start = self.whole * SEALED;
        Ok((self.whole, start..start + len))
    }
}

/// A run of whole chunks that is fetched at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetch {
    first: u64,
    count: u64,
    /// Which group it belongs to.
    group: usize,
}

impl Fetch {
    /// Where it is among the chunks, which begin behind the preamble.
    pub(crate) fn bytes(&self) -> Range<u64> {
        self.first * SEALED..(self.first + self.count) * SEALED
    }
}

/// The fetches of some ranges, and what each range wants of each.
#[derive(Debug)]
pub(crate) struct Plan {
    wants: Vec<Want>,
    groups: Vec<Group>,
}

/// A range, as far as it lies in whole chunks.
#[derive(Debug)]
struct Want {
    bytes: Range<u64>,
    chunks: Range<u64>,
    /// Its place among the caller's ranges.
    index: usize,
}

/// Ranges that are fetched together: neighbours among the wants, and the chunks that hold them.
#[derive(Debug)]
struct Group {
    wants: Range<usize>,
    chunks: Range<u64>,
}

impl Plan {
    /// For `ranges`, of which what lies at or past `whole_len` is not of concern here. Ranges with
    /// at most `gap` sealed bytes between their chunks are fetched together.
    pub(crate) fn new(ranges: &[Range<u64>], whole_len: u64, gap: u64) -> Self {
        let want = |(index, range): (usize, &Range<u64>)| {
            let bytes = range.start..range.end.min(whole_len);
            // An empty range is the one chunk that it lies in, as in `range::covering`.
            let end = bytes.end.div_ceil(CHUNK).max(bytes.start / CHUNK + 1);
            (range.start < whole_len).then_some(Want {
                chunks: bytes.start / CHUNK..end,
                bytes,
                index,
            })
        };
        let mut wants: Vec<_> = ranges.iter().enumerate().filter_map(want).collect();
        wants.sort_by_key(|want| (want.bytes.start, want.index));
        let mut groups: Vec<Group> = Vec::new();
        for (at, want) in wants.iter().enumerate() {
            match groups.last_mut() {
                Some(group)
                    if want.chunks.start.saturating_sub(group.chunks.end) * SEALED <= gap =>
                {
                    group.wants.end = at + 1;
                    group.chunks.end = group.chunks.end.max(want.chunks.end);
                }
                _ => groups.push(Group { wants: at..at + 1, chunks: want.chunks.clone() }),
            }
        }
        Self { wants, groups }
    }

    /// What to fetch, in ascending order, at most `most` chunks at once.
    pub(crate) fn fetches(&self, most: u64) -> impl Iterator<Item = Fetch> {
        self.groups.iter().enumerate().flat_map(move |(group, ranges)| {
            let chunks = ranges.chunks.clone();
            let starts = (0..(chunks.end - chunks.start).div_ceil(most)).map(move |n| n * most);
            starts.map(move |skip| {
                let first = chunks.start + skip;
                Fetch { first, count: most.min(chunks.end - first), group }
            })
        })
    }

    /// What of `fetch` is wanted, for each range that wants any: its index, and the piece. Of one
    /// range, pieces come in ascending order from fetch to fetch, and without gaps.
    pub(crate) fn pieces(&self, fetch: Fetch) -> impl Iterator<Item = (usize, Piece)> {
        let chunks = fetch.first..fetch.first + fetch.count;
        let wants = &self.wants[self.groups[fetch.group].wants.clone()];
        let begun = wants.partition_point(|want| want.chunks.start < chunks.end);
        wants[..begun].iter().filter_map(move |want| {
            let shared = chunks.start.max(want.chunks.start)..chunks.end.min(want.chunks.end);
            if shared.is_empty() {
                return None;
            }
            let start = want.bytes.start.max(shared.start * CHUNK);
            let end = want.bytes.end.min(shared.end * CHUNK);
            let piece = Piece {
                skipped: (shared.start - chunks.start) as usize,
                from: (start - shared.start * CHUNK) as usize,
                len: (end - start) as usize,
                chunks: shared,
            };
            Some((want.index, piece))
        })
    }
}

/// What a range wants of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    chunks: Range<u64>,
    /// Chunks of the fetch before these.
    skipped: usize,
    /// Bytes of the first chunk before the wanted ones.
    from: usize,
    len: usize,
}

impl Piece {
    /// Plaintext bytes that are wanted.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Opens these chunks of the fetch, whose bytes `sealed` is, and puts what is wanted into
    /// `out`, which has room for just that. On failure `out` may hold plaintext that was verified.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`].
    pub(crate) fn open(
        &self,
        decryptor: &RangeDecryptor,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        // A short chunk would open as the last one, wherever it stands (`F-24`).
        let sealed = sealed.chunks_exact(SEALED_CHUNK_LEN).skip(self.skipped);
        let (mut from, mut out) = (self.from, out);
        let mut scratch: Option<Zeroizing<Vec<u8>>> = None;
        let mut opened = self.chunks.start;
        for (number, chunk) in self.chunks.clone().zip(sealed) {
            let (room, rest) = out.split_at_mut(out.len().min(CHUNK_LEN - from));
            if room.len() == CHUNK_LEN {
                decryptor.open(number, chunk, room)?;
            } else {
                let scratch = scratch.get_or_insert_with(|| Zeroizing::new(vec![0; CHUNK_LEN]));
                decryptor.open(number, chunk, scratch)?;
                room.copy_from_slice(&scratch[from..from + room.len()]);
            }
            (from, out, opened) = (0, rest, number + 1);
        }
        match out.is_empty() && opened == self.chunks.end {
            true => Ok(()),
            false => {
                Err(Error::new(ErrorKind::Internal, "a fetch is shorter than it was asked for"))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    const MOST: u64 = 64;

    fn of(ranges: &[Range<u64>], gap: u64) -> Vec<(Fetch, Vec<(usize, Piece)>)> {
        let plan = Plan::new(ranges, u64::MAX, gap);
        plan.fetches(MOST).map(|fetch| (fetch, plan.pieces(fetch).collect())).collect()
    }

    // F-24, F-25
    #[test]
    fn a_length_says_how_many_chunks_are_whole_and_which_is_last() {
        for (len, whole, last) in [(0, 0, 16), (1, 0, 17), (16_383, 0, 16_399), (16_384, 1, 16)] {
            let extent = Extent::of(range::body_len(len).unwrap());
            let start = whole * SEALED;
            assert_eq!(extent.whole_len(), whole * CHUNK);
            assert_eq!(extent.last().unwrap(), (whole, start..start + last), "{len}");
        }
        for (body, whole) in [(0, 0), (55, 0), (56, 0), (71, 0), (56 + 2 * SEALED + 15, 2)] {
            let extent = Extent::of(body);
            assert_eq!(extent.last().unwrap_err().kind(), ErrorKind::Truncated, "{body}");
            assert_eq!(extent.whole_len(), whole * CHUNK);
        }
        let extent = Extent::of(u64::MAX);
        assert_eq!(extent.last().unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(extent.whole_len(), MAX_CHUNKS * CHUNK);
    }

    #[test]
    fn one_range_is_fetched_as_the_chunks_that_cover_it() {
        let total = 300 * CHUNK;
        for (start, len) in [(0, 1), (0, CHUNK), (1, CHUNK), (CHUNK - 1, 2), (5 * CHUNK, 0)] {
            let run = range::covering(start, len, total).unwrap();
            let plan = Plan::new(&[start..start + len], total, 0);
            let fetches: Vec<_> = plan.fetches(MOST).collect();
            assert_eq!(fetches, [Fetch { first: run.first, count: run.count, group: 0 }]);
            let bytes = fetches[0].bytes();
            assert_eq!((bytes.start + 56, bytes.end - bytes.start), (run.offset, run.len));
            let pieces: Vec<_> = plan.pieces(fetches[0]).collect();
            assert_eq!((pieces.len(), pieces[0].0), (1, 0));
            let piece = &pieces[0].1;
            assert_eq!((piece.from as u64, piece.len as u64), (run.skip, len));
        }
        // What lies in the last chunk is not fetched.
        let plan = Plan::new(&[total - 1..total + 5, total..total + 5, total..total], total, 0);
        assert_eq!(plan.fetches(MOST).count(), 1);
        assert_eq!(plan.wants.len(), 1);
        assert_eq!(plan.wants[0].bytes, total - 1..total);
    }

    #[test]
    fn a_long_range_is_fetched_in_runs() {
        let parts = of(&[5..200 * CHUNK + 7], 0);
        let runs: Vec<_> = parts.iter().map(|(fetch, _)| (fetch.first, fetch.count)).collect();
        assert_eq!(runs, [(0, 64), (64, 64), (128, 64), (192, 9)]);
        let lens: Vec<_> = parts.iter().map(|(_, pieces)| pieces[0].1.len as u64).collect();
        assert_eq!(lens, [64 * CHUNK - 5, 64 * CHUNK, 64 * CHUNK, 8 * CHUNK + 7]);
    }

    #[test]
    fn neighbours_are_fetched_together_and_open_their_own_chunks_only() {
        let at = |chunk: u64, len: u64| chunk * CHUNK..chunk * CHUNK + len;
        // Out of order, overlapping, in one chunk, in the next one, and far away.
        let ranges = [at(9, 10), at(2, CHUNK + 1), at(2, 5), at(4, 0), at(20, 1)];
        let parts = of(&ranges, 0);
        let runs: Vec<_> = parts.iter().map(|(fetch, _)| (fetch.first, fetch.count)).collect();
        assert_eq!(runs, [(2, 3), (9, 1), (20, 1)]);
        let touched: Vec<_> = parts[0].1.iter().map(|(i, p)| (*i, p.chunks.clone())).collect();
        assert_eq!(touched, [(1, 2..4), (2, 2..3), (3, 4..5)]);
        assert_eq!(parts[0].1[2].1.skipped, 2);
        // Four chunks lie between, and ten.
        for (gap, groups) in [(4 * SEALED - 1, 3), (4 * SEALED, 2), (10 * SEALED, 1)] {
            assert_eq!(of(&ranges, gap).len(), groups, "{gap}");
        }
        let far = of(&ranges, 4 * SEALED).swap_remove(0);
        assert_eq!((far.0.first, far.0.count), (2, 8));
        assert_eq!(far.1.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3, 0]);
    }
}
