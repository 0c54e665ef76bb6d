//! AES-256 in counter mode, for values (`R-19`).

use super::shape::KEY_LEN;
use crate::error::{Error, ErrorKind, Result};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// Bytes of a counter, all of which count.
pub(crate) const COUNTER_LEN: usize = 16;

/// A key of AES-256 in counter mode. The library wipes it.
pub(crate) struct Aes256Ctr(EncryptingKey);

impl Aes256Ctr {
    /// None if the library refuses. Setting it up leaves copies on the stack.
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Option<Self> {
        UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::ctr).ok().map(Self)
    }

    /// Encrypts or decrypts `bytes` in place. On failure they may be partly done.
    pub(crate) fn apply(&self, counter: [u8; COUNTER_LEN], bytes: &mut [u8]) -> Result<()> {
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        let done = self.0.less_safe_encrypt(bytes, context);
        done.map(drop).map_err(|_| Error::new(ErrorKind::Internal, "encrypting failed"))
    }

    /// A key of another mode, which fails, as no other does.
    #[cfg(test)]
    pub(crate) fn failing() -> Self {
        let key = UnboundCipherKey::new(&AES_256, &[6; KEY_LEN]);
        Self(key.and_then(EncryptingKey::ecb).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //
    #[test]
    fn the_counter_carries_over_all_128_bits() {
        let key = [6; KEY_LEN];
        let block_key = UnboundCipherKey::new(&AES_256, &key).and_then(EncryptingKey::ecb).unwrap();
        let counting = Aes256Ctr::new(&key).unwrap();
        for start in [0, 0xffff_fffe, u128::from(u64::MAX) - 1, u128::MAX - 1, u128::MAX] {
            let mut body = [0; 5 * COUNTER_LEN];
            counting.apply(start.to_be_bytes(), &mut body).unwrap();
            for (at, block) in body.chunks(COUNTER_LEN).enumerate() {
                let mut counter = start.wrapping_add(at as u128).to_be_bytes();
                block_key.less_safe_encrypt(&mut counter, EncryptionContext::None).unwrap();
                assert_eq!(block, counter, "{start:x} {at}");
            }
        }
    }
}
