//! Adapters: the format over `std::io`, over files, and over tokio.
//!
//! They add reading and writing to [`format`](crate::format), and no rule of their own. Calls that
//! start one are methods of [`Envelope`](crate::Envelope), next to the adapter they return.
//!
//! ```
//! # use ncp_envelope::*;
//! # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
//! # let envelope = Envelope::builder(wrapper).build()?.blocking();
//! # use std::io::{Read, Write};
//! let mut writer = envelope.writer(Vec::new(), EncryptionContext::new())?;
//! writer.write_all(b"hello")?;
//! let message = writer.finish()?;
//!
//! let mut text = String::new();
//! envelope.reader(&message[..], DecryptPolicy::new())?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alone;
mod atomic;
mod body;
mod both;
mod buffer;
mod detached;
mod encrypt_read;
mod file;
mod files;
mod front;
mod job;
mod offload;
mod options;
#[cfg(unix)]
mod parallel;
mod pipeline;
mod published;
mod range;
mod read;
mod run;
mod sealing;
mod shared_sealing;
mod source;
mod stream;
mod stream_shared;
#[cfg(feature = "tokio")]
mod tokio;
mod workers;
mod write;

#[cfg(feature = "tokio")]
pub use self::tokio::{
    AsyncAtomicFile, AsyncDecryptReader, AsyncEncryptReader, AsyncEncryptWriter, DecryptBytes,
    EncryptBytes,
};
pub use atomic::{AtomicFile, discard_unfinished, is_unfinished};
pub(crate) use both::both;
pub use detached::DetachedWriter;
pub use encrypt_read::EncryptReader;
pub use files::{FileDone, FileOutcome, FilesOptions, FilesProgress, FilesReport};
pub(crate) use offload::{Cancelled, offload};
pub use options::FileOptions;
pub use published::FileReport;
pub use range::{
    AsyncRangeReader, DetachedBytes, DetachedSource, GetRange, RangeCursor, RangeReader, ReadAt,
    Seekable,
};
pub use read::DecryptReader;
pub use source::SourceFile;
pub use stream::StreamReport;
pub use write::EncryptWriter;
