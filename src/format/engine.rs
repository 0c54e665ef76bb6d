//! What seals and opens the chunks of messages: a library, on so many threads.

use crate::crew::threads_of;
use crate::crypto::CipherBackend;

/// Below this, another thread gains nothing in memory that is worth it: starting one takes as long
/// as sealing a few hundred KiB.
const WORTH_SPLITTING: usize = 4 << 20;
/// Each has some MiB before it pays to have more.
const LEN_FOR_EACH: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Engine {
    pub(crate) backend: CipherBackend,
    /// 0 for one a core.
    pub(crate) threads: usize,
}

impl Engine {
    /// How many threads, the calling one included, share what one call has in memory.
    pub(super) fn threads_for(self, len: usize) -> usize {
        if self.threads == 1 || len < WORTH_SPLITTING {
            return 1;
        }
        self.threads().min(len / LEN_FOR_EACH)
    }

    /// How many threads there are to be.
    pub(crate) fn threads(self) -> usize {
        threads_of(self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_work_is_not_shared() {
        let of = |threads, len| Engine { backend: CipherBackend::AwsLc, threads }.threads_for(len);
        assert_eq!((of(1, 1 << 30), of(0, (4 << 20) - 1), of(8, (4 << 20) - 1)), (1, 1, 1));
        assert_eq!((of(2, 4 << 20), of(8, 4 << 20), of(8, 1 << 30)), (2, 4, 8));
        assert!(of(0, 1 << 30) >= 1);
    }
}
