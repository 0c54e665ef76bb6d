//! What a file begins with.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{FIXED_LEN, Header, is_message};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Long enough for most headers, and one block of a disk.
const AT_ONCE: usize = 4_096;

/// The header of a file, and the file as it was just before that was read.
pub(super) struct Front {
    pub(super) header: Header,
    /// Regions A and B.
    pub(super) bytes: Vec<u8>,
    pub(super) len: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) state: Option<State>,
}

/// Why a file has no header to read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not a message.
    Foreign(Error),
    /// It starts like a message, and this release cannot read it.
    Damaged(Error),
    /// It cannot be read.
    Failed(Error),
}

impl Unread {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Foreign(error) | Self::Damaged(error) | Self::Failed(error) => error,
        }
    }
}

/// Opens the file `path` to read it. Directories, and everything that is not a regular file, are
/// foreign: opening some of these blocks or has side effects.
pub(super) fn open(path: &Path) -> std::result::Result<File, Unread> {
    let cannot = |error| Unread::Failed(cannot("open", path, error));
    refuse_others(path, &std::fs::metadata(path).map_err(cannot)?).map_err(Unread::Foreign)?;
    let file = options().read(true).open(path).map_err(cannot)?;
    Ok(file)
}

/// Opens files. One that was replaced by a FIFO meanwhile does not block.
pub(super) fn options() -> std::fs::OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = File::options();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options
}

pub(super) fn refuse_others(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
    Err(Error::new(ErrorKind::Malformed, format!("{} is {what}", path.display())))
}

/// Reads the header of `file`, which is called `path`.
pub(super) fn read(file: &File, path: &Path) -> std::result::Result<Front, Unread> {
    let failed = |error| Unread::Failed(cannot("read", path, error));
    let metadata = file.metadata().map_err(failed)?;
    refuse_others(path, &metadata).map_err(Unread::Foreign)?;
    let mut bytes = vec![0; AT_ONCE];
    let mut len = fill(file, &mut bytes, 0).map_err(failed)?;
    bytes.truncate(len);
    let foreign = !is_message(&bytes);
    let refused = move |error| match foreign {
        true => Unread::Foreign(named(path, error)),
        false => Unread::Damaged(named(path, error)),
    };
    let wanted = Header::len_from(&bytes[..len.min(FIXED_LEN)]).map_err(refused)?;
    if wanted > len && len == AT_ONCE {
        bytes.resize(wanted, 0);
        len += fill(file, &mut bytes[len..], len as u64).map_err(failed)?;
        bytes.truncate(len);
    }
    let header = Header::decode(&bytes).map_err(refused)?;
    bytes.truncate(wanted);
    Ok(Front {
        header,
        bytes,
        len: metadata.len(),
        modified: metadata.modified().ok(),
        state: State::of(&metadata),
    })
}

/// Reads as much as there is at `offset`.
fn fill(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match read_at(file, &mut buf[len..], offset + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(unix)]
pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(not(unix))]
pub(super) fn read_at(mut file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read(buf)
}

/// `error`, prefixed with the name of the file that it is about.
pub(super) fn named(path: &Path, error: Error) -> Error {
    Error::with_source(error.kind(), format!("{}: {error}", path.display()), error)
}

pub(super) fn cannot(what: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format_args!("cannot {what} {}", path.display()), error)
}

/// What a change alters: the file's identity, its length, and the times of the last change of
/// content and of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) file: (u64, u64),
    pub(super) len: u64,
    pub(super) modified: (i64, i64),
    pub(super) changed: (i64, i64),
}

impl State {
    /// Nothing where the system does not tell which file it is.
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Option<Self> {
        None
    }
}
