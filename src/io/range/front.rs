//! The first read of a message, and what it brings.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Header, PREAMBLE_LEN};
use std::ops::Range;

/// What is read before anything is known: the header in most cases, and some chunks, or all of a
/// short message.
const FIRST_READ: u64 = 64 << 10;

/// The start of a message, read in one piece; in two if the header is longer than that.
///
/// Read what is [`missing`](Self::missing) and [`add`](Self::add) it, until nothing is.
pub(super) struct Front {
    bytes: Vec<u8>,
    ended: bool,
}

impl Front {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), ended: false }
    }

    pub(super) fn missing(&self) -> Option<Range<u64>> {
        let here = self.bytes.len() as u64;
        if self.ended {
            return None;
        }
        if here == 0 {
            return Some(0..FIRST_READ);
        }
        // What is not a header is refused when it is decoded.
        let needed = Header::len_from(&self.bytes).ok()? + PREAMBLE_LEN;
        (here < needed as u64).then_some(here..needed as u64)
    }

    /// Takes what was read for `wanted`: less than that is where the source ends.
    pub(super) fn add(&mut self, wanted: Range<u64>, bytes: &[u8]) {
        self.ended = (bytes.len() as u64) < wanted.end - wanted.start;
        self.bytes.extend_from_slice(bytes);
    }

    /// The length of the source, if its end was seen.
    pub(super) fn source_len(&self) -> Option<u64> {
        self.ended.then_some(self.bytes.len() as u64)
    }

    /// `admit` is asked before the preamble is looked for, so that a refusal by policy comes first.
    pub(super) fn decode(
        &self,
        admit: impl FnOnce(&Header) -> Result<()>,
    ) -> Result<(Header, [u8; PREAMBLE_LEN])> {
        let header = Header::decode(&self.bytes)?;
        admit(&header)?;
        match self.bytes[header.bound().body_offset()..].first_chunk() {
            Some(preamble) => Ok((header, *preamble)),
            None => Err(Error::new(
                ErrorKind::Truncated,
                "message is truncated: it ends before its first chunk",
            )),
        }
    }

    /// What of the chunks came along, given where they begin.
    pub(super) fn into_chunks(mut self, start: u64) -> Vec<u8> {
        self.bytes.drain(..self.bytes.len().min(start as usize));
        self.bytes.shrink_to_fit();
        self.bytes
    }
}
