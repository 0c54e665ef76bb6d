//! The unwrapped keys of a ring, and all that is derived from them.

use super::document::KeyRole;
use crate::secret::{DataKey, equal};

/// One unwrapped key of a ring.
pub(super) struct EntryKey {
    pub(super) number: u32,
    pub(super) role: KeyRole,
    pub(super) key: DataKey,
}

/// The unwrapped keys of a ring, by ascending number, and all that is derived from them: wiped when
/// dropped.
pub(super) struct RingKeys {
    pub(super) entries: Vec<EntryKey>,
}

impl RingKeys {
    pub(super) fn new(entries: Vec<EntryKey>) -> Self {
        Self { entries }
    }

    /// The key with this number.
    pub(super) fn get(&self, number: u32) -> Option<&EntryKey> {
        let at = self.entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.entries.get(at)
    }

    /// A number under which `other` has another key.
    pub(super) fn contradicts(&self, other: &Self) -> Option<u32> {
        let differs =
            |entry: &&EntryKey| other.get(entry.number).is_some_and(|others| *others != **entry);
        self.entries.iter().find(differs).map(|entry| entry.number)
    }
}

impl PartialEq for EntryKey {
    fn eq(&self, other: &Self) -> bool {
        let same = equal(self.key.expose_secret(), other.key.expose_secret());
        same && self.number == other.number && self.role == other.role
    }
}

impl PartialEq for RingKeys {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}
