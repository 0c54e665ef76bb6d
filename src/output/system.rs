//! The requests to the file system, one function each.
//!
//! Each says what it is about to do, so that tests see what was asked for and in which order, and
//! can have any one of the requests fail; looks, which change nothing, are counted only. Knows no
//! policy: the caller decides what a failure means.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What temporary names begin and end with.
pub(super) const PREFIX: &str = ".ncp-envelope-";
pub(super) const SUFFIX: &str = ".tmp";

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    CreateNameless,
    CreateNamed,
    Reserve,
    Write,
    Overwrite,
    SyncData,
    Reflink,
    SetLength,
    SetOwner,
    SetMode,
    SetModified,
    Sync,
    LinkNameless,
    Link,
    Copy,
    Claim,
    RenameExclusive,
    Rename,
    Remove,
    SyncDirectory,
}

#[cfg(not(all(test, unix)))]
fn before(_: Step) -> io::Result<()> {
    Ok(())
}

#[cfg(not(all(test, unix)))]
fn looking() {}

#[cfg(test)]
#[cfg(unix)]
use super::tests::watch::{before, looking, tears};

/// What has the name, a link for itself.
pub(super) fn look(name: &Path) -> io::Result<Metadata> {
    looking();
    std::fs::symlink_metadata(name)
}

/// What an open file is now.
pub(super) fn look_at(file: &File) -> io::Result<Metadata> {
    looking();
    file.metadata()
}

/// A file without a name.
#[cfg(target_os = "linux")]
pub(super) fn create_nameless(directory: &Path, mode: u32) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    before(Step::CreateNameless)?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, directory, flags, Mode::from_raw_mode(mode))?.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn create_nameless(_: &Path, _: u32) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A file under a name that was free.
pub(super) fn create_named(directory: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    before(Step::CreateNamed)?;
    let mut names = names();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        names.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    let (file, name) = names.tempfile_in(directory)?.into_parts();
    Ok((file, name.keep()?))
}

/// A name that was free, which `make` gave to something.
pub(super) fn under_a_name(
    directory: &Path,
    mut make: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let ((), name) = names().make_in(directory, |name| make(name))?.into_parts();
    Ok(name.keep()?)
}

/// Short, whatever the output is called: its own name may be as long as names can be.
fn names() -> tempfile::Builder<'static, 'static> {
    let mut names = tempfile::Builder::new();
    names.prefix(PREFIX).suffix(SUFFIX).rand_bytes(10);
    names
}

/// Takes the space for `len` bytes at `offset`; writes that fill it afterwards cost less than
/// writes that take their blocks one by one.
///
/// # Errors
/// Only if there is no room. A file system that cannot reserve is none: the writes will show.
#[cfg(target_os = "linux")]
pub(super) fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::{Errno, retry_on_intr};
    before(Step::Reserve)?;
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), offset, len)) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reserve(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// Where the last write in order ended.
pub(super) fn write(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    before(Step::Write)?;
    io::Write::write(&mut file, bytes)
}

pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    before(Step::Write)?;
    put_at(file, bytes, offset)
}

/// Bytes of a file that is there, with one write where the system does it in one.
pub(super) fn overwrite(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let allowed = before(Step::Overwrite);
    #[cfg(all(test, unix))]
    if allowed.is_err() && tears() {
        std::os::unix::fs::FileExt::write_all_at(file, &bytes[..bytes.len() / 2], offset)?;
    }
    allowed?;
    put_at(file, bytes, offset)
}

#[cfg(unix)]
fn put_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn put_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Content only: the length is what it was.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    before(Step::SyncData)?;
    file.sync_data()
}

/// Has `to` share the content of `from`, which takes neither time nor space, where the file system
/// can do that.
#[cfg(target_os = "linux")]
pub(super) fn reflink(from: &File, to: &File) -> io::Result<()> {
    before(Step::Reflink)?;
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reflink(_: &File, _: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn set_len(file: &File, len: u64) -> io::Result<()> {
    before(Step::SetLength)?;
    file.set_len(len)
}

#[cfg(unix)]
pub(super) fn set_owner(file: &File, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    before(Step::SetOwner)?;
    std::os::unix::fs::fchown(file, user, group)
}

#[cfg(unix)]
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    before(Step::SetMode)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

pub(super) fn set_modified(file: &File, modified: SystemTime) -> io::Result<()> {
    before(Step::SetModified)?;
    file.set_modified(modified)
}

pub(super) fn sync(file: &File) -> io::Result<()> {
    before(Step::Sync)?;
    file.sync_all()
}

/// Gives a nameless file a name that is free.
#[cfg(target_os = "linux")]
pub(super) fn link_nameless(file: &File, name: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use rustix::io::Errno;
    use std::os::fd::AsRawFd;
    before(Step::LinkNameless)?;
    // By the descriptor alone it takes a privilege on systems before Linux 6.10.
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, own, CWD, name, AtFlags::SYMLINK_FOLLOW) {
        Err(Errno::NOENT) => Ok(linkat(file, "", CWD, name, AtFlags::EMPTY_PATH)?),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn link_nameless(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn link(existing: &Path, name: &Path) -> io::Result<()> {
    before(Step::Link)?;
    std::fs::hard_link(existing, name)
}

pub(super) fn copy(from: &File, mut to: &File) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    before(Step::Copy)?;
    let mut from = from;
    from.seek(SeekFrom::Start(0))?;
    io::copy(&mut from, &mut to).map(drop)
}

/// An empty file under a name that was free.
pub(super) fn claim(name: &Path) -> io::Result<()> {
    before(Step::Claim)?;
    OpenOptions::new().write(true).create_new(true).open(name).map(drop)
}

/// Fails where the new name is taken, and where the file system has no such request.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(super) fn rename_exclusive(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    before(Step::RenameExclusive)?;
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(super) fn rename_exclusive(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    before(Step::Rename)?;
    std::fs::rename(from, to)
}

pub(super) fn remove(name: &Path) -> io::Result<()> {
    before(Step::Remove)?;
    std::fs::remove_file(name)
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    before(Step::SyncDirectory)?;
    File::open(directory)?.sync_all()
}
