//! AES-256-GCM of ring: code for processors with vector AES (VAES) and no AVX-512, which aws-lc-rs
//! has none for.
//!
//! When it has, this file, its feature and its variant of [`CipherBackend`](super::CipherBackend)
//! are all there is to delete; `docs/design.md` says how to tell.

use super::shape::{KEY_LEN, NONCE_LEN, Refused, TAG_LEN};
use crate::memory::Wiped;
use crate::stack::wiped;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;

/// More than setting up a key puts on the stack, where it is moved several times.
const SET_UP_LEN: usize = 8 << 10;

/// The library wipes no key.
pub(super) struct Key(Wiped<LessSafeKey>);

impl Key {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> Option<Self> {
        let set_up = || {
            let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
            Some(Wiped::new(LessSafeKey::new(key)))
        };
        wiped::<SET_UP_LEN, _>(set_up).map(Self)
    }

    // The library works in place. The copy is of what is read in any case, and lies in the first
    // cache when it is sealed.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Refused> {
        ciphertext.copy_from_slice(plaintext);
        let (nonce, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(aad));
        let sealed = self.0.seal_in_place_separate_tag(nonce, aad, ciphertext);
        tag.copy_from_slice(sealed.map_err(|Unspecified| Refused)?.as_ref());
        Ok(())
    }

    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        out: &mut [u8],
    ) -> Result<(), Refused> {
        let tag = <[u8; TAG_LEN]>::try_from(tag).map_err(|_| Refused)?.into();
        out.copy_from_slice(ciphertext);
        let (nonce, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(aad));
        let opened = self.0.open_in_place_separate_tag(nonce, aad, tag, out, 0..);
        opened.map(drop).map_err(|Unspecified| Refused)
    }
    /// The library writes elsewhere than it reads, if that is in front in one slice.
    pub(super) fn open_behind(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        buf: &mut [u8],
        sealed_at: usize,
    ) -> Result<(), Refused> {
        let (nonce, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(aad));
        let opened = self.0.open_within(nonce, aad, buf, sealed_at..);
        opened.map(drop).map_err(|Unspecified| Refused)
    }
}
