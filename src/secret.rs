//! Data keys: boxed, wiped when dropped, never printed, never copied by accident.
//!
//! A [`DataKey`] lives in one heap allocation from birth to death; moving it moves a pointer, so no
//! stack copy of the key is left behind. It has no `Clone`, and its `Debug` shows no byte.

use crate::crypto::Mac512;
use crate::error::{Error, ErrorKind, Result};
use crate::stack::{DEEP, wiped};
use once_cell::race::OnceBox;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of a data key in bytes.
pub const DATA_KEY_LEN: usize = 32;

/// A data-encryption key (DEK): the 32 bytes from which each message's own key is derived.
///
/// ```
/// let key = ncp_envelope::DataKey::generate()?;
/// assert_eq!(format!("{key:?}"), "DataKey(..)");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct DataKey {
    bytes: Box<[u8; DATA_KEY_LEN]>,
    // Boxed like the key, and wiped when dropped. Setting it up costs much of what a small message
    // does.
    /// Nobody waits for it: in a forked child the thread that was setting it up may not exist.
    expander: OnceBox<Mac512>,
}

impl DataKey {
    fn zeros() -> Self {
        Self { bytes: Box::new([0; DATA_KEY_LEN]), expander: OnceBox::new() }
    }

    /// A new data key from the system's cryptographic random source.
    ///
    /// ```
    /// use ncp_envelope::DataKey;
    /// let (a, b) = (DataKey::generate()?, DataKey::generate()?);
    /// assert_ne!(a.expose_secret(), b.expose_secret());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the random source fails.
    pub fn generate() -> Result<Self> {
        let mut key = Self::zeros();
        random(&mut key.bytes[..])?;
        Ok(key)
    }

    /// Copies a data key from memory the caller owns and has to wipe.
    ///
    /// ```
    /// use ncp_envelope::DataKey;
    /// use zeroize::Zeroizing;
    /// let from_a_safe = Zeroizing::new([7; 32]);
    /// assert_eq!(DataKey::copy_from(&from_a_safe).expose_secret(), &[7; 32]);
    /// ```
    pub fn copy_from(bytes: &[u8; DATA_KEY_LEN]) -> Self {
        let mut key = Self::zeros();
        key.bytes.copy_from_slice(bytes);
        key
    }

    /// The key itself. Anyone who copies these bytes has to wipe the copy.
    ///
    /// ```
    /// let key = ncp_envelope::DataKey::generate()?;
    /// assert_eq!(key.expose_secret().len(), ncp_envelope::DATA_KEY_LEN);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn expose_secret(&self) -> &[u8; DATA_KEY_LEN] {
        &self.bytes
    }

    /// HMAC-SHA-512 keyed with this key, set up at first use and kept as long as the key.
    pub(crate) fn expander(&self) -> &Mac512 {
        let set_up = || Box::new(Mac512::new(&self.bytes));
        self.expander.get_or_init(|| wiped::<DEEP, _>(set_up))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for DataKey {}

/// Secret bytes of any length: a plaintext, a key. Boxed, wiped when dropped, not printed.
///
/// ```
/// use ncp_envelope::SecretBytes;
/// let secret = SecretBytes::copy_from(b"hunter2");
/// assert_eq!(format!("{secret:?}"), "SecretBytes(7 bytes)");
/// ```
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// Takes over bytes without copying them.
    ///
    /// ```
    /// use ncp_envelope::SecretBytes;
    /// let secret = SecretBytes::from_boxed(Box::new(*b"hunter2"));
    /// assert_eq!(secret.expose_secret(), b"hunter2");
    /// ```
    pub fn from_boxed(bytes: Box<[u8]>) -> Self {
        Self(bytes)
    }

    /// Copies bytes that the caller owns and has to wipe.
    ///
    /// ```
    /// use ncp_envelope::SecretBytes;
    /// use zeroize::Zeroizing;
    /// let typed = Zeroizing::new(*b"hunter2");
    /// assert_eq!(SecretBytes::copy_from(&*typed).expose_secret(), b"hunter2");
    /// ```
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes. Anyone who copies them has to wipe the copy.
    ///
    /// ```
    /// use ncp_envelope::SecretBytes;
    /// assert_eq!(SecretBytes::copy_from(b"hunter2").expose_secret(), b"hunter2");
    /// ```
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretBytes {}

/// Text from bytes that are wiped when dropped, without a copy: the same memory, wiped as before.
///
/// ```
/// use ncp_envelope::into_string;
/// use zeroize::Zeroizing;
/// let text: Zeroizing<String> = into_string(Zeroizing::new(b"hello".to_vec()))?;
/// assert_eq!(*text, "hello");
/// assert!(into_string(Zeroizing::new(vec![0xff])).is_err());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the bytes are not UTF-8; they are wiped.
pub fn into_string(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        // The bytes lie in the error, which wipes nothing.
        drop(Zeroizing::new(error.into_bytes()));
        Error::new(
            ErrorKind::InvalidInput,
            format!("plaintext is not text: byte {at} is not UTF-8: use it as bytes"),
        )
    })
}

/// Wipes `out` if it has to move to have `len` bytes: where it moves from, it would be left behind.
pub(crate) fn wipe_if_it_moves(out: &mut Vec<u8>, len: usize) {
    // To wipe an empty vector takes 0.1 us on some processors: what writes no zeros to an address
    // that is none is a fault to be suppressed.
    if (1..len).contains(&out.capacity()) {
        out.zeroize();
    }
}

/// Fills `out` from the operating system's cryptographic random source.
///
/// Not from the generator of aws-lc-rs: that one keeps its state in the process, gathers entropy
/// for 30 ms before it gives the first byte, which is most of what a program spends that encrypts
/// one small file, and is no faster afterwards.
pub(crate) fn random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the system's random source failed: {error}"))
    })
}

/// Compares in a time that depends on the lengths only.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_are_not_printed() {
        let (a, b) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
        assert_ne!(a.expose_secret(), b.expose_secret());
        assert_eq!(format!("{a:?}"), "DataKey(..)");
        assert!(equal(a.expose_secret(), DataKey::copy_from(a.expose_secret()).expose_secret()));
    }
}
