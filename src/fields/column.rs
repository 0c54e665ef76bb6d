//! Many values in one allocation.

use super::ciphertext::refused;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use zeroize::Zeroize;

/// Many ciphertexts or indexes, one behind the other in a single allocation.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
/// let email = ring.field("customers.email")?;
/// let column = email.encrypt_many(&[("kim@example.com", "17"), ("lee@example.com", "18")])?;
/// assert_eq!(column.len(), 2);
/// assert_eq!(*email.decrypt(&column[1], "18")?, b"lee@example.com");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Column {
    pub(super) bytes: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
}

/// Many decrypted values, one behind the other in a single allocation, which is wiped when dropped.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
/// let email = ring.field("customers.email")?;
/// let column = email.encrypt_many(&[("kim@example.com", "17"), ("lee@example.com", "18")])?;
/// let rows = ["17", "of another row"];
/// let opened = email.decrypt_many(&column.iter().zip(rows).collect::<Vec<_>>())?;
/// assert_eq!(opened.get(0)?, b"kim@example.com");
/// assert!(opened.get(1).is_err());
/// assert_eq!(opened.failed(), [1]);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct SecretColumn {
    pub(super) column: Column,
    /// In ascending order.
    pub(super) failed: Vec<usize>,
}

impl Column {
    /// The number of values.
    ///
    /// ```
    /// assert_eq!(ncp_envelope::fields::Column::default().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// assert!(ncp_envelope::fields::Column::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value at this place, from 0.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let column = ring.field("customers.email")?.index_many(&["kim@example.com"])?;
    /// assert_eq!(column.get(0).map(<[u8]>::len), Some(16));
    /// assert_eq!(column.get(1), None);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..*self.ends.get(at)?)
    }

    /// The values in their order.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let column = ring.field("customers.email")?.index_many(&["a@b.c", "d@e.f", "a@b.c"])?;
    /// let indexes: Vec<_> = column.iter().collect();
    /// assert!(indexes[0] == indexes[2] && indexes[0] != indexes[1]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|at| &self[at])
    }

    /// All values, one behind the other.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let column = ring.field("customers.email")?.index_many(&["a@b.c", "d@e.f"])?;
    /// assert_eq!(column.as_bytes(), column.iter().collect::<Vec<_>>().concat());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each value ends in [`as_bytes`](Self::as_bytes).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let column = ring.field("customers.email")?.index_many(&["a@b.c", "d@e.f"])?;
    /// assert_eq!(column.ends(), [16, 32]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }
}

/// Panics as a slice does if there is no value at this place.
impl std::ops::Index<usize> for Column {
    type Output = [u8];

    fn index(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column({} values, {} bytes)", self.len(), self.bytes.len())
    }
}

impl SecretColumn {
    /// The number of values, with those that could not be decrypted.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let opened = ring.field("customers.email")?.decrypt_many(&[("no ciphertext", "17")])?;
    /// assert_eq!(opened.len(), 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.column.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let nothing: [(&str, &str); 0] = [];
    /// assert!(ring.field("customers.email")?.decrypt_many(&nothing)?.is_empty());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.column.is_empty()
    }

    /// The value at this place, from 0.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let opened = email.decrypt_many(&[(email.encrypt("kim@example.com", "17")?, "17")])?;
    /// assert_eq!(opened.get(0)?, b"kim@example.com");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] if it could not be decrypted; [`ErrorKind::InvalidInput`] if
    /// there is none at this place.
    pub fn get(&self, at: usize) -> Result<&[u8]> {
        if self.failed.binary_search(&at).is_ok() {
            return Err(refused());
        }
        let none = || {
            let text = format!("there is no value {at}: the column has {}", self.len());
            Error::new(ErrorKind::InvalidInput, text)
        };
        self.column.get(at).ok_or_else(none)
    }

    /// The places of values that could not be decrypted, in ascending order.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let good = email.encrypt("kim@example.com", "17")?;
    /// let opened = email.decrypt_many(&[(&good, "16"), (&good, "17"), (&good, "18")])?;
    /// assert_eq!(opened.failed(), [0, 2]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn failed(&self) -> &[usize] {
        &self.failed
    }

    /// Whether all values could be decrypted.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let email = ring.field("customers.email")?;
    /// let good = email.encrypt("kim@example.com", "17")?;
    /// email.decrypt_many(&[(&good, "17")])?.check()?;
    /// let error = email.decrypt_many(&[(&good, "17"), (&good, "18")])?.check().unwrap_err();
    /// assert!(error.to_string().starts_with("value 1 of the column: "));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`], with the place of the first that could not.
    pub fn check(&self) -> Result<()> {
        match self.failed.first() {
            Some(at) => Err(refused().of(format_args!("value {at} of the column"))),
            None => Ok(()),
        }
    }
}

impl Drop for SecretColumn {
    fn drop(&mut self) {
        self.column.bytes.zeroize();
    }
}

impl fmt::Debug for SecretColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretColumn({} values, {} failed)", self.len(), self.failed.len())
    }
}
