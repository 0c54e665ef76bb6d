//! AES-256-GCM, by whichever library.

use super::aws_lc;
use super::backend::CipherBackend;
#[cfg(feature = "ring")]
use super::ring;
use super::shape::{KEY_LEN, NONCE_LEN, Refused, TAG_LEN};
use crate::error::{Error, ErrorKind, Result};
use zeroize::Zeroize;

/// A key of AES-256-GCM.
pub(crate) struct Aes256Gcm(Key);

enum Key {
    AwsLc(aws_lc::Key),
    #[cfg(feature = "ring")]
    Ring(ring::Key),
}

impl Aes256Gcm {
    pub(crate) fn new(backend: CipherBackend, key: &[u8; KEY_LEN]) -> Result<Self> {
        let key = match backend {
            CipherBackend::AwsLc => aws_lc::Key::new(key).map(Key::AwsLc),
            #[cfg(feature = "ring")]
            CipherBackend::Ring => ring::Key::new(key).map(Key::Ring),
        };
        key.map(Self).ok_or_else(|| Error::new(ErrorKind::Internal, "a key could not be set up"))
    }

    /// Seals `plaintext` into `out`, which is [`TAG_LEN`] bytes longer. On failure `out` is zeros.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        debug_assert_eq!(out.len(), plaintext.len() + TAG_LEN);
        let (ciphertext, tag) = out.split_at_mut(plaintext.len());
        let sealed = match &self.0 {
            Key::AwsLc(key) => key.seal(nonce, aad, plaintext, ciphertext, tag),
            #[cfg(feature = "ring")]
            Key::Ring(key) => key.seal(nonce, aad, plaintext, ciphertext, tag),
        };
        sealed.map_err(|Refused| {
            // Plaintext may be there.
            out.zeroize();
            Error::new(ErrorKind::Internal, "sealing failed")
        })
    }

    /// Opens `sealed` into `out`, which is [`TAG_LEN`] bytes shorter. On failure `out` is zeros.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        debug_assert_eq!(sealed.len(), out.len() + TAG_LEN);
        let (ciphertext, tag) = sealed.split_at(out.len());
        let opened = match &self.0 {
            Key::AwsLc(key) => key.open(nonce, aad, ciphertext, tag, out),
            #[cfg(feature = "ring")]
            Key::Ring(key) => key.open(nonce, aad, ciphertext, tag, out),
        };
        verified(opened, out)
    }

    /// Opens what stands in `buf` from `sealed_at` to its end, into the front of `buf`. The two do
    /// not overlap. On failure the front is zeros.
    pub(crate) fn open_behind(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        buf: &mut [u8],
        sealed_at: usize,
    ) -> Result<()> {
        let len = buf.len() - TAG_LEN - sealed_at;
        debug_assert!(len <= sealed_at);
        let opened = match &self.0 {
            Key::AwsLc(key) => {
                let (out, sealed) = buf.split_at_mut(sealed_at);
                let (ciphertext, tag) = sealed.split_at(len);
                key.open(nonce, aad, ciphertext, tag, &mut out[..len])
            }
            #[cfg(feature = "ring")]
            Key::Ring(key) => key.open_behind(nonce, aad, buf, sealed_at),
        };
        verified(opened, &mut buf[..len])
    }
}

/// Libraries may decrypt before they look at the tag. Today's wipe what they refuse, which they do
/// not promise.
fn verified(opened: std::result::Result<(), Refused>, out: &mut [u8]) -> Result<()> {
    opened.map_err(|Refused| {
        out.zeroize();
        Error::authentication()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Aes256Gcm> {
        CipherBackend::ALL.iter().map(|b| Aes256Gcm::new(*b, &[7; KEY_LEN]).unwrap()).collect()
    }

    #[test]
    fn every_backend_gives_the_same_bytes_and_opens_those_of_the_others() {
        let plaintext: Vec<u8> = (0..40_000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
        // Around blocks, around what is worked on at once by some code, and a chunk.
        let lens = (0..300).chain([511, 512, 513, 3_071, 3_073, 4_097, 16_383, 16_384, 40_000]);
        for len in lens {
            let (plaintext, aad) = (&plaintext[..len], &plaintext[..len % 40]);
            let nonce = [len as u8; NONCE_LEN];
            let seal = |key: &Aes256Gcm| {
                let mut out = vec![1; len + TAG_LEN];
                key.seal(nonce, aad, plaintext, &mut out).unwrap();
                out
            };
            let first = seal(&keys()[0]);
            for key in keys() {
                assert!(seal(&key) == first, "{len}");
                let mut opened = vec![1; len];
                key.open(nonce, aad, &first, &mut opened).unwrap();
                assert!(opened == plaintext, "{len}");
                for between in [0, 1, 16, 1_000] {
                    let mut both = [&vec![1; len + between], &first[..]].concat();
                    key.open_behind(nonce, aad, &mut both, len + between).unwrap();
                    assert!(both[..len] == *plaintext, "{len} {between}");
                }
            }
        }
    }

    // F-27
    #[test]
    fn a_changed_bit_anywhere_is_refused_and_leaves_zeros() {
        for key in keys() {
            let (nonce, aad, mut sealed) = ([3; NONCE_LEN], *b"bound", vec![0; 100 + TAG_LEN]);
            key.seal(nonce, &aad, &[b'x'; 100], &mut sealed).unwrap();
            let refused = |nonce, aad: &[u8], sealed: &[u8]| {
                let mut out = vec![1; sealed.len() - TAG_LEN];
                let error = key.open(nonce, aad, sealed, &mut out).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Authentication);
                assert!(out.iter().all(|byte| *byte == 0));
                let mut both = [&[1; 150], sealed].concat();
                assert!(key.open_behind(nonce, aad, &mut both, 150).is_err());
                assert!(both[..out.len()].iter().all(|byte| *byte == 0));
            };
            for bit in 0..sealed.len() * 8 {
                let mut bad = sealed.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                refused(nonce, &aad, &bad);
            }
            refused([4; NONCE_LEN], &aad, &sealed);
            refused(nonce, b"bounds", &sealed);
            refused(nonce, &aad, &sealed[..sealed.len() - 1]);
            refused(nonce, &aad, &[&sealed[..], b"x"].concat());
        }
    }

    // Also by a library that leaves it to us.
    #[test]
    fn what_is_refused_is_wiped_here() {
        let mut left = [b'x'; 100];
        assert!(verified(Ok(()), &mut left).is_ok());
        assert_eq!(left, [b'x'; 100]);
        assert!(verified(Err(Refused), &mut left).is_err());
        assert_eq!(left, [0; 100]);
    }
}
