//! The unwrapped keys of a ring, and all that is derived from them.
//!
//! Promises: what is derived for a field is derived once, found without a lock that others wait
//! for, and wiped with the ring's keys: nobody else keeps it. Two threads may derive the same at
//! once, and neither waits: in a forked child the other may not exist.

use super::ciphertext::{FieldMode, refused};
use super::derive::{self, ValueKeys};
use super::document::KeyRole;
use crate::crypto::Mac256;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DataKey, equal};
use once_cell::race::OnceBox;
use std::sync::{Arc, RwLock};

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
    fields: Shelves,
}

/// What was derived for fields, each at a place of its own. A shelf is twice as long as the one
/// before and never moves, so that a place is found without a lock.
struct Shelves([OnceBox<Shelf>; u32::BITS as usize]);

type Shelf = Box<[OnceBox<FieldKeys>]>;

/// The derived keys of one field.
struct FieldKeys {
    /// For each entry and mode.
    values: Vec<[OnceBox<ValueKeys>; 2]>,
    /// By number and bits. A field has few.
    indexes: RwLock<Vec<(u32, u16, Arc<Mac256>)>>,
}

/// A field, as its keys are looked up: its name, and its place among the fields of the ring.
#[derive(Clone)]
pub(super) struct FieldName {
    pub(super) name: Arc<str>,
    pub(super) place: u32,
}

impl RingKeys {
    pub(super) fn new(entries: Vec<EntryKey>) -> Self {
        Self { entries, fields: Shelves([const { OnceBox::new() }; u32::BITS as usize]) }
    }

    /// The key with this number.
    pub(super) fn get(&self, number: u32) -> Option<&EntryKey> {
        self.entries.get(self.find(number)?)
    }

    fn find(&self, number: u32) -> Option<usize> {
        self.entries.binary_search_by_key(&number, |entry| entry.number).ok()
    }

    /// The number of the key that is used for what is new (`R-7`).
    pub(super) fn newest(&self, role: KeyRole) -> Result<u32> {
        let newest = self.entries.iter().rev().find(|entry| entry.role == role);
        let none = || Error::new(ErrorKind::Internal, "a ring has no key of this role");
        newest.map(|entry| entry.number).ok_or_else(none)
    }

    /// The numbers of the keys of this role, newest first.
    pub(super) fn numbers(&self, role: KeyRole) -> impl Iterator<Item = u32> {
        let of_role = self.entries.iter().rev().filter(move |entry| entry.role == role);
        of_role.map(|entry| entry.number)
    }

    /// A number under which `other` has another key.
    pub(super) fn contradicts(&self, other: &Self) -> Option<u32> {
        let differs =
            |entry: &&EntryKey| other.get(entry.number).is_some_and(|others| *others != **entry);
        self.entries.iter().find(differs).map(|entry| entry.number)
    }

    /// What encrypts values of `field` under the value key `number`.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] if the ring has no such value key (`R-23`).
    pub(super) fn of_values(
        &self,
        field: &FieldName,
        number: u32,
        mode: FieldMode,
    ) -> Result<&ValueKeys> {
        let at = self.find(number).ok_or_else(refused)?;
        let entry = &self.entries[at];
        if entry.role != KeyRole::Value {
            return Err(refused());
        }
        let derived = &self.of_field(field)?.values[at];
        let derived = &derived[usize::from(mode == FieldMode::Deterministic)];
        if let Some(keys) = derived.get() {
            return Ok(keys);
        }
        let keys = derive::value_keys(&entry.key, mode, &field.name)?;
        Ok(derived.get_or_init(|| keys))
    }

    /// What makes indexes of `field` with the index key `number`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the ring has no such index key.
    pub(super) fn of_indexes(
        &self,
        field: &FieldName,
        number: u32,
        bits: u16,
    ) -> Result<Arc<Mac256>> {
        let entry = self.get(number).filter(|entry| entry.role == KeyRole::Index);
        let entry = entry.ok_or_else(|| {
            let text = format!("the ring has no index key {number}: see RingDocument::entries");
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        let indexes = &self.of_field(field)?.indexes;
        let is_it = |(of, long, _): &&(u32, u16, _)| (*of, *long) == (number, bits);
        let known = |indexes: &[(u32, u16, Arc<Mac256>)]| {
            indexes.iter().find(is_it).map(|(_, _, key)| key.clone())
        };
        if let Ok(indexes) = indexes.try_read()
            && let Some(key) = known(&indexes)
        {
            return Ok(key);
        }
        let key = derive::index_key(&entry.key, &field.name, bits);
        let Ok(mut indexes) = indexes.try_write() else { return Ok(key) };
        Ok(known(&indexes).unwrap_or_else(|| {
            indexes.push((number, bits, key.clone()));
            key
        }))
    }

    fn of_field(&self, field: &FieldName) -> Result<&FieldKeys> {
        let full = || Error::new(ErrorKind::LimitExceeded, "the ring has too many fields");
        let place = self.fields.get(field.place).ok_or_else(full)?;
        Ok(place.get_or_init(|| Box::new(FieldKeys::new(self.entries.len()))))
    }
}

impl Shelves {
    fn get(&self, place: u32) -> Option<&OnceBox<FieldKeys>> {
        let place = place.checked_add(1)?;
        let shelf = place.ilog2();
        let made = self.0.get(shelf as usize)?;
        let shelf_of = || Box::new((0..1_u64 << shelf).map(|_| OnceBox::new()).collect());
        let made: &Shelf = made.get_or_init(shelf_of);
        made.get((place - (1 << shelf)) as usize)
    }
}

impl FieldKeys {
    fn new(entries: usize) -> Self {
        let values = (0..entries).map(|_| [OnceBox::new(), OnceBox::new()]).collect();
        Self { values, indexes: RwLock::default() }
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
