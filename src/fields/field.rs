//! A field: a named use of a key ring.

use super::ciphertext::{FieldCiphertext, FieldMode, MAX_TEXT_LEN, MAX_VALUE_LEN, Parts, refused};
use super::column::{Column, SecretColumn};
use super::document::KeyRole;
use super::index::{self, BlindIndex, DEFAULT_BITS};
use super::keys::{FieldName, RingKeys};
use super::many::{self, Run};
use super::ring::KeyRing;
use super::{salt, text, value};
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::secret::wipe_if_it_moves;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The longest name of a field in bytes (`R-16`).
const MAX_NAME_LEN: usize = 255;

/// A named use of a key ring, such as `customers.email`. Cheap to clone, and to be shared by
/// threads.
///
/// A value is bound to its field and to its **row**: associated data that is not stored, usually
/// the row's primary key. Without the same row it cannot be decrypted, so that nobody can move a
/// value to another row. An empty row binds it to the field only.
///
/// No call waits for anything. While the ring's keys are in memory, none fails for want of them;
/// otherwise each fails with the reason, see [`KeyRing`].
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
/// let email = ring.field("customers.email")?;
/// let ciphertext = email.encrypt("kim@example.com", "17")?;
/// assert_eq!(*email.decrypt(&ciphertext, "17")?, b"kim@example.com");
/// assert!(email.decrypt(&ciphertext, "18").is_err(), "of another row");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct Field {
    ring: KeyRing,
    name: FieldName,
    mode: FieldMode,
    bits: u16,
}

impl KeyRing {
    /// A field of this ring. The name is part of what every value is bound to: values of one field
    /// cannot be decrypted as those of another.
    ///
    /// The ring remembers every name as long as it lives: names are columns, not what users send.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let ring = wait(KeyRing::create(&envelope))??;
    /// let (email, name) = (ring.field("customers.email")?, ring.field("customers.name")?);
    /// let ciphertext = email.encrypt("kim@example.com", "17")?;
    /// assert!(name.decrypt(&ciphertext, "17").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the name has 1 to 255 bytes.
    pub fn field(&self, name: impl AsRef<str>) -> Result<Field> {
        Field::new(self.clone(), name.as_ref())
    }
}

impl Field {
    fn new(ring: KeyRing, name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            let len = name.len();
            let text =
                format!("the name of a field has 1 to {MAX_NAME_LEN} bytes, this one has {len}");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let name = ring.name(name);
        Ok(Self { ring, name, mode: FieldMode::Randomized, bits: DEFAULT_BITS })
    }

    /// Its name.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// assert_eq!(ring.field("customers.email")?.name(), "customers.email");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name.name
    }

    /// Its ring.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// assert_eq!(ring.field("customers.email")?.ring().id(), ring.ring().id());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// The same field, which encrypts in this mode. It decrypts values of either.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::fields::FieldMode;
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let country = ring.field("customers.country")?;
    /// assert_ne!(country.encrypt("KR", "")?, country.encrypt("KR", "")?);
    /// let country = country.with_mode(FieldMode::Deterministic);
    /// assert_eq!(country.encrypt("KR", "")?, country.encrypt("KR", "")?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn with_mode(mut self, mode: FieldMode) -> Self {
        self.mode = mode;
        self
    }

    /// The same field, with blind indexes of this many bits: 8 to 256, 128 unless set. With few
    /// bits, unequal values share an index on purpose: it hides which rows are equal, and what is
    /// found has to be decrypted and compared. Indexes of different lengths have nothing in common.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?.with_index_bits(16)?;
    /// assert_eq!(email.index("kim@example.com")?.as_bytes().len(), 2);
    /// assert!(email.with_index_bits(7).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for another number of bits.
    pub fn with_index_bits(mut self, bits: u16) -> Result<Self> {
        self.bits = index::check_bits(bits)?;
        Ok(self)
    }

    /// Encrypts a value of at most 65,536 bytes under the ring's newest value key. The result is
    /// [`added`](FieldMode::added) bytes longer.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let ciphertext = ring.field("customers.email")?.encrypt("kim@example.com", "17")?;
    /// assert_eq!(ciphertext.len(), 15 + 54);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] for a longer value: encrypt it as a message. Why the ring's
    /// keys are not in memory, if they are not.
    pub fn encrypt(&self, value: impl AsRef<[u8]>, row: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.encrypt_into(value, row, &mut out)?;
        Ok(out)
    }

    /// As [`encrypt`](Self::encrypt), into a buffer in place of what was there.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let (email, mut out) = (ring.field("customers.email")?, Vec::new());
    /// email.encrypt_into("kim@example.com", "17", &mut out)?;
    /// assert_eq!(*email.decrypt(&out, "17")?, b"kim@example.com");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there; the buffer is empty then.
    pub fn encrypt_into(
        &self,
        value: impl AsRef<[u8]>,
        row: impl AsRef<[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let value = value.as_ref();
        out.clear();
        check_len(value)?;
        let keys = self.ring.keys()?;
        out.resize(value.len() + self.mode.added(), 0);
        let row = row.as_ref();
        let sealed = self.seal(&keys, value, row, out);
        if sealed.is_err() {
            out.clear();
        }
        sealed
    }

    /// As [`encrypt`](Self::encrypt), as [text](FieldCiphertext::to_text).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let text: String = email.encrypt_text("kim@example.com", "17")?;
    /// assert_eq!(*email.decrypt_text(&text, "17")?, b"kim@example.com");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn encrypt_text(&self, value: impl AsRef<[u8]>, row: impl AsRef<[u8]>) -> Result<String> {
        Ok(text::encode(&self.encrypt(value, row)?))
    }

    /// Decrypts a value of this field and row, under any value key of the ring. The result is wiped
    /// when dropped.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, ErrorKind, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let mut ciphertext = email.encrypt("kim@example.com", "17")?;
    /// assert_eq!(*email.decrypt(&ciphertext, "17")?, b"kim@example.com");
    /// ciphertext[60] ^= 1;
    /// let error = email.decrypt(&ciphertext, "17").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Authentication);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`], whatever is wrong with it (`R-23`): it was changed, is no
    /// ciphertext, is of another ring, field, row or scope, or its key is not in the ring, which
    /// [`FieldCiphertext::key_number`] and [`RingDocument::entries`](super::RingDocument::entries)
    /// tell. Why the ring's keys are not in memory, if they are not.
    pub fn decrypt(
        &self,
        ciphertext: impl AsRef<[u8]>,
        row: impl AsRef<[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(Vec::new());
        self.decrypt_into(ciphertext, row, &mut out)?;
        Ok(out)
    }

    /// As [`decrypt`](Self::decrypt), into a buffer in place of what was there. The value is the
    /// caller's to wipe: a `Zeroizing<Vec<u8>>` does that.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let mut value = zeroize::Zeroizing::new(Vec::new());
    /// email.decrypt_into(email.encrypt("kim@example.com", "17")?, "17", &mut value)?;
    /// assert_eq!(*value, b"kim@example.com");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there; the buffer is wiped and empty then.
    pub fn decrypt_into(
        &self,
        ciphertext: impl AsRef<[u8]>,
        row: impl AsRef<[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let opened = self.ring.keys().and_then(|keys| {
            let parts = Parts::of(ciphertext.as_ref()).ok_or_else(refused)?;
            wipe_if_it_moves(out, parts.body.len());
            out.resize(parts.body.len(), 0);
            self.open(&keys, &parts, row.as_ref(), out)
        });
        if opened.is_err() {
            out.zeroize();
        }
        opened
    }

    /// As [`decrypt`](Self::decrypt), of the [text form](FieldCiphertext::to_text).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let text = email.encrypt_text("kim@example.com", "17")?;
    /// assert!(email.decrypt_text(format!("{text}\n"), "17").is_err(), "another spelling");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn decrypt_text(
        &self,
        text: impl AsRef<str>,
        row: impl AsRef<[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let text = text.as_ref();
        if text.len() > MAX_TEXT_LEN {
            return Err(refused());
        }
        self.decrypt(FieldCiphertext::from_text(text)?, row)
    }

    /// The blind index of a value with the ring's newest index key. Equal values have equal
    /// indexes, whatever their rows; what counts as equal (case, spaces, Unicode forms) is the
    /// caller's to settle before.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// assert_eq!(email.index("kim@example.com")?, email.index("kim@example.com")?);
    /// assert_ne!(email.index("kim@example.com")?, email.index("lee@example.com")?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Why the ring's keys are not in memory, if they are not.
    pub fn index(&self, value: impl AsRef<[u8]>) -> Result<BlindIndex> {
        let keys = self.ring.keys()?;
        self.index_of(&keys, keys.newest(KeyRole::Index)?, value.as_ref())
    }

    /// As [`index`](Self::index), with the index key of this number (`R-27`).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let (email, number) = (ring.field("customers.email")?, ring.ring().document().index_key());
    /// let index = email.index_under(number, "kim@example.com")?;
    /// assert_eq!(index, email.index("kim@example.com")?);
    /// assert!(email.index_under(ring.ring().document().value_key(), "kim@example.com").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and [`ErrorKind::InvalidInput`] if the ring has no such index key.
    pub fn index_under(&self, number: u32, value: impl AsRef<[u8]>) -> Result<BlindIndex> {
        self.index_of(&*self.ring.keys()?, number, value.as_ref())
    }

    /// The indexes of a value with every index key of the ring, newest first: what to look for
    /// while rows are moved to a new index key.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// ring.adopt(&ring.rotate_index()?)?;
    /// let indexes = email.indexes("kim@example.com")?;
    /// assert_eq!((indexes.len(), indexes[0]), (2, email.index("kim@example.com")?));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`index`](Self::index).
    pub fn indexes(&self, value: impl AsRef<[u8]>) -> Result<Vec<BlindIndex>> {
        let (keys, value) = (self.ring.keys()?, value.as_ref());
        let numbers = keys.numbers(KeyRole::Index);
        numbers.map(|number| self.index_of(&keys, number, value)).collect()
    }

    /// Encrypts many values, each with its row, on all cores and into one allocation.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let rows = [("kim@example.com", 17_u64.to_be_bytes()), ("lee@example.com", [0; 8])];
    /// let column = email.encrypt_many(&rows)?;
    /// assert_eq!(*email.decrypt(&column[0], 17_u64.to_be_bytes())?, b"kim@example.com");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt), the first of any value, with its place; nothing is returned
    /// then. [`ErrorKind::InvalidInput`] if a value changes its length during the call.
    pub fn encrypt_many<V, R>(&self, rows: &[(V, R)]) -> Result<Column>
    where
        V: AsRef<[u8]> + Sync,
        R: AsRef<[u8]> + Sync,
    {
        let added = self.mode.added();
        let len = |(at, (value, _)): (usize, &(V, R))| {
            let value = value.as_ref();
            check_len(value).map_err(|error| error.of(place(at)))?;
            Ok(value.len() + added)
        };
        let (column, _) = fill(rows, rows.iter().enumerate().map(len), |mut run| {
            let keys = self.ring.keys()?;
            for (at, (value, row)) in run.items.iter().enumerate() {
                let (value, place) = (value.as_ref(), run.first + at);
                let out = run.out_of(at);
                if value.len() + added != out.len() {
                    return Err(changed(place, "encrypted"));
                }
                self.seal(&keys, value, row.as_ref(), out)?;
            }
            Ok(())
        })?;
        Ok(column)
    }

    /// Decrypts many values, each with its row, on all cores and into one allocation. One that
    /// cannot be decrypted does not stop the others.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let column = email.encrypt_many(&[("kim@example.com", "17"), ("lee@example.com", "18")])?;
    /// let rows: Vec<_> = column.iter().zip(["17", "18"]).collect();
    /// let opened = email.decrypt_many(&rows)?;
    /// opened.check()?;
    /// assert_eq!(opened.get(1)?, b"lee@example.com");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Why the ring's keys are not in memory, if they are not. [`ErrorKind::InvalidInput`] if a
    /// ciphertext changes its length during the call. Each value has its own error in the result,
    /// as [`decrypt`](Self::decrypt).
    pub fn decrypt_many<C, R>(&self, rows: &[(C, R)]) -> Result<SecretColumn>
    where
        C: AsRef<[u8]> + Sync,
        R: AsRef<[u8]> + Sync,
    {
        let body = |parts: &Option<Parts<'_>>| parts.as_ref().map_or(0, |parts| parts.body.len());
        let len = |(ciphertext, _): &(C, R)| Ok(body(&Parts::of(ciphertext.as_ref())));
        let (column, failed) = fill(rows, rows.iter().map(len), |mut run| {
            let keys = self.ring.keys()?;
            let mut failed = Vec::new();
            for (at, (ciphertext, row)) in run.items.iter().enumerate() {
                let (parts, place) = (Parts::of(ciphertext.as_ref()), run.first + at);
                let out = run.out_of(at);
                if body(&parts) != out.len() {
                    return Err(changed(place, "decrypted"));
                }
                let parts = parts.ok_or_else(refused);
                let opened = parts.and_then(|parts| self.open(&keys, &parts, row.as_ref(), out));
                match opened {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::Authentication => failed.push(place),
                    Err(error) => return Err(error),
                }
            }
            Ok(failed)
        })?;
        Ok(SecretColumn { column, failed: failed.concat() })
    }

    /// The blind indexes of many values with the ring's newest index key, on all cores and in one
    /// allocation.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let indexes = email.index_many(&["kim@example.com", "lee@example.com"])?;
    /// assert_eq!(indexes[1], *email.index("lee@example.com")?.as_bytes());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`index`](Self::index).
    pub fn index_many<V: AsRef<[u8]> + Sync>(&self, values: &[V]) -> Result<Column> {
        let lens = values.iter().map(|_| Ok(index::len(self.bits)));
        let (column, _) = fill(values, lens, |run| {
            let keys = self.ring.keys()?;
            let key = keys.of_indexes(&self.name, keys.newest(KeyRole::Index)?, self.bits)?;
            let out = run.out.chunks_exact_mut(index::len(self.bits));
            for (value, out) in run.items.iter().zip(out) {
                index::write(&key, self.bits, value.as_ref(), out);
            }
            Ok(())
        })?;
        Ok(column)
    }

    /// Encrypts into `out`, which has the length of the ciphertext. On failure it has no byte of
    /// the value.
    fn seal(&self, keys: &RingKeys, value: &[u8], row: &[u8], out: &mut [u8]) -> Result<()> {
        let number = keys.newest(KeyRole::Value)?;
        let derived = keys.of_values(&self.name, number, self.mode)?;
        salt::fill(value::salt_of(self.mode, out))?;
        value::seal(derived, self.mode, number, row, value, out)
    }

    /// Decrypts into `out`, which has the length of the value; zeros on failure.
    fn open(&self, keys: &RingKeys, parts: &Parts<'_>, row: &[u8], out: &mut [u8]) -> Result<()> {
        let derived = keys.of_values(&self.name, parts.number, parts.mode);
        derived.and_then(|derived| value::open(derived, parts, row, out))
    }

    fn index_of(&self, keys: &RingKeys, number: u32, value: &[u8]) -> Result<BlindIndex> {
        let key = keys.of_indexes(&self.name, number, self.bits)?;
        Ok(BlindIndex::new(&key, self.bits, value))
    }
}

/// A column of results of these lengths, made by `work` in runs.
fn fill<T: Sync, R: Send>(
    items: &[T],
    lens: impl Iterator<Item = Result<usize>>,
    work: impl Fn(Run<'_, T>) -> Result<R> + Sync,
) -> Result<(Column, Vec<R>)> {
    let ends = many::ends(lens)?;
    let len = ends.last().copied().unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::new());
    memory::reserve(&mut bytes, len).map_err(|_| {
        let text = format!("there is no memory for the {len} bytes of the column");
        Error::new(ErrorKind::LimitExceeded, text)
    })?;
    bytes.resize(len, 0);
    let results = many::in_runs(items, &ends, &mut bytes, work)?;
    Ok((Column { bytes: std::mem::take(&mut *bytes), ends }, results))
}

fn place(at: usize) -> impl fmt::Display {
    format!("value {at} of the column")
}

/// The answer to a value that has another length than when its place was made.
#[cold]
fn changed(at: usize, done: &str) -> Error {
    let text = format!("{} changed its length while the column was {done}", place(at));
    Error::new(ErrorKind::InvalidInput, text)
}

fn check_len(value: &[u8]) -> Result<()> {
    if value.len() <= MAX_VALUE_LEN {
        return Ok(());
    }
    let text = format!(
        "a value of a field has at most {MAX_VALUE_LEN} bytes, this one has {}: encrypt it as a \
         message",
        value.len()
    );
    Err(Error::new(ErrorKind::LimitExceeded, text))
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name.name)
            .field("ring", &self.ring)
            .field("mode", &self.mode)
            .field("index_bits", &self.bits)
            .finish()
    }
}
