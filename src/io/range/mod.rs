//! Ranges of a message's plaintext, without the rest of it: from anything that can be read at an
//! offset, on a thread or asynchronously.
//!
//! Promises: every byte returned is from a chunk that was opened under its own number, so it is the
//! byte that was written there; no length, and nothing relative to the end, is returned before the
//! last chunk was opened; one data key is unwrapped, however many ranges are read. Sources are not
//! trusted. Which bytes a range needs is `format`'s arithmetic, and both readers go through it in
//! the same steps. Knows no keys and no services.

mod cursor;
mod detached;
mod front;
mod opened;
mod out;
mod reader;
mod remote;
mod source;
mod together;
mod wanted;

pub use cursor::RangeCursor;
pub use detached::{DetachedBytes, DetachedSource};
pub use reader::RangeReader;
pub use remote::AsyncRangeReader;
pub use source::{GetRange, ReadAt, Seekable};
