//! A message whose key is there, and how its ranges are put together from what a source gives.

use super::front::Front;
use super::out::Out;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    Decryptor, Extent, Fetch, Header, PREAMBLE_LEN, Plan, RangeDecryptor, TAG_LEN, range,
};
use std::ops::Range;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// Offsets of chunks are counted from the first one's start.
pub(super) struct Opened {
    header: Header,
    decryptor: RangeDecryptor,
    extent: Extent,
    /// Where the first chunk is in the source.
    start: u64,
    /// What the first read brought of the chunks, as sealed as it was.
    head: Vec<u8>,
    /// The plaintext of the last chunk, once that was opened.
    last: OnceLock<Zeroizing<Vec<u8>>>,
}

impl Opened {
    pub(super) fn new(header: Header, decryptor: Decryptor, front: Front, source_len: u64) -> Self {
        let body = header.bound().body_offset() as u64;
        let start = body + PREAMBLE_LEN as u64;
        Self {
            header,
            decryptor: decryptor.into_range(),
            extent: Extent::of(source_len.saturating_sub(body)),
            start,
            head: front.into_chunks(start),
            last: OnceLock::new(),
        }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn whole_len(&self) -> u64 {
        self.extent.whole_len()
    }

    /// The length of the plaintext, once it is proven.
    pub(super) fn len(&self) -> Option<u64> {
        self.last.get().map(|last| self.whole_len() + last.len() as u64)
    }

    /// Where `chunks` are in the source.
    pub(super) fn in_source(&self, chunks: &Range<u64>) -> Range<u64> {
        chunks.start + self.start..chunks.end + self.start
    }

    /// The part at the start of these bytes of the chunks that is in memory.
    pub(super) fn held(&self, chunks: &Range<u64>) -> &[u8] {
        let within = |at: u64| at.min(self.head.len() as u64) as usize;
        &self.head[within(chunks.start)..within(chunks.end)]
    }

    /// Whether the end must be verified before `range` is served: if it is past all chunks that
    /// cannot be the last.
    pub(super) fn needs_end(&self, range: &Range<u64>) -> bool {
        range.end > self.whole_len() || range.start >= self.whole_len()
    }

    /// Refuses a range that goes past the proven end.
    pub(super) fn check(&self, range: &Range<u64>) -> Result<()> {
        match self.len() {
            Some(len) => range::covering(range.start, range.end - range.start, len).map(drop),
            None => Ok(()),
        }
    }

    /// Where the last chunk is among the chunks.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if no message has this length.
    pub(super) fn last_chunk(&self) -> Result<Range<u64>> {
        self.extent.last().map(|(_, bytes)| bytes)
    }

    /// Opens the last chunk, and with it the length of the plaintext (`F-24`).
    pub(super) fn open_last(&self, sealed: &[u8]) -> Result<u64> {
        let (number, bytes) = self.extent.last()?;
        if sealed.len() as u64 != bytes.end - bytes.start {
            return Err(shorter());
        }
        let mut out = Zeroizing::new(vec![0; sealed.len() - TAG_LEN]);
        self.decryptor.open(number, sealed, &mut out)?;
        let last = self.last.get_or_init(|| out);
        Ok(self.whole_len() + last.len() as u64)
    }

    /// The plaintext from `offset` on that is in the last chunk, if that was opened.
    pub(super) fn in_last(&self, offset: u64) -> &[u8] {
        let last = self.last.get().map_or(&[][..], |last| &last[..]);
        let at = offset.saturating_sub(self.whole_len()).min(last.len() as u64);
        &last[at as usize..]
    }

    /// Opens what ranges want of the chunks of `fetch`, which `sealed` is.
    pub(super) fn open(
        &self,
        plan: &Plan,
        fetch: Fetch,
        sealed: &[u8],
        outs: &mut [Out<'_>],
    ) -> Result<()> {
        plan.pieces(fetch).try_for_each(|(index, piece)| {
            piece.open(&self.decryptor, sealed, outs[index].room(piece.len()))
        })
    }

    /// Puts behind each range what of it is in the last chunk.
    pub(super) fn finish(&self, ranges: &[Range<u64>], outs: &mut [Out<'_>]) {
        for (range, out) in ranges.iter().zip(outs) {
            let start = range.start.max(self.whole_len());
            if start < range.end {
                let part = &self.in_last(start)[..(range.end - start) as usize];
                out.room(part.len()).copy_from_slice(part);
            }
        }
    }
}

/// What to say of a source that ended before its length.
pub(super) fn shorter() -> Error {
    Error::new(
        ErrorKind::Truncated,
        "message is truncated: its source has fewer bytes than it said",
    )
}
