//! A ciphertext as its text form.

use super::ciphertext::FieldCiphertext;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A ciphertext that is shown, read and serialised (feature `serde`) in its
/// [text form](FieldCiphertext::to_text): for structs that go through JSON.
///
/// Reading checks the spelling (`R-24`) and nothing else: whether it is authentic is for
/// [`Field::decrypt`](super::Field::decrypt) to say.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, fields::FieldText};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Customer {
///     id: u64,
///     email: FieldText,
/// }
/// let email = ring.field("customers.email")?;
/// let kim = Customer { id: 17, email: email.encrypt("kim@example.com", "17")?.into() };
/// let read: Customer = serde_json::from_str(&serde_json::to_string(&kim)?)?;
/// assert_eq!(*email.decrypt(&read.email, read.id.to_string())?, b"kim@example.com");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldText(Vec<u8>);

impl From<Vec<u8>> for FieldText {
    fn from(ciphertext: Vec<u8>) -> Self {
        Self(ciphertext)
    }
}

impl From<FieldText> for Vec<u8> {
    fn from(text: FieldText) -> Self {
        text.0
    }
}

impl AsRef<[u8]> for FieldText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// As [`FieldCiphertext::from_text`].
impl FromStr for FieldText {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        FieldCiphertext::from_text(text).map(Self)
    }
}

impl fmt::Display for FieldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&FieldCiphertext::to_text(&self.0))
    }
}

impl fmt::Debug for FieldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldText({self})")
    }
}
