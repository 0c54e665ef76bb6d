//! Small files that hold secrets.
//!
//! Promises: opening a file never blocks, whatever its name leads to; only a regular file of
//! bounded length that no stranger could have written is read; the buffer is zeroized, and no error
//! repeats a byte of it. Symbolic links are followed, because mounted secrets are made of them: the
//! checks are of the file that was opened. This module knows nothing of what the files mean.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Who but its owner may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Nobody.
    #[cfg_attr(not(feature = "profile"), allow(dead_code))]
    Owner,
    /// Its group: a secret that is mounted for a container has this right, mode 0440 or 0640.
    Group,
    /// Anyone: for files whose permissions are up to whoever provides them.
    Anyone,
}

/// The contents of the file at `path`, which errors call `what`; `None` if it does not exist.
///
/// # Errors
/// [`ErrorKind::Credentials`] for another user's file, one that others may write or may read
/// against `readers`, and anything but a regular file of at most `limit` bytes; [`ErrorKind::Io`].
pub(crate) fn read(
    path: &Path,
    what: &str,
    limit: usize,
    readers: Readers,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    read_judged(path, what, limit, readers, |_| readers)
}

/// As [`read`], where the contents say who else may read them: `judge` is asked for what is never
/// returned if the file's permissions are against its answer.
pub(crate) fn read_judged(
    path: &Path,
    what: &str,
    limit: usize,
    at_least: Readers,
    judge: impl FnOnce(&[u8]) -> Readers,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let failed =
        |did: &str, error| Error::io(format_args!("cannot {did} {what} {}", path.display()), error);
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", error)),
    };
    let metadata = file.metadata().map_err(|error| failed("look at", error))?;
    if !metadata.is_file() || metadata.len() > limit as u64 {
        let message = format!("{what} {} is not a file of at most {limit} bytes", path.display());
        return Err(Error::new(ErrorKind::Credentials, message));
    }
    check_rights(&metadata, path, what, at_least)?;
    // Capacity for all of it: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    (&mut file)
        .take(limit as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| failed("read", error))?;
    check_rights(&metadata, path, what, judge(&bytes))?;
    Ok(Some(bytes))
}

/// Opens the file for reading, without blocking.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Opening a pipe would wait for its other end.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options.open(path)
}

/// Opens or creates the file at `path`, only for its lock.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // A link could have it made somewhere else.
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32).mode(0o600);
    }
    options.open(path)
}

#[cfg(unix)]
fn check_rights(
    metadata: &std::fs::Metadata,
    path: &Path,
    what: &str,
    readers: Readers,
) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let refused = |why: String| {
        Err(Error::new(ErrorKind::Credentials, format!("{what} {} {why}", path.display())))
    };
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    // The owner of a file can change it at any time, whatever its mode is now.
    if owner != own && owner != 0 {
        return refused(format!(
            "belongs to user {owner}: its owner must be root or this user, {own}"
        ));
    }
    let mode = metadata.mode() & 0o777;
    match readers {
        Readers::Owner if mode & 0o077 != 0 => refused(format!(
            "holds a secret and is open to others (mode {mode:03o}): chmod 600 it, and replace \
             the secret"
        )),
        Readers::Group if mode & 0o027 != 0 => refused(format!(
            "is open to others (mode {mode:03o}): chmod 600 it, or mount it with mode 0440, and \
             replace what it holds"
        )),
        Readers::Anyone if mode & 0o022 != 0 => refused(format!(
            "can be written by others (mode {mode:03o}): chmod go-w it, and look at what it holds"
        )),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_rights(_: &std::fs::Metadata, _: &Path, _: &str, _: Readers) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &Path, readers: Readers) -> ErrorKind {
        read(path, "the file", 10, readers).unwrap_err().kind()
    }

    #[test]
    fn what_is_no_small_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(read(&path, "the file", 10, Readers::Anyone).unwrap().is_none());
        std::fs::write(&path, "0123456789").unwrap();
        let bytes = read(&path, "the file", 10, Readers::Anyone).unwrap().unwrap();
        assert_eq!(&bytes[..], b"0123456789");
        std::fs::write(&path, "0123456789+").unwrap();
        assert_eq!(kind(&path, Readers::Anyone), ErrorKind::Credentials);
        #[cfg(unix)]
        assert_eq!(kind(directory.path(), Readers::Anyone), ErrorKind::Credentials);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_do_not_make_it_wait_and_links_are_followed() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(kind(&pipe, Readers::Group), ErrorKind::Credentials);
        // As a mounted secret is laid out: a link to a link that is exchanged as a whole.
        let data = directory.path().join("..2026");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("secret"), "mounted").unwrap();
        set_mode(&data.join("secret"), 0o440);
        std::os::unix::fs::symlink("..2026", directory.path().join("..data")).unwrap();
        let link = directory.path().join("secret");
        std::os::unix::fs::symlink("..data/secret", &link).unwrap();
        let bytes = read(&link, "the file", 10, Readers::Group).unwrap().unwrap();
        assert_eq!(&bytes[..], b"mounted");
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn rights_of_strangers_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "CANARY").unwrap();
        for (mode, owner, group, anyone) in [
            (0o600, true, true, true),
            (0o400, true, true, true),
            (0o440, false, true, true),
            (0o640, false, true, true),
            (0o644, false, false, true),
            (0o604, false, false, true),
            (0o444, false, false, true),
            (0o610, false, true, true),
            (0o620, false, false, false),
            (0o660, false, false, false),
            (0o602, false, false, false),
            (0o666, false, false, false),
        ] {
            set_mode(&path, mode);
            let cases =
                [(Readers::Owner, owner), (Readers::Group, group), (Readers::Anyone, anyone)];
            for (readers, good) in cases {
                let result = read(&path, "the file", 10, readers);
                let judged = read_judged(&path, "the file", 10, Readers::Anyone, |bytes| {
                    assert_eq!(bytes, b"CANARY");
                    readers
                });
                assert_eq!(judged.is_ok(), good, "{mode:o} {readers:?}");
                assert_eq!(result.is_ok(), good, "{mode:o} {readers:?}");
                if let Err(error) = result {
                    assert_eq!(error.kind(), ErrorKind::Credentials);
                    assert!(error.to_string().contains("chmod"), "{error}");
                }
            }
        }
        set_mode(&path, 0o600);
        // Only root may give a file away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            let error = read(&path, "the file", 10, Readers::Anyone).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(error.to_string().contains("user 12345"), "{error}");
        }
    }
}
