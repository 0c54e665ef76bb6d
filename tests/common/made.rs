//! Messages of any length that take no memory: their bytes are generated when they are read. Sealed
//! by the rules of docs/format.md and not by the crate, so that readers are tested against the
//! page.

#![allow(dead_code, unreachable_pub)]

use crate::common::{sample, slots};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf};
use ncp_envelope::format::{BoundHeader, CHUNK_LEN, Encryptor, Header, Layout, SEALED_CHUNK_LEN};
use ncp_envelope::io::ReadAt;
use ncp_envelope::{DataKey, EncryptionContext};
use std::io;
use std::ops::Range;

const CHUNK: u64 = CHUNK_LEN as u64;
const SEALED: u64 = SEALED_CHUNK_LEN as u64;

/// The `len` bytes at `offset` of the plaintext of all of them.
pub fn content(offset: u64, len: u64) -> Vec<u8> {
    let word = |number: u64| {
        let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x4E43_5045);
        x ^= x >> 29;
        x.wrapping_mul(0xBF58_476D_1CE4_E5B9).to_be_bytes()
    };
    let (first, last) = (offset / 8, (offset + len).div_ceil(8));
    let mut bytes: Vec<u8> = (first..last).flat_map(word).collect();
    bytes.drain(..(offset % 8) as usize);
    bytes.truncate(len as usize);
    bytes
}

/// A message of [`content`].
pub struct Made {
    /// Header and preamble.
    front: Vec<u8>,
    /// Where the body begins.
    pub body: u64,
    pub len: u64,
    key: LessSafeKey,
    base_nonce: [u8; 12],
}

struct OkmLen;

impl hkdf::KeyType for OkmLen {
    fn len(&self) -> usize {
        76
    }
}

impl Made {
    /// Of `len` bytes, for the envelope of the other tests.
    pub fn new(layout: impl Into<Layout>, len: u64) -> Self {
        let key = DataKey::copy_from(sample(32).as_slice().try_into().unwrap());
        let slots = slots(&key, 1);
        let context = EncryptionContext::new().with("kind", "made").unwrap();
        let bound = BoundHeader::new(layout.into(), &context, false, &slots).unwrap();
        let encryptor = Encryptor::new(&key, &bound, &slots, b"").unwrap();
        Self::behind(encryptor.front().to_vec(), &key, len)
    }

    /// Of `len` bytes, behind the header and preamble of another message under `key`.
    pub fn behind(front: Vec<u8>, key: &DataKey, len: u64) -> Self {
        let header = Header::decode(&front).unwrap();
        let (region_a, body) = (header.bound().as_bytes(), header.bound().body_offset());
        // F-20
        let parts: [&[u8]; 4] = [
            b"ncp-envelope v1\0",
            &(region_a.len() as u64).to_be_bytes(),
            region_a,
            &0_u64.to_be_bytes(),
        ];
        let context = digest::digest(&digest::SHA256, &parts.concat());
        // F-21
        let info: [&[u8]; 3] = [
            b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0",
            &front[body..body + 24],
            context.as_ref(),
        ];
        let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, key.expose_secret());
        let mut okm = [0; 76];
        prk.expand(&info, OkmLen).unwrap().fill(&mut okm).unwrap();
        assert!(front[body + 24..body + 56] == okm[44..], "F-22: the commitment is another");
        Self {
            body: body as u64,
            len,
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &okm[..32]).unwrap()),
            base_nonce: okm[32..44].try_into().unwrap(),
            front: front[..body + 56].to_vec(),
        }
    }

    /// The length of the message.
    pub fn message_len(&self) -> u64 {
        self.front.len() as u64 + self.len + (self.len / CHUNK + 1) * 16
    }

    /// Where chunk `number` is in the message.
    pub fn chunk_at(&self, number: u64) -> Range<u64> {
        let start = self.front.len() as u64 + number * SEALED;
        start..(start + SEALED).min(self.message_len())
    }

    /// Chunk `number`, sealed (F-23, F-24).
    pub fn chunk(&self, number: u64) -> Vec<u8> {
        let offset = number * CHUNK;
        let mut bytes = content(offset, CHUNK.min(self.len - offset));
        let mut nonce = self.base_nonce;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(a, b)| *a ^= b);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).unwrap();
        bytes
    }

    /// All bytes of a short message.
    pub fn message(&self) -> Vec<u8> {
        let chunks = (0..=self.len / CHUNK).map(|number| self.chunk(number));
        [self.front.clone()].into_iter().chain(chunks).flatten().collect()
    }

    /// Header and preamble.
    pub fn front(&self) -> &[u8] {
        &self.front
    }
}

impl ReadAt for Made {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(within) = offset.checked_sub(self.front.len() as u64) else {
            return self.front.read_at(buf, offset);
        };
        if offset >= self.message_len() || buf.is_empty() {
            return Ok(0);
        }
        self.chunk(within / SEALED).read_at(buf, within % SEALED)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.message_len())
    }
}
