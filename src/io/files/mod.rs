//! Many files in one call.

mod calls;
mod done;
mod options;
mod report;
mod run;

pub use options::{FilesOptions, FilesProgress};
pub use report::{FileDone, FileOutcome, FilesReport};
