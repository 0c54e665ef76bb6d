//! From the size of an object to that of its plaintext, and back, without reading it (`F-24`).

use crate::error::generic;
use ncp_envelope::format::range::{body_len, chunk_count, chunk_offset, plaintext_len};
use ncp_envelope::format::{CHUNK_LEN, PREAMBLE_LEN};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};
use std::ops::Range;

const CHUNK: u64 = CHUNK_LEN as u64;

/// Where things lie in the objects of a store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) header_len: u64,
}

/// Consecutive chunks of an object, and which of their bytes are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// In the object.
    pub(crate) range: Range<u64>,
    /// The number of the first chunk.
    pub(crate) first: u64,
    /// Plaintext of the first chunk in front of what is wanted.
    pub(crate) skip: usize,
    /// Plaintext that is wanted.
    pub(crate) len: u64,
}

impl Sizes {
    /// Up to where an object has to be read before anything can be opened.
    pub(crate) fn front_len(self) -> u64 {
        self.header_len + PREAMBLE_LEN as u64
    }

    /// None for what is no encrypted object.
    pub(crate) fn plaintext_len(self, size: u64) -> Option<u64> {
        plaintext_len(size.checked_sub(self.header_len)?).ok()
    }

    /// What the store says of an object, with the size of the plaintext.
    pub(crate) fn meta(self, mut meta: ObjectMeta) -> Result<ObjectMeta> {
        let path = &meta.location;
        match self.plaintext_len(meta.size) {
            Some(size) => meta.size = size,
            None => {
                let what = "no encrypted object has as many bytes";
                return Err(generic(path, format!("{what}: {}", meta.size)));
            }
        }
        Ok(meta)
    }

    /// The chunks that a range of a plaintext of `whole` bytes touches; the last one, too, if it
    /// reaches the end, which may have no byte in it: it proves that the end is there.
    pub(crate) fn run(self, range: &Range<u64>, whole: u64, path: &Path) -> Result<Run> {
        let body = body_len(whole).map_err(|error| crate::error::of_object(path, error))?;
        let first = range.start / CHUNK;
        let last =
            if range.end == whole { chunk_count(whole) - 1 } else { (range.end - 1) / CHUNK };
        let end = chunk_offset(last + 1).min(body);
        Ok(Run {
            range: self.header_len + chunk_offset(first)..self.header_len + end,
            first,
            skip: (range.start % CHUNK) as usize,
            len: range.end - range.start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { header_len: 4_096 };
    const BODY: u64 = 4_096 + 56;

    fn run(range: Range<u64>, whole: u64) -> Run {
        SIZES.run(&range, whole, &Path::from("a")).unwrap()
    }

    #[test]
    fn a_run_is_the_chunks_of_the_range_and_the_end_if_it_is_reached() {
        let of = |range, first, skip, len| Run { range, first, skip, len };
        assert_eq!(run(0..1, 40_000), of(BODY..BODY + 16_400, 0, 0, 1));
        assert_eq!(run(16_384..16_385, 40_000), of(BODY + 16_400..BODY + 32_800, 1, 0, 1));
        assert_eq!(run(16_383..16_385, 40_000), of(BODY..BODY + 32_800, 0, 16_383, 2));
        assert_eq!(run(39_999..40_000, 40_000), of(BODY + 32_800..BODY + 40_048, 2, 7_231, 1));
        // The last chunk is empty.
        assert_eq!(run(32_767..32_768, 32_768), of(BODY + 16_400..BODY + 32_816, 1, 16_383, 1));
        assert_eq!(run(16_383..16_384, 32_768), of(BODY..BODY + 16_400, 0, 16_383, 1));
    }

    #[test]
    fn sizes_are_those_of_the_plaintext_or_none() {
        assert_eq!(SIZES.plaintext_len(BODY + 16), Some(0));
        assert_eq!(SIZES.plaintext_len(BODY + 40_048), Some(40_000));
        for none in [0, 15, 4_095, 4_096, BODY, BODY + 15, BODY + 16_400, BODY + 16_415] {
            assert_eq!(SIZES.plaintext_len(none), None, "{none}");
        }
    }
}
