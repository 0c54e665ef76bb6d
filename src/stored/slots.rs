//! Slots of other keys in a stored message: added, removed, replaced.
//!
//! Promises: the body and region A are not changed; a slot is added only for the data key that was
//! verified against the message's commitment, so that a slot planted by somebody else is not
//! trusted; a message keeps at least one slot, and has either its old slots or its new ones.

use super::front::{cannot, named};
use super::message::{Replaced, StoredMessage};
use super::write::WriteOptions;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Header, PREAMBLE_LEN, RangeDecryptor};
use crate::io::offload;
use crate::policy::{DecryptPolicy, ToDecryptPolicy};
use crate::secret::DataKey;
use crate::wrap::{KeyId, WrappedKey};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How often a file is read again that somebody else changes.
const ATTEMPTS: usize = 16;

/// Which slots a stored message should have.
///
/// ```
/// # use ncp_envelope::*;
/// # use ncp_envelope::stored::*;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
/// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
/// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
/// # let before = Envelope::builder(old.clone()).build()?.blocking();
/// # std::fs::write(&path, before.encrypt("hello", page)?)?;
/// # let old_key = before.key_id().clone();
/// # let both = Envelope::builder(old).and(new).build()?.blocking();
/// # let policy = DecryptPolicy::new();
/// both.change_slots(&path, policy, &SlotChange::new().remove(old_key))?;
/// let slots = StoredMessage::open(&path)?.header().slots().slots().to_vec();
/// assert_eq!((slots.len(), slots[0].key_id().id()), (1, "new"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SlotChange {
    remove: Vec<KeyId>,
    body: Option<PathBuf>,
    write: WriteOptions,
}

impl SlotChange {
    /// Adds a slot for each recipient of the envelope who has none.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::stored::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
    /// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
    /// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
    /// # let before = Envelope::builder(old.clone()).build()?.blocking();
    /// # std::fs::write(&path, before.encrypt("hello", page)?)?;
    /// # let old_key = before.key_id().clone();
    /// # let both = Envelope::builder(old).and(new).build()?.blocking();
    /// # let policy = DecryptPolicy::new();
    /// both.change_slots(&path, policy, &SlotChange::new())?;
    /// let slots = StoredMessage::open(&path)?.header().slots().slots().to_vec();
    /// assert_eq!(slots.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the slots under this key in the same write. Holders of this key that have not
    /// unwrapped the data key before can no longer get it from this file.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::stored::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
    /// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
    /// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
    /// # let before = Envelope::builder(old.clone()).build()?.blocking();
    /// # std::fs::write(&path, before.encrypt("hello", page)?)?;
    /// # let old_key = before.key_id().clone();
    /// # let both = Envelope::builder(old).and(new).build()?.blocking();
    /// # let policy = DecryptPolicy::new();
    /// let change = SlotChange::new().remove(old_key);
    /// both.change_slots(&path, &policy, &change)?;
    /// let error = before.decrypt(std::fs::read(&path)?, &policy).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::KeyNotAllowed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn remove(mut self, key: KeyId) -> Self {
        self.remove.push(key);
        self
    }

    /// Where the body is, if it is detached: the data key is verified against it.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::stored::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
    /// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
    /// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
    /// # let before = Envelope::builder(old.clone()).build()?.blocking();
    /// # std::fs::write(&path, before.encrypt("hello", page)?)?;
    /// # let old_key = before.key_id().clone();
    /// # let both = Envelope::builder(old).and(new).build()?.blocking();
    /// # let policy = DecryptPolicy::new();
    /// # let body = directory.path().join("body");
    /// # let layout = ncp_envelope::format::Layout::from(ncp_envelope::format::Profile::Page);
    /// # let options = EncryptOptions::new().layout(layout.detached(true));
    /// # let message = before.encrypt("hello", options)?;
    /// # let (header, rest) = message.split_at(4_096);
    /// # std::fs::write(&path, header)?;
    /// # std::fs::write(&body, rest)?;
    /// let change = SlotChange::new().body(&body);
    /// both.change_slots(&path, policy.detached(true), &change)?;
    /// let slots = StoredMessage::open(&path)?.header().slots().slots().to_vec();
    /// assert_eq!(slots.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn body(mut self, path: impl Into<PathBuf>) -> Self {
        self.body = Some(path.into());
        self
    }

    /// How to write.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::stored::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
    /// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
    /// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
    /// # let before = Envelope::builder(old.clone()).build()?.blocking();
    /// # std::fs::write(&path, before.encrypt("hello", page)?)?;
    /// # let old_key = before.key_id().clone();
    /// # let both = Envelope::builder(old).and(new).build()?.blocking();
    /// # let policy = DecryptPolicy::new();
    /// let change = SlotChange::new().write(WriteOptions::new().in_place(false));
    /// let changed = both.change_slots(&path, policy, &change)?;
    /// assert_eq!(changed, SlotsChanged::Written { generation: 2 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn write(mut self, options: WriteOptions) -> Self {
        self.write = options;
        self
    }
}

/// The result of changing slots.
///
/// ```
/// # use ncp_envelope::*;
/// # use ncp_envelope::stored::*;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
/// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
/// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
/// # let before = Envelope::builder(old.clone()).build()?.blocking();
/// # std::fs::write(&path, before.encrypt("hello", page)?)?;
/// # let old_key = before.key_id().clone();
/// # let both = Envelope::builder(old).and(new).build()?.blocking();
/// # let policy = DecryptPolicy::new();
/// let change = SlotChange::new();
/// let changed = both.change_slots(&path, &policy, &change)?;
/// assert_eq!(changed, SlotsChanged::Written { generation: 2 });
/// assert_eq!(both.change_slots(&path, &policy, &change)?, SlotsChanged::Already);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotsChanged {
    /// They are in the file.
    Written {
        /// Their generation.
        generation: u32,
    },
    /// The message had them already, and was not changed.
    Already,
}

impl StoredMessage {
    /// Removes the slots under `keys`. Calls no key service, so it cannot know whether the
    /// remaining slots open the message.
    ///
    /// Anyone who had the data key still has it, and an older copy of the header opens the message
    /// again: use [`Envelope::rekey_file`] to lock somebody out.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::stored::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let old = std::sync::Arc::new(LocalKeyWrapper::new("old", &DataKey::generate()?)?);
    /// # let new = std::sync::Arc::new(LocalKeyWrapper::new("new", &DataKey::generate()?)?);
    /// # let page = EncryptOptions::new().layout(ncp_envelope::format::Profile::Page);
    /// # let before = Envelope::builder(old.clone()).build()?.blocking();
    /// # std::fs::write(&path, before.encrypt("hello", page)?)?;
    /// # let old_key = before.key_id().clone();
    /// # let both = Envelope::builder(old).and(new).build()?.blocking();
    /// # let policy = DecryptPolicy::new();
    /// # both.change_slots(&path, policy, &SlotChange::new())?;
    /// let mut message = StoredMessage::open(&path)?;
    /// message.remove_slots(&[old_key.clone()], &WriteOptions::new())?;
    /// let last = message.remove_slots(&[both.key_ids()[1].clone()], &WriteOptions::new());
    /// assert!(last.is_err(), "nobody could read it any more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the message has no slot under one of them, or
    /// would have none left; otherwise as [`replace`](Self::replace).
    pub fn remove_slots(&mut self, keys: &[KeyId], options: &WriteOptions) -> Result<SlotsChanged> {
        for _ in 0..ATTEMPTS {
            let left = remaining(self.path(), self.header(), keys)?;
            refuse_none(self.path(), &left)?;
            if let Replaced::Written { generation } = self.replace(left, options)? {
                return Ok(SlotsChanged::Written { generation });
            }
        }
        Err(restless(self.path()))
    }
}

impl Envelope {
    /// Gives the message in the file `path` a slot for each recipient of this envelope who has
    /// none, and removes those that `change` names. The body is unchanged.
    ///
    /// One of the recipients must be able to open the message. The data key is verified against the
    /// commitment in front of the body before it is wrapped for anybody, so the associated data
    /// must be in `policy` if there is any. A message keeps its layout: a compact header seldom has
    /// room for another slot, only for one in place of another; [`rekey_file`](Self::rekey_file)
    /// makes room.
    ///
    /// ```
    /// use ncp_envelope::stored::{SlotChange, SlotsChanged};
    /// use ncp_envelope::{
    ///     DataKey, DecryptPolicy, EncryptionContext, Envelope, KeyWrapper, LocalKeyWrapper,
    /// };
    /// use std::sync::Arc;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
    /// # rt.block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// let (old, new) = (DataKey::generate()?, DataKey::generate()?);
    /// let old = Arc::new(LocalKeyWrapper::new("old", &old)?);
    /// let new = Arc::new(LocalKeyWrapper::new("new", &new)?);
    /// let before = Envelope::builder(old.clone()).build()?;
    /// std::fs::write(&path, before.encrypt(b"hello", EncryptionContext::new()).await?)?;
    ///
    /// // From one key to the other.
    /// let change = SlotChange::new().remove(old.key_id().clone());
    /// let both = Envelope::builder(old).and(new.clone()).build()?;
    /// let changed = both.change_slots(&path, &DecryptPolicy::new(), &change).await?;
    /// assert_eq!(changed, SlotsChanged::Written { generation: 2 });
    /// let after = Envelope::builder(new).build()?;
    /// let message = std::fs::read(&path)?;
    /// assert_eq!(after.decrypt(&message, &DecryptPolicy::new()).await?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt) and [`StoredMessage::replace`]; those of the wrappers;
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a slot to be removed is not there.
    pub async fn change_slots(
        &self,
        path: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        change: &SlotChange,
    ) -> Result<SlotsChanged> {
        let policy = &*policy.to_policy()?;
        let path = path.as_ref();
        for _ in 0..ATTEMPTS {
            let (name, body) = (path.to_owned(), change.body.clone());
            // Anew each time: another message may have taken the name, with another data key.
            let (mut message, preamble) = offload(move |_| {
                let message = StoredMessage::open(name)?;
                let preamble = preamble(&message, body.as_deref())?;
                Ok((message, preamble))
            })
            .await?;
            let before = message.header().slots().slots();
            let mut slots = remaining(path, message.header(), &change.remove)?;
            let has = |key: &KeyId| before.iter().any(|slot| slot.key_id() == key);
            let wanted = |key: &&KeyId| !has(key) && !change.remove.contains(key);
            let missing: Vec<_> = self.key_ids().iter().filter(wanted).cloned().collect();
            if missing.is_empty() && slots.len() == before.len() {
                return Ok(SlotsChanged::Already);
            }
            if !missing.is_empty() {
                let key = self.proven(&message, &preamble, policy).await;
                let key = key.map_err(|error| named(path, error))?;
                let added = self.wrap_existing(&key, &missing).await;
                slots.extend(added.map_err(|error| named(path, error))?);
            }
            refuse_none(path, &slots)?;
            let options = change.write.clone();
            let replaced = offload(move |_| message.replace(slots, &options)).await;
            match replaced.map_err(with_way_out)? {
                Replaced::Written { generation } => {
                    return Ok(SlotsChanged::Written { generation });
                }
                Replaced::Changed => {}
            }
        }
        Err(restless(path))
    }

    /// The data key of a stored message, which its commitment proves.
    async fn proven(
        &self,
        message: &StoredMessage,
        preamble: &[u8; PREAMBLE_LEN],
        policy: &DecryptPolicy,
    ) -> Result<DataKey> {
        let bound = message.header().bound();
        let policy = policy.clone().detached(bound.is_detached());
        let proven = |key: &DataKey| {
            RangeDecryptor::new(key, bound, preamble, policy.aad_bytes())?;
            Ok(DataKey::copy_from(key.expose_secret()))
        };
        self.unwrap_with(message.header(), &policy, proven).await
    }
}

/// The first bytes of the body, which is behind the header unless it is `apart`.
fn preamble(message: &StoredMessage, apart: Option<&Path>) -> Result<[u8; PREAMBLE_LEN]> {
    let bound = message.header().bound();
    let (path, at) = match (bound.is_detached(), apart) {
        (false, None) => (message.path(), bound.body_offset() as u64),
        (true, Some(body)) => (body, 0),
        (true, None) => {
            let text = format!(
                "{} is the header of a body that is an object of its own: name that one too",
                message.path().display()
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        (false, Some(_)) => {
            let text = format!(
                "{} has its body behind its header: name no other",
                message.path().display()
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
    };
    let mut bytes = [0; PREAMBLE_LEN];
    let mut file = File::open(path).map_err(|error| cannot("open", path, error))?;
    let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            let text = format!("{}: message is truncated: it has no body", path.display());
            Error::new(ErrorKind::Truncated, text)
        }
        _ => cannot("read", path, error),
    })?;
    Ok(bytes)
}

/// The slots of `header` without those under `keys`, each of which must exist.
fn remaining(path: &Path, header: &Header, keys: &[KeyId]) -> Result<Vec<WrappedKey>> {
    let slots = header.slots().slots();
    for key in keys {
        if !slots.iter().any(|slot| slot.key_id() == key) {
            let there: Vec<_> = slots.iter().map(|slot| slot.key_id().to_string()).collect();
            let text = format!(
                "{} has no slot under the key {key}: it has {}",
                path.display(),
                there.join(", ")
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
    }
    Ok(slots.iter().filter(|slot| !keys.contains(slot.key_id())).cloned().collect())
}

fn refuse_none(path: &Path, slots: &[WrappedKey]) -> Result<()> {
    if !slots.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} would have no key left, and nobody could read it: add another one first",
        path.display()
    );
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// What to do where the new slots have no room.
fn with_way_out(error: Error) -> Error {
    match error.kind() {
        ErrorKind::LimitExceeded => {
            let text = format!(
                "{error}: write the message anew for all its keys (rekey), which makes room"
            );
            Error::with_source(error.kind(), text, error)
        }
        _ => error,
    }
}

fn restless(path: &Path) -> Error {
    let text = format!(
        "{} was changed by others {ATTEMPTS} times while its slots were to be replaced: try again \
         when they are done",
        path.display()
    );
    Error::new(ErrorKind::Io, text)
}
