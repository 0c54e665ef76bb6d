//! HMAC-SHA-256 under a key that is used many times (`R-17`, `R-18`, `R-25`).
//!
//! Promises: of a key there are only the two states that it leads to, 72 bytes each with what they
//! count, which are wiped when dropped. A tag costs a copy of them, which is wiped too.
//!
//! By RustCrypto and not by the library that does all else: there a tag copies three contexts of
//! 400 bytes through several calls, which takes about as long as hashing a short value, and leaves
//! more on the stack. This is the only module that knows which library it is.

use crate::stack::wiped;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::ZeroizeOnDrop;

pub(super) const TAG_LEN: usize = 32;
/// A key is padded with zeros to the block of the hash.
const BLOCK_LEN: usize = 64;

/// More than twice what a tag puts on the stack. Less than 2 KiB, from where on writing zeros
/// begins more slowly on many processors.
const USE_LEN: usize = 30 * 64;

pub(super) struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// To be called on a stack that is wiped: the library and this leave copies of `key`.
    pub(super) fn new(key: &[u8; TAG_LEN]) -> Self {
        let mut block = [0; BLOCK_LEN];
        block[..TAG_LEN].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    /// The tag of all parts, one behind the other.
    #[inline]
    pub(super) fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_LEN] {
        wiped::<USE_LEN, _>(|| {
            let mut mac = self.0.clone();
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().into()
        })
    }
}

/// The library's key does it.
impl ZeroizeOnDrop for MacKey {}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac as other;

    //
    #[test]
    fn a_tag_is_what_another_library_gives() {
        let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
        for key in [[0; 32], [7; 32], [255; 32]] {
            let theirs = other::Key::new(other::HMAC_SHA256, &key);
            let ours = MacKey::new(&key);
            for len in (0..200).chain([255, 256, 700]) {
                let all = &bytes[..len];
                let want = other::sign(&theirs, all);
                assert_eq!(ours.tag(&[all]), want.as_ref(), "{len}");
                let (one, two) = all.split_at(len / 3);
                assert_eq!(ours.tag(&[one, b"", two]), want.as_ref(), "{len}");
            }
        }
    }
}
