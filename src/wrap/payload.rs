//! The 80 bytes that a key service wraps (`F-28`): a key, bound to its use.

use crate::context::Scope;
use crate::error::{Error, Result};
use crate::secret::{DATA_KEY_LEN, DataKey, SecretBytes, equal};
use crate::suite::Suite;
use aws_lc_rs::digest;
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// Length of the payload this crate wraps, in bytes.
pub const PAYLOAD_LEN: usize = 80;

const LABEL: &[u8; 8] = b"NCPENVK1";
const FRAME_LEN: usize = 48;
/// In place of a suite, for keys of a ring (`R-9`): no message has it.
const RING_SUITE: u16 = 0x0101;

/// What a wrapped key may be used for: the bytes that are wrapped in front of it (`F-28`, `R-9`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    frame: [u8; FRAME_LEN],
}

impl Binding {
    /// For messages of this suite and scope.
    pub(crate) fn message(suite: Suite, scope: &Scope) -> Self {
        Self::new(suite.code(), scope.hash())
    }

    /// For the entry with this number and role of the key ring `id` (`R-10`).
    pub(crate) fn ring(scope: &Scope, id: &[u8; 16], number: u32, role: u8) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"ncp-envelope ring v1\0");
        hash.update(&(scope.name().len() as u64).to_be_bytes());
        for part in [scope.name(), id, &number.to_be_bytes(), &[role]] {
            hash.update(part);
        }
        let mut bound = [0; 32];
        bound.copy_from_slice(hash.finish().as_ref());
        Self::new(RING_SUITE, &bound)
    }

    fn new(suite: u16, bound: &[u8; 32]) -> Self {
        let mut frame = [0; FRAME_LEN];
        frame[..8].copy_from_slice(LABEL);
        frame[8..10].copy_from_slice(&suite.to_be_bytes());
        frame[16..].copy_from_slice(bound);
        Self { frame }
    }

    /// The bytes in front of the key.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.frame
    }
}

/// Secret bytes to be wrapped, or as unwrapped by a key service. Boxed, wiped when dropped, not
/// printed.
///
/// Unwrapped bytes can have any length. The crate checks whether they are a valid payload; the
/// wrapper does not.
///
/// ```
/// use ncp_envelope::wrap::KeyPayload;
///
/// let payload = KeyPayload::copy_from(b"80 secret bytes");
/// assert_eq!(format!("{payload:?}"), "KeyPayload(15 bytes)");
/// ```
pub struct KeyPayload(SecretBytes);

impl KeyPayload {
    /// Takes ownership of unwrapped bytes, without copying them.
    ///
    /// ```
    /// # use ncp_envelope::wrap::KeyPayload;
    /// let unwrapped: Box<[u8]> = Box::new([7; 80]);
    /// assert_eq!(KeyPayload::from_boxed(unwrapped).expose_secret(), [7; 80]);
    /// ```
    pub fn from_boxed(bytes: Box<[u8]>) -> Self {
        Self(SecretBytes::from_boxed(bytes))
    }

    /// Copies bytes. The caller must wipe the original.
    ///
    /// ```
    /// use ncp_envelope::wrap::KeyPayload;
    /// use zeroize::Zeroizing;
    ///
    /// let unwrapped = Zeroizing::new([7; 80]);
    /// assert_eq!(KeyPayload::copy_from(&*unwrapped).expose_secret(), *unwrapped);
    /// ```
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self(SecretBytes::copy_from(bytes))
    }

    /// The secret bytes. The caller must wipe any copy.
    ///
    /// ```
    /// # use ncp_envelope::wrap::KeyPayload;
    /// assert_eq!(KeyPayload::copy_from(b"secret").expose_secret(), b"secret");
    /// ```
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The payload for `key`, for this use only.
    pub(crate) fn encode(key: &DataKey, binding: &Binding) -> Self {
        let mut bytes: Box<[u8]> = Box::new([0; PAYLOAD_LEN]);
        bytes[..FRAME_LEN].copy_from_slice(&binding.frame);
        bytes[FRAME_LEN..].copy_from_slice(key.expose_secret());
        Self::from_boxed(bytes)
    }

    /// The key, if this is a payload for this use.
    ///
    /// One error for all mismatches, the same as for a message that is not authentic, and one
    /// comparison, so that an attacker who swaps wrapped keys does not learn which part differs
    /// (`F-28`).
    pub(crate) fn decode(&self, binding: &Binding) -> Result<DataKey> {
        let Some((head, tail)) = self.expose_secret().split_at_checked(FRAME_LEN) else {
            return Err(Error::authentication());
        };
        let key: &[u8; DATA_KEY_LEN] = tail.try_into().map_err(|_| Error::authentication())?;
        if !equal(head, &binding.frame) {
            return Err(Error::authentication());
        }
        Ok(DataKey::copy_from(key))
    }
}

impl fmt::Debug for KeyPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPayload({} bytes)", self.expose_secret().len())
    }
}

impl From<SecretBytes> for KeyPayload {
    fn from(bytes: SecretBytes) -> Self {
        Self(bytes)
    }
}

impl ZeroizeOnDrop for KeyPayload {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_flipped_bit_before_the_key_is_refused() {
        let (key, scope) = (DataKey::generate().unwrap(), Scope::new("tenant"));
        let binding = Binding::message(Suite::Cobblestone256, &scope);
        let payload = KeyPayload::encode(&key, &binding);
        assert_eq!(payload.expose_secret().len(), PAYLOAD_LEN);
        assert_eq!(payload.decode(&binding).unwrap().expose_secret(), key.expose_secret());
        for bit in 0..48 * 8 {
            let mut bytes: Box<[u8]> = payload.expose_secret().into();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                KeyPayload::from_boxed(bytes).decode(&binding).unwrap_err().kind(),
                ErrorKind::Authentication
            );
        }
    }

    #[test]
    fn other_scope_suite_or_length_is_refused() {
        let (key, scope) = (DataKey::generate().unwrap(), Scope::new("tenant"));
        let binding = Binding::message(Suite::Cobblestone256, &scope);
        let payload = KeyPayload::encode(&key, &binding);
        assert!(payload.decode(&Binding::message(Suite::Unknown, &scope)).is_err());
        assert!(
            payload.decode(&Binding::message(Suite::Cobblestone256, &Scope::default())).is_err()
        );
        for len in [0, 32, 47, 48, 79] {
            assert!(
                KeyPayload::copy_from(&payload.expose_secret()[..len]).decode(&binding).is_err()
            );
        }
        let longer = [payload.expose_secret(), &[0]].concat();
        assert!(KeyPayload::copy_from(&longer).decode(&binding).is_err());
    }
}
