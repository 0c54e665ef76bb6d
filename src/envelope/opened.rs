//! What decryption gives.

use crate::context::EncryptionContext;
use crate::error::Result;
use crate::secret;
use std::fmt;
use std::ops::Deref;
use zeroize::Zeroizing;

/// A message that was decrypted: all of it is authentic, plaintext and context.
///
/// It can be used as the slice of its plaintext. Dropping it wipes the plaintext; its `Debug` shows
/// how long it is.
///
/// ```
/// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt("hello", [("author", "kim")])?;
///
/// let opened = envelope.decrypt(&message, DecryptPolicy::new())?;
/// assert_eq!(opened, "hello");
/// assert_eq!(opened.len(), 5);
/// assert_eq!(*opened.plaintext, b"hello");
/// assert_eq!(opened.context.get("author"), Some("kim"));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[non_exhaustive]
pub struct Opened {
    /// What was encrypted.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The pairs that it was encrypted with.
    pub context: EncryptionContext,
}

impl Opened {
    pub(super) fn new(plaintext: Zeroizing<Vec<u8>>, context: EncryptionContext) -> Self {
        Self { plaintext, context }
    }

    /// The plaintext as text, in the memory that it is in: no copy that nobody wipes.
    ///
    /// ```
    /// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("author", "kim")])?;
    /// let text = envelope.decrypt(&message, DecryptPolicy::new())?.into_string()?;
    /// assert_eq!(*text, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if it is not UTF-8; it is wiped.
    pub fn into_string(self) -> Result<Zeroizing<String>> {
        secret::into_string(self.plaintext)
    }
}

impl Deref for Opened {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.plaintext
    }
}

impl AsRef<[u8]> for Opened {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Compares the plaintext, in a time that depends on what it is.
impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Opened {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl From<Opened> for Zeroizing<Vec<u8>> {
    fn from(opened: Opened) -> Self {
        opened.plaintext
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("plaintext_len", &self.plaintext.len())
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
