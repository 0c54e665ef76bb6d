//! How much is read, worked on and written at a time.

use crate::format::SEALED_CHUNK_LEN;

// Sixteen chunks: large enough that a system call is a small part of the work, small enough to stay
// in a core's own cache.
pub(super) const RUN_CHUNKS: usize = 16;
pub(super) const SEALED_RUN_LEN: usize = RUN_CHUNKS * SEALED_CHUNK_LEN;
