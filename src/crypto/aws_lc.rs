//! AES-256-GCM of aws-lc-rs: the default, and the only one there is a FIPS build of.

use super::shape::{KEY_LEN, NONCE_LEN, Refused};
use crate::stack::wiped;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

/// More than setting up a key puts on the stack.
const SET_UP_LEN: usize = 1 << 10;

/// The library keeps it on the heap, and wipes it.
pub(super) struct Key(LessSafeKey);

impl Key {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> Option<Self> {
        let set_up = || UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new);
        // A pointer, and no more unused bytes than the tag of an enum leaves.
        wiped::<SET_UP_LEN, _>(set_up).ok().map(Self)
    }

    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Refused> {
        let (nonce, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(aad));
        let sealed = self.0.seal_out_of_place_scatter(nonce, aad, plaintext, ciphertext, &[], tag);
        sealed.map_err(|Unspecified| Refused)
    }

    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        out: &mut [u8],
    ) -> Result<(), Refused> {
        let (nonce, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(aad));
        let opened = self.0.open_separate_gather(nonce, aad, ciphertext, tag, out);
        opened.map_err(|Unspecified| Refused)
    }
}
