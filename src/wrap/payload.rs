//! The 80 bytes that a key service wraps (`F-28`): the data key, bound to its suite and scope.

use crate::context::Scope;
use crate::error::{Error, Result};
use crate::secret::{DATA_KEY_LEN, DataKey, SecretBytes, equal};
use crate::suite::Suite;
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// Length of the payload this crate wraps, in bytes.
pub const PAYLOAD_LEN: usize = 80;

const LABEL: &[u8; 8] = b"NCPENVK1";

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

    /// The payload for `key`, usable with `suite` and within `scope` only.
    pub(crate) fn encode(key: &DataKey, suite: Suite, scope: &Scope) -> Self {
        let mut bytes: Box<[u8]> = Box::new([0; PAYLOAD_LEN]);
        fill_frame(&mut bytes[..48], suite, scope);
        bytes[48..].copy_from_slice(key.expose_secret());
        Self::from_boxed(bytes)
    }

    /// The data key, if this is a payload for `suite` and `scope`.
    ///
    /// One error for all mismatches, the same as for a message that is not authentic, and one
    /// comparison, so that an attacker who swaps wrapped keys does not learn which part differs
    /// (`F-28`).
    pub(crate) fn decode(&self, suite: Suite, scope: &Scope) -> Result<DataKey> {
        let mut frame = [0; 48];
        fill_frame(&mut frame, suite, scope);
        let Some((head, tail)) = self.expose_secret().split_at_checked(48) else {
            return Err(Error::authentication());
        };
        let key: &[u8; DATA_KEY_LEN] = tail.try_into().map_err(|_| Error::authentication())?;
        if !equal(head, &frame) {
            return Err(Error::authentication());
        }
        Ok(DataKey::copy_from(key))
    }
}

fn fill_frame(frame: &mut [u8], suite: Suite, scope: &Scope) {
    frame[..8].copy_from_slice(LABEL);
    frame[8..10].copy_from_slice(&suite.code().to_be_bytes());
    frame[10..16].fill(0);
    frame[16..48].copy_from_slice(scope.hash());
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
        let payload = KeyPayload::encode(&key, Suite::Cobblestone256, &scope);
        assert_eq!(payload.expose_secret().len(), PAYLOAD_LEN);
        assert_eq!(
            payload.decode(Suite::Cobblestone256, &scope).unwrap().expose_secret(),
            key.expose_secret()
        );
        for bit in 0..48 * 8 {
            let mut bytes: Box<[u8]> = payload.expose_secret().into();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                KeyPayload::from_boxed(bytes)
                    .decode(Suite::Cobblestone256, &scope)
                    .unwrap_err()
                    .kind(),
                ErrorKind::Authentication
            );
        }
    }

    #[test]
    fn other_scope_suite_or_length_is_refused() {
        let (key, scope) = (DataKey::generate().unwrap(), Scope::new("tenant"));
        let payload = KeyPayload::encode(&key, Suite::Cobblestone256, &scope);
        assert!(payload.decode(Suite::Unknown, &scope).is_err());
        assert!(payload.decode(Suite::Cobblestone256, &Scope::default()).is_err());
        for len in [0, 32, 47, 48, 79] {
            assert!(
                KeyPayload::copy_from(&payload.expose_secret()[..len])
                    .decode(Suite::Cobblestone256, &scope)
                    .is_err()
            );
        }
        let longer = [payload.expose_secret(), &[0]].concat();
        assert!(KeyPayload::copy_from(&longer).decode(Suite::Cobblestone256, &scope).is_err());
    }
}
