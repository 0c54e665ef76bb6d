//! What is kept: the keys and accounts, in memory or in a file; what a request sees of them; the
//! record of requests and the log of uses.

pub(crate) mod content;
pub(crate) mod file;
pub(crate) mod record;
pub(crate) mod storage;
pub(crate) mod usage;
pub(crate) mod view;

pub use record::{AuthRow, RecordedRequest};
