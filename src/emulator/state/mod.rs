//! The emulator's state: keys and accounts, in memory or in a file, and the view of them that
//! requests use; the record of requests and the activity log.

pub(crate) mod content;
pub(crate) mod file;
pub(crate) mod record;
pub(crate) mod storage;
pub(crate) mod usage;
pub(crate) mod view;

pub use record::{AuthRow, RecordedRequest};
