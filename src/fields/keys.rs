//! The unwrapped keys of a ring, and all that is derived from them.

use super::document::KeyRole;
use crate::secret::DataKey;

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
}
