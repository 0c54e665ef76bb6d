//! A key ring as it is stored (`R-1` to `R-6`).

use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::WrappedKey;
use std::fmt;
use std::time::SystemTime;

/// What the keys of an entry are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyRole {
    /// Encrypts values.
    Value,
    /// Makes blind indexes.
    Index,
}

impl KeyRole {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Value => 1,
            Self::Index => 2,
        }
    }
}

/// Tells rings apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RingId(pub(super) [u8; 16]);

impl RingId {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingId({self})")
    }
}

/// A wrapped key of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingEntry {
    pub(super) number: u32,
    pub(super) role: KeyRole,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) slots: Vec<WrappedKey>,
}

impl RingEntry {
    /// Its number in the ring.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it is for.
    pub fn role(&self) -> KeyRole {
        self.role
    }

    /// When it was made.
    pub fn created(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(self.created)
    }

    /// The key, wrapped once for each key-encryption key that can open it.
    pub fn slots(&self) -> &[WrappedKey] {
        &self.slots
    }
}

/// A key ring as it is stored: wrapped keys, numbered. Not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingDocument {
    id: RingId,
    highest: u32,
    entries: Vec<RingEntry>,
}

impl RingDocument {
    /// A ring of these entries; numbers ascend, and there is one of each role.
    pub(super) fn new(id: RingId, highest: u32, entries: Vec<RingEntry>) -> Result<Self> {
        Ok(Self { id, highest, entries })
    }

    /// Reads a ring.
    pub fn decode(_bytes: &[u8]) -> Result<Self> {
        Err(Error::new(ErrorKind::Internal, "later"))
    }

    /// The ring's bytes, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Its id.
    pub fn id(&self) -> RingId {
        self.id
    }

    /// The highest number that was ever used.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// Its entries by ascending number.
    pub fn entries(&self) -> &[RingEntry] {
        &self.entries
    }

    /// The number of the value key that new values are encrypted under.
    pub fn value_key(&self) -> u32 {
        self.newest(KeyRole::Value)
    }

    /// The number of the index key that new indexes are made with.
    pub fn index_key(&self) -> u32 {
        self.newest(KeyRole::Index)
    }

    fn newest(&self, role: KeyRole) -> u32 {
        let of_role = self.entries.iter().rev().find(|entry| entry.role == role);
        of_role.map_or(0, RingEntry::number)
    }

    /// The number of the next key.
    pub(super) fn next_number(&self) -> Result<u32> {
        let full = || Error::new(ErrorKind::LimitExceeded, "the key ring has no number left");
        self.highest.checked_add(1).ok_or_else(full)
    }

    /// The ring with one more key.
    pub(super) fn with_entry(
        &self,
        role: KeyRole,
        created: u64,
        slots: Vec<WrappedKey>,
    ) -> Result<Self> {
        let _ = (role, created, slots);
        Err(Error::new(ErrorKind::Internal, "later"))
    }

    /// The ring without the key `number`.
    pub fn retire(&self, _number: u32) -> Result<Self> {
        Err(Error::new(ErrorKind::Internal, "later"))
    }

    /// The ring with every wrapped key under the newest version of its key-encryption key.
    pub async fn rewrap(&self, _envelope: &Envelope) -> Result<Self> {
        Err(Error::new(ErrorKind::Internal, "later"))
    }
}
