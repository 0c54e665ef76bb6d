//! New slots on their way into a file.

use super::front::{Front, State, cannot, read_at};
use super::lock::Locked;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Profile, Replacement};
use crate::output::{Output, Settings, differing, overwrite};
use std::fs::Metadata;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// What disks and page caches write whole, and what they read at once.
const PAGE: u64 = 4_096;
/// How much is copied at a time if the whole file must be.
const COPIED: usize = 256 << 10;

/// How new key slots are written to a file.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let mut message = StoredMessage::open(&path)?;
/// # let answers = envelope.rewrap_keys(message.header().slots().slots());
/// # let slots: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
/// let options = WriteOptions::new().sync(false);
/// let replaced = message.replace(slots, &options)?;
/// assert_eq!(replaced, Replaced::Written { generation: 2 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct WriteOptions {
    in_place: bool,
    sync: bool,
    cut_links: bool,
    patience: Duration,
}

impl WriteOptions {
    /// In place where that is safe, synced, hard links kept, and up to 10 seconds for the lock.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let mut message = StoredMessage::open(&path)?;
    /// # let answers = envelope.rewrap_keys(message.header().slots().slots());
    /// # let slots: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
    /// let options = WriteOptions::new();
    /// let replaced = message.replace(slots, &options)?;
    /// assert_eq!(replaced, Replaced::Written { generation: 2 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self { in_place: true, sync: true, cut_links: false, patience: Duration::from_secs(10) }
    }

    /// Whether slots may be overwritten in place (the default): in the durable profile over the
    /// inactive copy, in the others if the change is within one page of 4,096 bytes of the file.
    /// Otherwise, and always with `false`, a new file replaces the old one, sharing its content if
    /// the file system can do that.
    ///
    /// A page reaches the disk whole, unless power is cut while a disk with 512-byte sectors writes
    /// it; a change in a compact header is nearly always within 512 bytes. For a page profile on
    /// such a disk, use `false`. A new file has the owner and permissions of the old one as far as
    /// the system permits, and none of its extended attributes.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let mut message = StoredMessage::open(&path)?;
    /// # let answers = envelope.rewrap_keys(message.header().slots().slots());
    /// # let slots: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
    /// // The disk writes 512 bytes at a time.
    /// let options = WriteOptions::new().in_place(false);
    /// let replaced = message.replace(slots, &options)?;
    /// assert_eq!(replaced, Replaced::Written { generation: 2 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = in_place;
        self
    }

    /// Whether to sync the slots to the disk (the default). Those of the durable profile always
    /// are, as the other copy must not be written before (`F-34`).
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let mut message = StoredMessage::open(&path)?;
    /// # let answers = envelope.rewrap_keys(message.header().slots().slots());
    /// # let slots: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
    /// let options = WriteOptions::new().sync(false);
    /// let replaced = message.replace(slots, &options)?;
    /// assert_eq!(replaced, Replaced::Written { generation: 2 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Whether a file with several names (hard links) may be replaced by a new file that has only
    /// this name; refused unless set. A write in place reaches all names.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// std::fs::hard_link(&path, directory.path().join("second name"))?;
    /// let mut message = StoredMessage::open(&path)?;
    /// # let answers = envelope.rewrap_keys(message.header().slots().slots());
    /// # let slots: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
    /// let options = WriteOptions::new().in_place(false);
    /// assert!(message.replace(slots.clone(), &options).is_err());
    /// let _ = message.replace(slots, &options.cut_links(true))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cut_links(mut self, cut_links: bool) -> Self {
        self.cut_links = cut_links;
        self
    }

    /// How long to wait for another program that has locked the file.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let mut message = StoredMessage::open(&path)?;
    /// # let answers = envelope.rewrap_keys(message.header().slots().slots());
    /// # let slots: Vec<_> = answers.into_iter().collect::<Result<_>>()?;
    /// let options = WriteOptions::new().patience(std::time::Duration::from_secs(60));
    /// let replaced = message.replace(slots, &options)?;
    /// assert_eq!(replaced, Replaced::Written { generation: 2 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn wait(&self) -> Duration {
        self.patience
    }

    pub(super) fn syncs(&self) -> bool {
        self.sync
    }

    /// Whether a replacement can be written over what is there.
    fn allows(&self, front: &Front, new: &Replacement) -> bool {
        if !self.in_place || front.header.bound().profile() == Profile::Durable {
            return self.in_place;
        }
        let changed = differing(old(front, new), &new.bytes);
        let page = |at: usize| (new.offset + at) as u64 / PAGE;
        page(changed.start) == page(changed.end.saturating_sub(1).max(changed.start))
    }
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What `new` is written over.
fn old<'a>(front: &'a Front, new: &Replacement) -> &'a [u8] {
    &front.bytes[new.offset..new.offset + new.bytes.len()]
}

/// Writes `new` into the file, which begins with `front`. Says whether `path` still was that file.
pub(super) fn write(
    path: &Path,
    file: &Locked,
    front: &Front,
    new: &Replacement,
    options: &WriteOptions,
) -> Result<bool> {
    if !options.allows(front, new) {
        return replace_file(path, file, front, new, options);
    }
    let sync = options.sync || front.header.bound().profile() == Profile::Durable;
    let done = overwrite(&file.0, old(front, new), &new.bytes, new.offset as u64, sync);
    done.map(|()| true).map_err(|failed| {
        let what = match failed.undone {
            true => "write new key slots, and left the old ones in",
            false => {
                "write new key slots, nor the old ones again: look at the message with \
                 `inspect`, and restore its header if that refuses it, in"
            }
        };
        cannot(what, path, failed.error)
    })
}

/// Another file with the same content but for the slots takes the place of `file`.
fn replace_file(
    path: &Path,
    file: &Locked,
    front: &Front,
    new: &Replacement,
    options: &WriteOptions,
) -> Result<bool> {
    let io = |error| cannot("read", path, error);
    let before = file.0.metadata().map_err(io)?;
    refuse_links(path, &before, options)?;
    let settings = Settings {
        overwrite: true,
        no_sync: !options.sync,
        keep_mode: true,
        ..Settings::default()
    };
    let mut output = Output::create(path, settings, None)?;
    let write = |error| cannot("write a new file for", path, error);
    if output.share(&file.0) {
        output.write_at(&new.bytes, new.offset as u64).map_err(write)?;
    } else {
        copy(path, file, front, new, &mut output)?;
    }
    let after = file.0.metadata().map_err(io)?;
    if (State::of(&before), before.len()) != (State::of(&after), after.len()) {
        let text = format!(
            "{} was changed while it was copied: try again when nothing writes to it",
            path.display()
        );
        return Err(Error::new(ErrorKind::Io, text));
    }
    if !file.is_at(path).map_err(io)? {
        return Ok(false);
    }
    output.commit().map(|()| true)
}

/// Refuses a file that has other names, which would go on naming the old one.
pub(super) fn refuse_links(path: &Path, file: &Metadata, options: &WriteOptions) -> Result<()> {
    #[cfg(unix)]
    if let names @ 2.. = std::os::unix::fs::MetadataExt::nlink(file)
        && !options.cut_links
    {
        let text = format!(
            "{} has {names} names (hard links), and only this one would get what is new: write \
             key slots in place, or allow to cut the link",
            path.display()
        );
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    #[cfg(not(unix))]
    let _ = (path, file, options);
    Ok(())
}

/// In order: some file systems know no other way.
fn copy(
    path: &Path,
    file: &Locked,
    front: &Front,
    new: &Replacement,
    output: &mut Output,
) -> Result<()> {
    let write = |error| cannot("write a new file for", path, error);
    let mut header = front.bytes.clone();
    header[new.offset..new.offset + new.bytes.len()].copy_from_slice(&new.bytes);
    output.write_all(&header).map_err(write)?;
    let mut buf = vec![0; COPIED];
    let mut at = header.len() as u64;
    loop {
        match read_at(&file.0, &mut buf, at) {
            Ok(0) => return Ok(()),
            Ok(len) => {
                output.write_all(&buf[..len]).map_err(write)?;
                at += len as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot("read", path, error)),
        }
    }
}
