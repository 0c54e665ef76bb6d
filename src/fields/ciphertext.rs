//! The parts of a ciphertext, and what its front says (`R-20`, `R-21`).

use super::text;
use crate::crypto::Mac256;
use crate::error::{Error, ErrorKind, Result};

/// The longest value in bytes (`R-16`).
pub(super) const MAX_VALUE_LEN: usize = 65_536;
/// Digits of the longest text form.
pub(super) const MAX_TEXT_LEN: usize = text::len(MAX_VALUE_LEN + FieldMode::Randomized.added());
/// `R-21`
pub(super) const SALT_LEN: usize = 16;
/// Version, mode and key number.
const FRONT_LEN: usize = 6;
const VERSION: u8 = 1;

/// How a value is encrypted (`R-21`).
///
/// ```
/// use ncp_envelope::fields::FieldMode;
/// assert_eq!((FieldMode::Randomized.added(), FieldMode::Deterministic.added()), (54, 38));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldMode {
    /// Equal values have different ciphertexts. 54 bytes are added.
    Randomized,
    /// Equal values of one field, row and value key have equal ciphertexts, which anyone who sees
    /// them can tell. 38 bytes are added.
    Deterministic,
}

impl FieldMode {
    /// The number of bytes that a ciphertext is longer than its value.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldMode;
    /// assert_eq!(FieldMode::Deterministic.added(), 38);
    /// ```
    pub const fn added(self) -> usize {
        FRONT_LEN + Mac256::TAG_LEN + self.salt_len()
    }

    pub(super) const fn salt_len(self) -> usize {
        match self {
            Self::Randomized => SALT_LEN,
            Self::Deterministic => 0,
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Randomized => 1,
            Self::Deterministic => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Randomized, Self::Deterministic].into_iter().find(|mode| mode.code() == code)
    }

    /// Writes version, mode and key number.
    pub(super) fn put_front(self, number: u32, front: &mut [u8]) {
        front[0] = VERSION;
        front[1] = self.code();
        front[2..FRONT_LEN].copy_from_slice(&number.to_be_bytes());
    }
}

/// What the front of a ciphertext says. It is not authenticated: it tells which key a value needs,
/// and is no proof that it is a value.
///
/// ```
/// use ncp_envelope::fields::{FieldCiphertext, FieldMode};
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let ring = envelope.create_ring()?;
/// let ciphertext = ring.field("customers.email")?.encrypt("kim@example.com", "17")?;
/// let says = FieldCiphertext::parse(&ciphertext)?;
/// assert_eq!((says.mode(), says.key_number()), (FieldMode::Randomized, 1));
/// assert_eq!(says.value_len(), 15);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldCiphertext {
    mode: FieldMode,
    key_number: u32,
    value_len: usize,
}

impl FieldCiphertext {
    /// Reads the front of a ciphertext, and compares its length with what the mode needs.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// assert!(FieldCiphertext::parse(b"kim@example.com").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] if it is no ciphertext of this version.
    pub fn parse(ciphertext: &[u8]) -> Result<Self> {
        let parts = Parts::of(ciphertext).ok_or_else(refused)?;
        Ok(Self { mode: parts.mode, key_number: parts.number, value_len: parts.body.len() })
    }

    /// How the value is encrypted.
    ///
    /// ```
    /// # use ncp_envelope::fields::{FieldCiphertext, FieldMode};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let field = ring.field("customers.country")?.with_mode(FieldMode::Deterministic);
    /// let ciphertext = field.encrypt("KR", "")?;
    /// assert_eq!(FieldCiphertext::parse(&ciphertext)?.mode(), FieldMode::Deterministic);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn mode(&self) -> FieldMode {
        self.mode
    }

    /// The number of the value key in its ring.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let ciphertext = ring.field("customers.email")?.encrypt("kim@example.com", "17")?;
    /// let number = FieldCiphertext::parse(&ciphertext)?.key_number();
    /// assert_eq!(number, ring.ring().document().value_key());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_number(&self) -> u32 {
        self.key_number
    }

    /// The length of the value in bytes.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let ring = Envelope::builder(wrapper).build()?.blocking().create_ring()?;
    /// let ciphertext = ring.field("customers.email")?.encrypt("kim@example.com", "17")?;
    /// assert_eq!(FieldCiphertext::parse(&ciphertext)?.value_len(), "kim@example.com".len());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn value_len(&self) -> usize {
        self.value_len
    }

    /// The text form: base64url without padding (`R-24`).
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// assert_eq!(FieldCiphertext::to_text(&[1, 2, 0, 0, 0, 255]), "AQIAAAD_");
    /// ```
    pub fn to_text(ciphertext: &[u8]) -> String {
        text::encode(ciphertext)
    }

    /// As [`to_text`](Self::to_text), behind what `text` has: for many in one buffer.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// let mut line = b"17,".to_vec();
    /// FieldCiphertext::append_text(&[1, 2, 0, 0, 0, 255], &mut line);
    /// assert_eq!(line, b"17,AQIAAAD_");
    /// ```
    pub fn append_text(ciphertext: &[u8], text: &mut Vec<u8>) {
        text::append(ciphertext, text);
    }

    /// The bytes of a text form. There is one spelling of each: padding, line breaks, other
    /// alphabets and unused bits that are not zero are refused.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// assert_eq!(FieldCiphertext::from_text("AQIAAAD_")?, [1, 2, 0, 0, 0, 255]);
    /// assert!(FieldCiphertext::from_text("AQIAAAD/").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`].
    pub fn from_text(text: &str) -> Result<Vec<u8>> {
        text::decode(text).ok_or_else(refused)
    }

    /// As [`from_text`](Self::from_text), behind what `ciphertexts` has: for many in one buffer.
    ///
    /// ```
    /// # use ncp_envelope::fields::FieldCiphertext;
    /// let mut ciphertexts = vec![7];
    /// FieldCiphertext::append_from_text(b"AQIAAAD_", &mut ciphertexts)?;
    /// assert_eq!(ciphertexts, [7, 1, 2, 0, 0, 0, 255]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there; the buffer is as it was then.
    pub fn append_from_text(text: &[u8], ciphertexts: &mut Vec<u8>) -> Result<()> {
        text::append_decoded(text, ciphertexts).ok_or_else(refused)
    }
}

/// The parts of a ciphertext of this version, of a mode that is known and a length that it can
/// have.
pub(super) struct Parts<'c> {
    pub(super) mode: FieldMode,
    pub(super) number: u32,
    pub(super) tag: &'c [u8; Mac256::TAG_LEN],
    pub(super) salt: &'c [u8],
    pub(super) body: &'c [u8],
}

impl<'c> Parts<'c> {
    pub(super) fn of(ciphertext: &'c [u8]) -> Option<Self> {
        let (front, rest) = ciphertext.split_first_chunk::<FRONT_LEN>()?;
        let [version, mode, number @ ..] = *front;
        let mode = FieldMode::from_code(mode).filter(|_| version == VERSION)?;
        let (tag, rest) = rest.split_first_chunk()?;
        let (salt, body) = rest.split_at_checked(mode.salt_len())?;
        let number = u32::from_be_bytes(number);
        (body.len() <= MAX_VALUE_LEN).then_some(Self { mode, number, tag, salt, body })
    }
}

/// The one answer to every fault of a ciphertext (`R-23`).
pub(super) fn refused() -> Error {
    Error::new(
        ErrorKind::Authentication,
        "value is not authentic: it was changed, or its ring, key, field, row or scope is not the \
         one it was encrypted with",
    )
}
