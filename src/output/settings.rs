//! What the caller wants of an output, and what it is made from.

use std::fs::{File, Metadata};
use std::path::Path;

/// How to write.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    pub(crate) overwrite: bool,
    pub(crate) no_sync: bool,
    /// The rights, whatever the source's, the umask and what is replaced.
    pub(crate) mode: Option<u32>,
    /// The rights at most.
    pub(crate) max_mode: Option<u32>,
    /// Whether what is replaced leaves its owner to what replaces it.
    pub(crate) leave_owner: bool,
    /// Whether what is replaced leaves it all its rights, as it is the same file to its users.
    pub(crate) keep_mode: bool,
    /// Whether long runs of zeros are left out of the file, which takes no space for them.
    pub(crate) holes: bool,
    /// Whether the output has the source's time of last change.
    pub(crate) keep_time: bool,
    /// Whether a target that is a symbolic link is refused. Otherwise it is followed.
    pub(crate) refuse_links: bool,
}

/// What an output is made from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a File,
    pub(crate) path: &'a Path,
    /// As it was opened.
    pub(crate) metadata: &'a Metadata,
}
