//! An open key ring: its document, its keys, and the envelope that unwraps them.

use super::document::{RingDocument, RingId};
use super::field::Field;
use super::keys::RingKeys;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// A key ring whose keys are, or can be, in memory. Cheap to clone; clones are the same ring.
#[derive(Clone, Debug)]
pub struct KeyRing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    document: RingDocument,
}

fn later<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "later"))
}

impl KeyRing {
    /// A new ring, with a value key and an index key.
    pub async fn create(_envelope: &Envelope) -> Result<Self> {
        later()
    }

    /// Opens a stored ring.
    pub async fn open(_ring: impl AsRef<[u8]>, _envelope: &Envelope) -> Result<Self> {
        later()
    }

    /// The ring as it is to be stored.
    pub fn document(&self) -> RingDocument {
        self.0.document.clone()
    }

    /// The bytes of [`document`](Self::document).
    pub fn to_bytes(&self) -> Vec<u8> {
        self.document().to_bytes()
    }

    /// Tells rings apart.
    pub fn id(&self) -> RingId {
        self.0.document.id()
    }

    /// A field of this ring.
    pub fn field(&self, name: impl AsRef<str>) -> Result<Field> {
        Field::new(self.clone(), name.as_ref())
    }

    /// Waits until the keys are in memory.
    pub async fn ready(&self) -> Result<()> {
        later()
    }

    /// Whether the keys are in memory.
    pub fn is_ready(&self) -> bool {
        false
    }

    /// The ring with a new value key, to be stored and then [adopted](Self::adopt).
    pub async fn rotate(&self) -> Result<RingDocument> {
        later()
    }

    /// The ring with a new index key, to be stored and then [adopted](Self::adopt).
    pub async fn rotate_index(&self) -> Result<RingDocument> {
        later()
    }

    /// Uses a newer document of the same ring from now on, in all its clones and fields.
    pub async fn adopt(&self, _document: &RingDocument) -> Result<()> {
        later()
    }

    /// Wipes the keys now; the next use has them unwrapped again.
    pub fn forget_keys(&self) {}

    /// The keys, if they are in memory.
    pub(super) fn keys(&self) -> Result<Arc<RingKeys>> {
        later()
    }
}
