//! The adapters for tokio: readers, writers, streams of bytes, and a file that appears whole.
//!
//! They do what the blocking ones do. Promises beside that: a future or a poll that is dropped
//! loses nothing that a later one needs, unless its docs say so; a task whose peers are always
//! ready yields by the runtime's budget.

mod encrypt_read;
mod file;
mod read;
mod stream;
mod turn;
mod write;

pub use encrypt_read::AsyncEncryptReader;
pub use file::AsyncAtomicFile;
pub use read::AsyncDecryptReader;
pub use stream::{DecryptBytes, EncryptBytes};
pub use write::AsyncEncryptWriter;
