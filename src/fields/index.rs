//! Blind indexes (`R-25`, `R-26`).

use crate::crypto::Mac256;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;

const MAX_LEN: usize = 32;
/// Bits of an index unless told otherwise.
pub(super) const DEFAULT_BITS: u16 = 128;

/// A keyed hash of a value, stored beside its ciphertext, so that equal values can be found. Shown
/// as hexadecimal.
///
/// It is not secret from who may see the table, and gives away which values are equal and how often
/// each occurs.
///
/// ```
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
/// let email = ring.field("customers.email")?;
/// let index = email.index("kim@example.com")?;
/// assert_eq!(index, email.index("kim@example.com")?);
/// assert_eq!((index.as_ref().len(), index.to_string().len()), (16, 32));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlindIndex {
    /// Zeros behind the bits of the index.
    bytes: [u8; MAX_LEN],
    len: u8,
}

impl BlindIndex {
    /// The first `bits` bits of the hash of `value`.
    pub(super) fn new(key: &Mac256, bits: u16, value: &[u8]) -> Self {
        let mut index = Self { bytes: [0; MAX_LEN], len: len(bits) as u8 };
        write(key, bits, value, &mut index.bytes[..len(bits)]);
        index
    }

    /// Its bytes.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let index = ring.field("customers.email")?.with_index_bits(12)?.index("kim@example.com")?;
    /// assert_eq!(index.as_bytes().len(), 2);
    /// assert_eq!(index.as_bytes()[1] & 15, 0, "bits that are not of the index");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

/// Bytes of an index.
pub(super) fn len(bits: u16) -> usize {
    usize::from(bits).div_ceil(8)
}

pub(super) fn write(key: &Mac256, bits: u16, value: &[u8], out: &mut [u8]) {
    let hash = key.tag(&[value]);
    out.copy_from_slice(&hash[..out.len()]);
    if let Some(last) = out.last_mut() {
        *last &= 0xff << ((8 - bits % 8) % 8);
    }
}

/// `R-26`
pub(super) fn check_bits(bits: u16) -> Result<u16> {
    if (8..=256).contains(&bits) {
        return Ok(bits);
    }
    let text = format!("a blind index has 8 to 256 bits, not {bits}");
    Err(Error::new(ErrorKind::InvalidInput, text))
}

impl AsRef<[u8]> for BlindIndex {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlindIndex({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R-26
    #[test]
    fn an_index_has_the_first_bits_and_no_others() {
        let key = Mac256::new(&[7; 32]);
        let hash = key.tag(&[b"value"]);
        for bits in 8..=256 {
            let index = BlindIndex::new(&key, bits, b"value");
            assert_eq!(index.as_bytes().len(), len(bits));
            for at in 0..index.as_bytes().len() * 8 {
                let bit = |bytes: &[u8]| bytes[at / 8] >> (7 - at % 8) & 1;
                let want = if at < usize::from(bits) { bit(&hash) } else { 0 };
                assert_eq!(bit(index.as_bytes()), want, "{bits} {at}");
            }
        }
        assert!([0, 7, 257, u16::MAX].into_iter().all(|bits| check_bits(bits).is_err()));
    }
}
