//! One stored message.

use super::front::{self, Front, State, Unread, named};
use super::lock::Locked;
use super::write::{WriteOptions, write};
use crate::error::Result;
use crate::format::Header;
use crate::wrap::WrappedKey;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The header of a message in a file, whose key slots can be replaced (`F-34`). The file may be a
/// whole message, or the header alone of one whose body is an object of its own.
///
/// Holds no open file and no lock between calls: it keeps what was read, and
/// [`replace`](Self::replace) reads again.
///
/// ```
/// # use ncp_envelope::io::FileOptions;
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::stored::{Replaced, StoredMessage, WriteOptions};
/// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt(b"hello", EncryptionContext::new()).await?)?;
/// let mut message = StoredMessage::open(&path)?;
/// loop {
///     let mut slots = Vec::new();
///     for slot in envelope.rewrap_keys(message.header().slots().slots()).await {
///         slots.push(slot?);
///     }
///     match message.replace(slots, &WriteOptions::new())? {
///         Replaced::Written { generation } => break assert_eq!(generation, 2),
///         Replaced::Changed => continue, // By somebody else; it was looked at again.
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StoredMessage {
    path: PathBuf,
    header: Header,
    len: u64,
    modified: Option<SystemTime>,
    state: Option<State>,
}

/// The result of replacing slots.
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
/// match message.replace(slots, &WriteOptions::new())? {
///     Replaced::Written { generation } => assert_eq!(generation, 2),
///     Replaced::Changed => unreachable!("somebody else was here"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Replaced {
    /// They are in the file.
    Written {
        /// Their generation.
        generation: u32,
    },
    /// The file has other slots than those that were read, or was replaced. Nothing was written,
    /// and [`StoredMessage::header`] is the current header.
    Changed,
}

impl StoredMessage {
    /// Opens the file `path`, following symbolic links, and reads its header.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let message = StoredMessage::open(&path)?;
    /// assert_eq!(message.header().slots().slots()[0].key_id().id(), "k");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io);
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for what is no regular file, and
    /// otherwise as [`Header::decode`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::look(path.into()).map_err(Unread::into_error)
    }

    /// Whether the file `path` is a message or starts like one that was damaged since.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # let notes = directory.path().join("notes.txt");
    /// # std::fs::write(&notes, "no message")?;
    /// assert!(StoredMessage::is_one(&path)?);
    /// assert!(!StoredMessage::is_one(&notes)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if it cannot be read.
    pub fn is_one(path: impl Into<PathBuf>) -> Result<bool> {
        match Self::look(path.into()) {
            Ok(_) | Err(Unread::Damaged(_)) => Ok(true),
            Err(Unread::Foreign(_)) => Ok(false),
            Err(Unread::Failed(error)) => Err(error),
        }
    }

    pub(super) fn look(path: PathBuf) -> std::result::Result<Self, Unread> {
        let front = front::read(&front::open(&path)?, &path)?;
        let Front { header, len, modified, state, .. } = front;
        Ok(Self { path, header, len, modified, state })
    }

    /// The header, as read.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let message = StoredMessage::open(&path)?;
    /// assert_eq!(message.header().slots().generation(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its name, as it was given.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// assert_eq!(StoredMessage::open(&path)?.path(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes the file has, the header included.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// assert_eq!(StoredMessage::open(&path)?.file_len(), std::fs::metadata(&path)?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// When the file was last changed, where the system tells.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The file as it was just before it said that.
    pub(super) fn state(&self) -> Option<State> {
        self.state
    }

    /// Replaces the slots that were read by `slots`, under an exclusive lock, and only if they are
    /// still current. Nothing else of the message changes, and it can be opened at every moment,
    /// even if the program or the machine stops; see [`WriteOptions::in_place`] for what that
    /// requires of the disk.
    ///
    /// The file's time of last change is updated, so that backups that go by it take the new slots:
    /// the old ones may not open the message for ever.
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
    /// let answers = envelope.rewrap_keys(message.header().slots().slots());
    /// let slots = answers.into_iter().collect::<Result<_>>()?;
    /// let replaced = message.replace(slots, &WriteOptions::new())?;
    /// assert_eq!(replaced, Replaced::Written { generation: 2 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) unless there are 1 to 16 slots that fit
    /// the room this message has for them; [`Io`](crate::ErrorKind::Io), also if another program
    /// holds the lock for too long; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a file of
    /// several names that cannot be written in place. The message then has its old slots, or the
    /// error says that it may have none.
    pub fn replace(&mut self, slots: Vec<WrappedKey>, options: &WriteOptions) -> Result<Replaced> {
        let locked = Locked::take(&self.path, options.wait())?;
        let front = front::read(&locked.0, &self.path).map_err(Unread::into_error)?;
        let same = front.header.bound() == self.header.bound()
            && front.header.slots() == self.header.slots();
        if !same {
            self.keep(front);
            return Ok(Replaced::Changed);
        }
        let new = front.header.replace_slots(slots);
        let new = new.map_err(|error| named(&self.path, error))?;
        let mut bytes = front.bytes.clone();
        bytes[new.offset..new.offset + new.bytes.len()].copy_from_slice(&new.bytes);
        // What cannot be read again is not written.
        let header = Header::decode(&bytes).map_err(|error| named(&self.path, error))?;
        if !write(&self.path, &locked, &front, &new, options)? {
            *self = Self::open(&self.path)?;
            return Ok(Replaced::Changed);
        }
        (self.header, self.state) = (header, None);
        // What it is now, of the file itself under the lock or of the one that took its place.
        let now = front::read(&locked.0, &self.path).ok().filter(|front| front.bytes == bytes);
        let now = now.or_else(|| front::read(&front::open(&self.path).ok()?, &self.path).ok());
        if let Some(front) = now.filter(|front| front.bytes == bytes) {
            self.keep(front);
        }
        Ok(Replaced::Written { generation: new.generation })
    }

    fn keep(&mut self, front: Front) {
        (self.header, self.len, self.state) = (front.header, front.len, front.state);
        self.modified = front.modified;
    }
}
