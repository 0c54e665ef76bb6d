//! Seals one message of unknown length as runs that are given out in order, and sealed by any
//! thread.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// The chunks of a message, in order. As with [`RunEncryptor`](super::RunEncryptor), each is given
/// out once (`F-23`).
pub(crate) struct RunSequence {
    cipher: Arc<ChunkCipher>,
    next: u64,
}

impl RunSequence {
    pub(super) fn new(cipher: ChunkCipher) -> Self {
        Self { cipher: Arc::new(cipher), next: 0 }
    }

    /// The next `count` chunks, all of them whole.
    pub(crate) fn whole(&mut self, count: usize) -> SequenceRun {
        let first = self.next;
        // A number past the last possible one is refused when it is sealed (`F-26`).
        self.next = first.saturating_add(count as u64);
        SequenceRun { cipher: self.cipher.clone(), first, count, last: false }
    }

    /// The last chunk, which is shorter than the others, and may be empty (`F-24`).
    pub(crate) fn last(self) -> SequenceRun {
        SequenceRun { cipher: self.cipher, first: self.next, count: 1, last: true }
    }
}

/// The right to seal a run once. It is used up by sealing.
pub(crate) struct SequenceRun {
    cipher: Arc<ChunkCipher>,
    first: u64,
    count: usize,
    last: bool,
}

impl SequenceRun {
    /// Seals `plaintext`, which has the length of the run, into the front of `out`. Returns how
    /// many bytes were written.
    pub(crate) fn seal(self, plaintext: &[u8], out: &mut [u8]) -> Result<usize> {
        let fits = match self.last {
            true => plaintext.len() < CHUNK_LEN,
            false => plaintext.len() == self.count * CHUNK_LEN,
        };
        let out = out.get_mut(..plaintext.len() + self.count * TAG_LEN).filter(|_| fits);
        let Some(out) = out else {
            return Err(Error::new(ErrorKind::Internal, "a run does not have its length"));
        };
        for (number, out) in (0..self.count).zip(out.chunks_mut(SEALED_CHUNK_LEN)) {
            let at = number * CHUNK_LEN;
            let plaintext = &plaintext[at..at + out.len() - TAG_LEN];
            self.cipher.seal(self.first + number as u64, plaintext, out)?;
        }
        Ok(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::{fixed, fixed_message, sample};

    // F-23, F-24
    #[test]
    fn a_sequence_is_the_same_message() {
        for len in [0, 1, 16_383, 16_384, 100_000] {
            let plaintext = sample(len);
            let (mut message, mut runs) = fixed().into_sequence().unwrap();
            let mut rest = &plaintext[..];
            for count in [1, 3, 2] {
                let Some((run, behind)) = rest.split_at_checked(count * CHUNK_LEN) else { break };
                let mut out = vec![0; count * SEALED_CHUNK_LEN + 5];
                let written = runs.whole(count).seal(run, &mut out).unwrap();
                message.extend(&out[..written]);
                rest = behind;
            }
            while let Some((run, behind)) = rest.split_at_checked(CHUNK_LEN) {
                let mut out = vec![0; SEALED_CHUNK_LEN];
                runs.whole(1).seal(run, &mut out).unwrap();
                message.extend(out);
                rest = behind;
            }
            let mut out = vec![0; SEALED_CHUNK_LEN];
            let written = runs.last().seal(rest, &mut out).unwrap();
            message.extend(&out[..written]);
            assert!(message == fixed_message(&plaintext), "{len}");
        }
    }

    #[test]
    fn a_run_has_its_length_and_a_place_for_it() {
        let out = &mut vec![0; 3 * SEALED_CHUNK_LEN];
        let fails = |run: SequenceRun, len: usize, out: &mut [u8]| {
            assert_eq!(run.seal(&sample(len), out).unwrap_err().kind(), ErrorKind::Internal);
        };
        let (_, mut runs) = fixed().into_sequence().unwrap();
        fails(runs.whole(2), 2 * CHUNK_LEN - 1, out);
        fails(runs.whole(2), CHUNK_LEN, out);
        fails(runs.whole(2), 2 * CHUNK_LEN, &mut out[..2 * SEALED_CHUNK_LEN - 1]);
        fails(runs.last(), CHUNK_LEN, out);
        // F-26
        let (_, mut runs) = fixed().into_sequence().unwrap();
        runs.next = u64::MAX;
        let refused = runs.whole(1).seal(&sample(CHUNK_LEN), out).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    }
}
