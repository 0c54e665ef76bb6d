//! HMAC under a key that is used many times, and HKDF-Expand (`F-21`, `R-17`, `R-18`, `R-25`).
//!
//! Promises: of a key there are only the two states that it leads to, with what they count, which
//! are wiped when dropped. A tag costs a copy of them, which is wiped too.
//!
//! By RustCrypto and not by the library that does all else: there a tag copies three contexts of
//! 400 bytes through several calls, which takes about as long as hashing a short value, and leaves
//! more on the stack. Its SHA-512 uses AVX on processors of Intel only.

use crate::stack::{Scratch, wiped};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use zeroize::ZeroizeOnDrop;

macro_rules! mac_key {
    ($name:ident, $hash:ident, tag $tag_len:expr, block $block_len:expr, uses $use_len:expr) => {
        pub(crate) struct $name(Hmac<$hash>);

        impl $name {
            pub(crate) const TAG_LEN: usize = $tag_len;

            /// To be called on a stack that is wiped: the library and this leave copies of `key`.
            pub(crate) fn new(key: &[u8; 32]) -> Self {
                // A key is padded with zeros to the block of the hash.
                let mut block = [0; $block_len];
                block[..key.len()].copy_from_slice(key);
                Self(Hmac::new(&block.into()))
            }

            #[inline]
            fn tag_of<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> [u8; $tag_len] {
                let mut mac = self.0.clone();
                parts.for_each(|part| mac.update(part));
                mac.finalize().into_bytes().into()
            }

            /// HKDF-Expand of RFC 5869, to whole tags. Written out because libraries leave copies
            /// of the key and of what they derive behind, and set the key up each time.
            pub(crate) fn expand<const LEN: usize>(&self, info: &[&[u8]]) -> Scratch<LEN> {
                const { assert!(LEN % $tag_len == 0) }
                wiped::<$use_len, _>(|| {
                    let mut okm = Scratch([0; LEN]);
                    for number in 0..LEN / $tag_len {
                        let (done, rest) = okm.0.split_at_mut(number * $tag_len);
                        let before = &done[done.len().saturating_sub($tag_len)..];
                        let count = [number as u8 + 1];
                        let parts = [before].into_iter().chain(info.iter().copied());
                        let mut tag = Scratch(self.tag_of(parts.chain([&count[..]])));
                        rest[..$tag_len].swap_with_slice(&mut tag.0);
                    }
                    okm
                })
            }
        }

        /// The library's key does it.
        impl ZeroizeOnDrop for $name {}
    };
}

/// More than twice what a tag puts on the stack. Less than 2 KiB, from where on writing zeros
/// begins more slowly on many processors.
const USE_256: usize = 30 * 64;
/// As much more as states and schedules are larger.
const USE_512: usize = 64 * 64;

mac_key!(Mac256, Sha256, tag 32, block 64, uses USE_256);
mac_key!(Mac512, Sha512, tag 64, block 128, uses USE_512);

impl Mac256 {
    /// The tag of all parts, one behind the other.
    #[inline]
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; Self::TAG_LEN] {
        wiped::<USE_256, _>(|| self.tag_of(parts.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{hkdf, hmac as other};

    struct Len(usize);

    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }

    macro_rules! as_another_library {
        ($mac:ident, $hmac:expr, $hkdf:expr) => {
            let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
            for key in [[0; 32], [7; 32], [255; 32]] {
                let (theirs, ours) = (other::Key::new($hmac, &key), $mac::new(&key));
                for len in (0..270).chain([511, 512, 700]) {
                    let all = &bytes[..len];
                    let want = other::sign(&theirs, all);
                    let (one, two) = all.split_at(len / 3);
                    for parts in [vec![all], vec![one, b"", two]] {
                        assert_eq!(ours.tag_of(parts.into_iter()), want.as_ref(), "{len}");
                    }

                    const OKM_LEN: usize = 3 * $mac::TAG_LEN;
                    let (prk, mut wanted) = (hkdf::Prk::new_less_safe($hkdf, &key), [0; OKM_LEN]);
                    prk.expand(&[one, two], Len(OKM_LEN)).unwrap().fill(&mut wanted).unwrap();
                    assert_eq!(ours.expand::<OKM_LEN>(&[one, b"", two]).0, wanted);
                }
            }
        };
    }

    // F-21, R-17, R-18
    #[test]
    fn tags_and_expansions_are_those_of_another_library() {
        as_another_library!(Mac256, other::HMAC_SHA256, hkdf::HKDF_SHA256);
        as_another_library!(Mac512, other::HMAC_SHA512, hkdf::HKDF_SHA512);
    }
}
