//! Adapters: the format over `std::io`, over files, and over tokio.
//!
//! They add reading and writing to [`format`](crate::format), and no rule of their own. Calls that
//! start one are methods of [`Envelope`](crate::Envelope), next to the adapter they return.

mod atomic;
mod buffer;
mod file;
#[cfg(unix)]
mod parallel;
mod read;
#[cfg(feature = "tokio")]
mod tokio;
mod write;

#[cfg(feature = "tokio")]
pub use self::tokio::{AsyncDecryptReader, AsyncEncryptWriter};
pub use atomic::AtomicFile;
pub use file::{FileOptions, FileReport};
pub use read::DecryptReader;
pub use write::EncryptWriter;

use crate::format::{CHUNK_LEN, SEALED_CHUNK_LEN};

// Sixteen chunks: large enough that a system call is a small part of the work, small enough to stay
// in a core's own cache.
const RUN_CHUNKS: usize = 16;
const PLAIN_RUN_LEN: usize = RUN_CHUNKS * CHUNK_LEN;
const SEALED_RUN_LEN: usize = RUN_CHUNKS * SEALED_CHUNK_LEN;
