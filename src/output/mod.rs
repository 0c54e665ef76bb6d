//! A file that appears under its name complete, or not at all.
//!
//! Promises: until an [`Output`] is committed, its target is unchanged, and however the process
//! ends, no partial content has a name. On Linux the file has no name at all until it is complete,
//! so that not even `SIGKILL` leaves one behind; elsewhere, and on file systems without unnamed
//! files, it has a short temporary name, which is removed when the output is dropped and by
//! [`discard_unfinished`]. Its permissions are set before the first byte is written. Several
//! outputs get their names together, or none does. After the commit only what can lose the file is
//! an error. Bytes of a file that is there are changed in place with [`overwrite`], which puts the
//! old ones back when it fails.
//!
//! Knows files and directories, and nothing of messages, keys or who writes what.

mod file;
mod holes;
mod named;
mod patch;
mod rights;
mod settings;
mod settling;
mod system;
mod target;
mod temporary;
mod together;

#[cfg(test)]
#[cfg(unix)]
pub(crate) mod tests;

pub(crate) use file::Output;
#[cfg(any(feature = "kms", feature = "emulator"))]
pub(crate) use file::replace_secrets;
pub(crate) use named::Named;
pub(crate) use patch::{differing, overwrite};
pub(crate) use settings::{Settings, Source};
pub(crate) use settling::Settling;
#[cfg(test)]
pub(crate) use system::Step;
pub(crate) use target::Target;
pub(crate) use temporary::{discard_unfinished, is_temporary};
pub(crate) use together::commit_all;
