//! Many files in one call.
//!
//! Promises: files are taken from the iterator in groups of at most 256, as many data keys as go
//! through one call to the key service, and at most two groups ahead of the work. What can be
//! refused without a key costs none. A file that fails stops no other; the call ends where the next
//! file could not go better. What an outcome says was done is synced and has its name; when a call
//! is dropped, what has its name is whole, and nothing else is left. No output replaces another of
//! the same call.
//!
//! [`gather`] looks at files and keeps them open, [`run`] fetches the keys of a group while the one
//! before it is processed, [`work`] divides cores between files and threads, [`done`] finds outputs
//! of an earlier run, [`shared`] has what all threads of a call share. Each file is processed as in
//! a call on one file, by [`job`](super::job): nothing here reads a body or writes a byte.
//!
//! Knows no key service and no wrapped key, and nothing of directories: the caller names the files.

mod calls;
mod done;
mod gather;
mod options;
mod report;
mod run;
mod shared;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
mod work;

pub use options::{FilesOptions, FilesProgress};
pub use report::{FileDone, FileOutcome, FilesReport};
