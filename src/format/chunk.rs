//! One chunk: AES-256-GCM with a counter nonce (`F-23`).

use crate::crypto::{Aes256Gcm, NONCE_LEN};
use crate::error::{Error, ErrorKind, Result};

/// Plaintext bytes of every chunk but the last (`F-24`).
pub const CHUNK_LEN: usize = 16_384;
/// Bytes a chunk's tag takes.
pub const TAG_LEN: usize = 16;
/// Bytes of every sealed chunk but the last.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Chunks a message has at most (`F-26`).
pub(super) const MAX_CHUNKS: u64 = 1 << 32;

/// The key and base nonce of one message. Sealing is private to the two encryptors: a nonce is a
/// chunk's number, so a number must be sealed once only.
pub(super) struct ChunkCipher {
    key: Aes256Gcm,
    base_nonce: [u8; NONCE_LEN],
}

impl ChunkCipher {
    pub(super) fn new(key: Aes256Gcm, base_nonce: [u8; NONCE_LEN]) -> Self {
        Self { key, base_nonce }
    }

    fn nonce(&self, index: u64) -> Result<[u8; NONCE_LEN]> {
        if index >= MAX_CHUNKS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                "a message holds at most 2^32 chunks (64 TiB)",
            ));
        }
        let mut nonce = self.base_nonce;
        for (byte, count) in nonce[NONCE_LEN - 8..].iter_mut().zip(index.to_be_bytes()) {
            *byte ^= count;
        }
        Ok(nonce)
    }

    /// Seals chunk `index` into `out`, which is exactly 16 bytes longer than `plaintext`.
    pub(super) fn seal(&self, index: u64, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        self.key.seal(self.nonce(index)?, b"", plaintext, out)
    }

    /// Opens chunk `index` into `out`, which is exactly 16 bytes shorter than `sealed`. On failure
    /// `out` is zeros (`F-27`).
    pub(super) fn open(&self, index: u64, sealed: &[u8], out: &mut [u8]) -> Result<()> {
        self.key.open(self.nonce(index)?, b"", sealed, out)
    }

    /// As [`open`](Self::open), with both in one slice: from the bytes at `sealed_at` and behind to
    /// the front, which do not overlap.
    pub(super) fn open_behind(&self, index: u64, buf: &mut [u8], sealed_at: usize) -> Result<()> {
        self.key.open_behind(self.nonce(index)?, b"", buf, sealed_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::CipherBackend;

    fn cipher() -> ChunkCipher {
        let key = Aes256Gcm::new(CipherBackend::AwsLc, &[7; 32]).unwrap();
        ChunkCipher::new(key, [0xFF; 12])
    }

    #[test]
    fn nonce_is_the_base_xor_the_number() {
        let nonce = |index| cipher().nonce(index).unwrap();
        assert_eq!(nonce(0), [0xFF; 12]);
        assert_eq!(nonce(1), [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 254]);
        assert_eq!(
            nonce(0x0102_0304),
            [255, 255, 255, 255, 255, 255, 255, 255, 0xFE, 0xFD, 0xFC, 0xFB]
        );
    }

    // F-26
    #[test]
    fn chunk_2_to_the_32_is_refused() {
        assert!(cipher().nonce(MAX_CHUNKS - 1).is_ok());
        assert_eq!(
            cipher().seal(MAX_CHUNKS, b"", &mut [0; 16]).unwrap_err().kind(),
            ErrorKind::LimitExceeded
        );
        assert_eq!(
            cipher().open(MAX_CHUNKS, &[0; 16], &mut []).unwrap_err().kind(),
            ErrorKind::LimitExceeded
        );
    }

    // F-27
    #[test]
    fn a_failed_chunk_leaves_no_plaintext() {
        let mut sealed = [0; 116];
        cipher().seal(3, &[b'x'; 100], &mut sealed).unwrap();
        let mut out = [1; 100];
        cipher().open(3, &sealed, &mut out).unwrap();
        assert_eq!(out, [b'x'; 100]);
        sealed[115] ^= 1;
        assert_eq!(
            cipher().open(3, &sealed, &mut out).unwrap_err().kind(),
            ErrorKind::Authentication
        );
        assert_eq!(out, [0; 100]);
    }
}
