//! Long runs of zeros, which a file can have without any space for them.

use std::ops::Range;

/// What is shorter is written: a file in small pieces is slow to read.
const BLOCK: u64 = 16 << 10;

/// The parts of `bytes`, which go to `offset`, that are not only zeros. The gaps between them
/// are whole blocks of the file; a partial block at either end of `bytes` counts as one.
pub(super) fn filled(bytes: &[u8], offset: u64) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let end = block_end(bytes, offset, at);
            if !is_zero(&bytes[at..end]) {
                break;
            }
            at = end;
        }
        let start = at;
        while at < bytes.len() {
            let end = block_end(bytes, offset, at);
            if is_zero(&bytes[at..end]) {
                break;
            }
            at = end;
        }
        (start < at).then_some(start..at)
    })
}

fn block_end(bytes: &[u8], offset: u64, at: usize) -> usize {
    let left = BLOCK - (offset + at as u64) % BLOCK;
    bytes.len().min(at.saturating_add(left as usize))
}

fn is_zero(bytes: &[u8]) -> bool {
    // A word at a time; nearly always the first one decides.
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| u64::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_the_parts_are_zeros_in_whole_blocks() {
        let block = BLOCK as usize;
        let of = |bytes: &[u8], offset| -> Vec<_> {
            filled(bytes, offset).map(|part| (part.start, part.end)).collect()
        };
        assert!(of(&[], 0).is_empty());
        assert!(of(&vec![0; 3 * block + 5], 0).is_empty());
        assert_eq!(of(&vec![1; 3 * block + 5], 0), [(0, 3 * block + 5)]);
        let mut bytes = vec![0; 4 * block];
        bytes[2 * block - 1] = 1;
        assert_eq!(of(&bytes, 0), [(block, 2 * block)]);
        bytes[3 * block] = 1;
        assert_eq!(of(&bytes, 0), [(block, 2 * block), (3 * block, 4 * block)]);
        // Three bytes later, all is in other blocks.
        assert_eq!(of(&bytes, 3), [(2 * block - 3, 4 * block - 3)]);
        bytes[4 * block - 1] = 1;
        assert_eq!(of(&bytes, BLOCK * 7), [(block, 2 * block), (3 * block, 4 * block)]);
    }
}
