//! The permissions of an output.
//!
//! An output has the rights of its source, less the umask, and never more; what it replaces keeps
//! its own where they are narrower, and its owner where that is permitted. Rights of a group are
//! those of *that* group: where the output belongs to another one, it gets what others have.

use super::system;
use std::fs::{File, Metadata};
use std::io;

/// What any new file has, less the umask.
#[cfg(unix)]
const ANY: u32 = 0o666;

#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    #[cfg(unix)]
    at_most: u32,
    #[cfg(unix)]
    exactly: Option<u32>,
    /// The rights of what is replaced, whatever the umask says.
    #[cfg(unix)]
    kept: Option<u32>,
    /// Of what is replaced.
    #[cfg(unix)]
    owner: Option<(u32, u32)>,
    /// Whose rights the group's are.
    #[cfg(unix)]
    group: Option<u32>,
}

#[cfg(unix)]
impl Rights {
    pub(super) fn new(
        exactly: Option<u32>,
        at_most: Option<u32>,
        source: Option<&Metadata>,
        replaced: Option<&Metadata>,
    ) -> Self {
        use std::os::unix::fs::MetadataExt;
        let source = source.filter(|source| source.is_file());
        let of =
            |file: Option<&Metadata>, otherwise| file.map_or(otherwise, |file| file.mode() & 0o777);
        Self {
            at_most: of(source, ANY) & of(replaced, 0o777) & at_most.unwrap_or(0o777),
            exactly: exactly.map(|mode| mode & 0o777),
            kept: None,
            owner: replaced.map(|file| (file.uid(), file.gid())),
            group: replaced.or(source).map(MetadataExt::gid),
        }
    }

    /// The source can lose rights while it is read, and the output is not to have them then.
    pub(super) fn narrow(&mut self, source: &Metadata) {
        use std::os::unix::fs::MetadataExt;
        if source.is_file() {
            self.at_most &= source.mode();
        }
    }

    /// The output is this user's, whoever owns what it replaces.
    pub(super) fn leave_owner(&mut self) {
        self.owner = None;
    }

    /// The output has all the rights of `replaced`.
    pub(super) fn keep_mode(&mut self, replaced: &Metadata) {
        use std::os::unix::fs::MetadataExt;
        self.kept = Some(replaced.mode() & 0o777);
    }

    /// What to create the file with; the system takes the umask off.
    pub(super) fn creation_mode(&self) -> u32 {
        self.exactly.unwrap_or(self.at_most)
    }

    /// What is left to be done once the file is there, and is as `now` says.
    pub(super) fn apply(&self, file: &File, now: &Metadata) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let mut group = now.gid();
        if let Some((user, its_group)) = self.owner
            && (user, its_group) != (now.uid(), group)
            && (system::set_owner(file, Some(user), Some(its_group)).is_ok()
                || system::set_owner(file, None, Some(its_group)).is_ok())
        {
            group = its_group;
        }
        if let Some(mode) = self.exactly {
            return if now.mode() & 0o777 == mode { Ok(()) } else { system::set_mode(file, mode) };
        }
        let mut mode = self.kept.unwrap_or(now.mode() & 0o777 & self.at_most);
        if self.group.is_some_and(|meant| meant != group) {
            mode &= 0o707 | (mode & 0o007) << 3;
        }
        if mode != now.mode() & 0o777 {
            // A file system that has no rights cannot be made to have them.
            let _ = system::set_mode(file, mode);
        }
        Ok(())
    }
}

#[cfg(not(unix))]
impl Rights {
    pub(super) fn new(
        _: Option<u32>,
        _: Option<u32>,
        _: Option<&Metadata>,
        _: Option<&Metadata>,
    ) -> Self {
        Self {}
    }

    pub(super) fn narrow(&mut self, _: &Metadata) {}

    pub(super) fn leave_owner(&mut self) {}

    pub(super) fn keep_mode(&mut self, _: &Metadata) {}

    pub(super) fn creation_mode(&self) -> u32 {
        0
    }

    pub(super) fn apply(&self, _: &File, _: &Metadata) -> io::Result<()> {
        Ok(())
    }
}
