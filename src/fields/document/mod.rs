//! A key ring as it is stored (`R-1` to `R-13`).
//!
//! Promises: there is no document that breaks a rule, however it was made; what is read has one
//! encoding, and every length is compared with its limit first. A change gives a new document and
//! leaves the old one as it is. No unwrapped key is needed for anything here.

mod codec;
mod entry;
#[cfg(test)]
mod tests;

pub use entry::{KeyRole, RingEntry, RingId};

use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::WrappedKey;
use crate::wrap::slot::MAX_SLOTS;
use codec::{LAST_SECOND, MAX_ENTRIES, MAX_LEN, limit, malformed};

/// A key ring as it is stored: wrapped keys, numbered. Not secret, and worth as much as all values
/// that are encrypted under it: store it where the data is, and back it up with the data.
///
/// Every change gives a new document. Store it in place of the one that it was made from, and of
/// no other (compare and swap, or under a lock), so that no key gets lost when two processes
/// change a ring at the same time.
///
/// ```
/// use ncp_envelope::fields::{KeyRing, RingDocument};
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// # let stored = wait(KeyRing::create(&envelope))??.to_bytes();
/// // Without a key and without a call: what is in a ring.
/// let ring = RingDocument::decode(&stored)?;
/// for entry in ring.entries() {
///     println!("{} {} {:?}", entry.number(), entry.role(), entry.created());
/// }
/// assert_eq!(ring.to_bytes(), stored);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingDocument {
    id: RingId,
    highest: u32,
    entries: Vec<RingEntry>,
}

impl RingDocument {
    /// A ring of these entries; numbers ascend, and there is one of each role.
    pub(super) fn new(id: RingId, highest: u32, entries: Vec<RingEntry>) -> Result<Self> {
        let ring = Self { id, highest, entries };
        ring.check()?;
        Ok(ring)
    }

    /// Reads a ring.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::fields::{KeyRing, RingDocument};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let stored = wait(KeyRing::create(&envelope))??.to_bytes();
    /// assert_eq!(RingDocument::decode(&stored)?.highest(), 2);
    /// let cut = RingDocument::decode(&stored[..100]);
    /// assert_eq!(cut.unwrap_err().kind(), ErrorKind::Truncated);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Truncated`] or [`ErrorKind::LimitExceeded`] for bytes
    /// that are no ring, and [`ErrorKind::UnsupportedVersion`] for one of a later release.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (id, highest, entries) = codec::decode(bytes)?;
        Self::new(id, highest, entries)
    }

    /// The ring's bytes, to be stored. Each ring has one encoding: equal rings have equal bytes.
    ///
    /// ```
    /// use ncp_envelope::fields::{KeyRing, RingDocument};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??.document();
    /// assert_eq!(RingDocument::decode(&ring.to_bytes())?, ring);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&self.id, self.highest, &self.entries)
    }

    /// Its id.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!(wait(ring.rotate())??.id(), ring.id());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn id(&self) -> RingId {
        self.id
    }

    /// The highest number that was ever used, also by a key that was retired since.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!(ring.document().highest(), 2);
    /// assert_eq!(wait(ring.rotate())??.highest(), 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// Its entries by ascending number.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??.document();
    /// assert!(ring.entries().iter().any(|entry| entry.number() == 2));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn entries(&self) -> &[RingEntry] {
        &self.entries
    }

    /// The number of the value key that new values are encrypted under.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!(ring.document().value_key(), 1);
    /// assert_eq!(wait(ring.rotate())??.value_key(), 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn value_key(&self) -> u32 {
        self.newest(KeyRole::Value)
    }

    /// The number of the index key that new indexes are made with.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!(ring.document().index_key(), 2);
    /// assert_eq!(wait(ring.rotate())??.index_key(), 2, "indexes stay");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn index_key(&self) -> u32 {
        self.newest(KeyRole::Index)
    }

    /// `R-7`. There is one of each role.
    fn newest(&self, role: KeyRole) -> u32 {
        let of_role = self.entries.iter().rev().find(|entry| entry.role == role);
        of_role.map_or(0, RingEntry::number)
    }

    /// The number of the next key: no number is used twice (`R-6`).
    pub(super) fn next_number(&self) -> Result<u32> {
        self.highest.checked_add(1).ok_or_else(|| limit("it has no number left".to_owned()))
    }

    /// The ring with one more key (`R-11`).
    pub(super) fn with_entry(
        &self,
        role: KeyRole,
        created: u64,
        slots: Vec<WrappedKey>,
    ) -> Result<Self> {
        let number = self.next_number()?;
        let mut entries = self.entries.clone();
        entries.push(RingEntry { number, role, created, slots });
        Self::new(self.id, number, entries)
    }

    /// The ring without the key `number` (`R-13`). Values that were encrypted under it cannot be
    /// decrypted any more, in backups neither: encrypt them again first.
    ///
    /// ```
    /// use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let rotated = wait(wait(KeyRing::create(&envelope))??.rotate())??;
    /// let retired = rotated.retire(1)?;
    /// assert_eq!((retired.entries().len(), retired.highest()), (2, 3));
    /// assert!(retired.retire(3).is_err(), "it encrypts new values");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no such key, or if it is the newest of its role.
    pub fn retire(&self, number: u32) -> Result<Self> {
        let refused = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        let Some(entry) = self.entries.iter().find(|entry| entry.number == number) else {
            let numbers: Vec<_> =
                self.entries.iter().map(|entry| entry.number.to_string()).collect();
            return refused(format!(
                "there is no key {number} in this ring: it has {}",
                numbers.join(", ")
            ));
        };
        if self.newest(entry.role) == number {
            let (what, rotate) = match entry.role {
                KeyRole::Value => ("new values are encrypted under it", "rotate"),
                KeyRole::Index => ("new indexes are made with it", "rotate the index key"),
            };
            return refused(format!(
                "key {number} is the newest {} key of this ring, {what}: {rotate} first",
                entry.role
            ));
        }
        let kept = self.entries.iter().filter(|entry| entry.number != number);
        Self::new(self.id, self.highest, kept.cloned().collect())
    }

    /// The ring with every wrapped key under the newest version of its key-encryption key
    /// (`R-12`): after the service has rotated that, and before an old version of it is disabled.
    /// The keys stay the same, so no value changes, and nobody sees a key. Slots under keys that
    /// no recipient of the envelope has stay as they are.
    ///
    /// ```
    /// use ncp_envelope::fields::{KeyRing, RingDocument};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let stored = wait(KeyRing::create(&envelope))??.to_bytes();
    /// let ring = RingDocument::decode(&stored)?;
    /// let rewrapped = wait(ring.rewrap(&envelope))??;
    /// assert_ne!(rewrapped.to_bytes(), stored);
    /// assert_eq!(rewrapped.id(), ring.id());
    /// assert!(wait(KeyRing::open(rewrapped.to_bytes(), &envelope))?.is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the wrappers, for the first key that could not be rewrapped.
    /// [`ErrorKind::KeyNotAllowed`] if no slot is under a key of the envelope.
    pub async fn rewrap(&self, envelope: &Envelope) -> Result<Self> {
        let ours = |slot: &&WrappedKey| envelope.key_ids().contains(slot.key_id());
        let slots = || self.entries.iter().flat_map(|entry| &entry.slots);
        let asked: Vec<_> = slots().filter(ours).cloned().collect();
        if asked.is_empty() {
            return Err(self.none_is_ours(envelope));
        }
        let mut answers = envelope.rewrap_keys(&asked).await.into_iter();
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            let number = entry.number;
            for slot in entry.slots.iter_mut().filter(|slot| ours(&&**slot)) {
                let none = || Err(Error::new(ErrorKind::Internal, "a wrapped key has no answer"));
                let answer = answers.next().unwrap_or_else(none);
                *slot =
                    answer.map_err(|error| error.of(format_args!("key {number} of the ring")))?;
            }
        }
        Self::new(self.id, self.highest, entries)
    }

    fn none_is_ours(&self, envelope: &Envelope) -> Error {
        let mut theirs: Vec<_> = self.entries.iter().flat_map(|entry| &entry.slots).collect();
        theirs.sort_by_key(|slot| slot.key_id().id().to_owned());
        theirs.dedup_by_key(|slot| slot.key_id().clone());
        let theirs: Vec<_> = theirs.iter().map(|slot| slot.key_id().to_string()).collect();
        let ours: Vec<_> = envelope.key_ids().iter().map(ToString::to_string).collect();
        let text = format!(
            "no key of the ring is wrapped under {}: they are under {}",
            ours.join(", "),
            theirs.join(", ")
        );
        Error::new(ErrorKind::KeyNotAllowed, text)
    }

    /// What a ring has to be beside what its fields can hold (`R-4` to `R-7`).
    fn check(&self) -> Result<()> {
        if self.entries.len() > MAX_ENTRIES {
            let count = self.entries.len();
            return Err(limit(format!("it has {count} entries, {MAX_ENTRIES} are allowed")));
        }
        let mut before = 0;
        for (entry, at) in self.entries.iter().zip(1..) {
            let fault = |what: &str| Err(malformed(&format!("entry {at}: {what}")));
            if entry.number <= before {
                return fault(if entry.number == 0 {
                    "its number is zero"
                } else {
                    "its number does not ascend"
                });
            }
            before = entry.number;
            if entry.created > LAST_SECOND {
                return fault("it was created after the year 9999");
            }
            if entry.slots.is_empty() {
                return fault("it has no key slot");
            }
            if entry.slots.len() > MAX_SLOTS {
                let count = entry.slots.len();
                let what = format!("entry {at}: it has {count} key slots, {MAX_SLOTS} are allowed");
                return Err(limit(what));
            }
        }
        if before > self.highest {
            return Err(malformed("its highest number is lower than that of its last entry"));
        }
        for role in [KeyRole::Value, KeyRole::Index] {
            if self.newest(role) == 0 {
                return Err(malformed(&format!("it has no {role} key")));
            }
        }
        let len = codec::encoded_len(&self.entries);
        if len > MAX_LEN {
            return Err(limit(format!("it takes {len} bytes, {MAX_LEN} are allowed")));
        }
        Ok(())
    }
}
