//! Pushes plaintext in, takes a message out.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use super::{Progress, SealedHeader, SlotTable, derive};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::fmt;
use zeroize::Zeroize;

/// Encrypts one message, pushed with plaintext of any size. No I/O, no waiting.
///
/// Write [`header`](Self::header) first, then everything [`update`](Self::update) hands out, then what [`finish`](Self::finish) hands out.
/// A message without its last chunk does not open.
///
/// Full chunks are sealed straight from the input into the output; only the remainder between two calls is copied.
pub struct Encryptor {
    header: Vec<u8>,
    cipher: ChunkCipher,
    next: u64,
    partial: Box<[u8; CHUNK_LEN]>,
    held: usize,
}

impl Encryptor {
    /// Starts a message under `key`, which has to be the one that the slots wrap.
    ///
    /// `aad` is the associated data; the header has to say whether there is any.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if header and `aad` disagree, [`ErrorKind::LimitExceeded`] if the slots do not fit the header's zone B,
    /// [`ErrorKind::Internal`] if a primitive fails.
    pub fn new(key: &DataKey, sealed: &SealedHeader, slots: &SlotTable, aad: &[u8]) -> Result<Self> {
        if sealed.requires_aad() == aad.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "header and associated data do not belong together"));
        }
        let (preamble, cipher) = derive::start(key, sealed.as_bytes(), aad)?;
        Self::with(sealed, slots, preamble, cipher)
    }

    fn with(sealed: &SealedHeader, slots: &SlotTable, preamble: [u8; derive::PREAMBLE_LEN], cipher: ChunkCipher) -> Result<Self> {
        let mut header = sealed.as_bytes().to_vec();
        slots.encode_zone(sealed, &mut header)?;
        header.extend_from_slice(&preamble);
        Ok(Self { header, cipher, next: 0, partial: Box::new([0; CHUNK_LEN]), held: 0 })
    }

    /// Zones A and B, salt and commitment: everything in front of the first chunk.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Bytes of chunks that [`update`](Self::update) writes for `input_len` more bytes, given room. No more than fits a `usize`.
    pub fn update_len(&self, input_len: usize) -> usize {
        (self.held.saturating_add(input_len) / CHUNK_LEN).saturating_mul(SEALED_CHUNK_LEN)
    }

    /// Bytes that [`finish`](Self::finish) writes.
    pub fn finish_len(&self) -> usize {
        self.held + TAG_LEN
    }

    /// Takes plaintext and writes every chunk that is full, until the input is used up or the next chunk does not fit `out`.
    ///
    /// With room for [`update_len`](Self::update_len) bytes the whole input is taken.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] past 2^32 chunks.
    pub fn update(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress> {
        let mut done = Progress { consumed: 0, written: 0 };
        loop {
            let rest = &input[done.consumed..];
            let room = &mut out[done.written..];
            if self.held + rest.len() < CHUNK_LEN {
                self.partial[self.held..self.held + rest.len()].copy_from_slice(rest);
                self.held += rest.len();
                done.consumed = input.len();
                return Ok(done);
            }
            if room.len() < SEALED_CHUNK_LEN {
                return Ok(done);
            }
            let taken = CHUNK_LEN - self.held;
            if self.held == 0 {
                self.cipher.seal(self.next, &rest[..CHUNK_LEN], &mut room[..SEALED_CHUNK_LEN])?;
            } else {
                self.partial[self.held..].copy_from_slice(&rest[..taken]);
                self.cipher.seal(self.next, &self.partial[..], &mut room[..SEALED_CHUNK_LEN])?;
                self.held = 0;
            }
            self.next += 1;
            done.consumed += taken;
            done.written += SEALED_CHUNK_LEN;
        }
    }

    /// Writes the last chunk, at most 16,399 bytes, and ends the message. Returns how many bytes were written.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `out` is shorter than [`finish_len`](Self::finish_len); [`ErrorKind::LimitExceeded`] past 2^32 chunks.
    pub fn finish(self, out: &mut [u8]) -> Result<usize> {
        let len = self.finish_len();
        let Some(out) = out.get_mut(..len) else {
            return Err(Error::new(ErrorKind::InvalidInput, format!("the last chunk needs {len} bytes of output")));
        };
        self.cipher.seal(self.next, &self.partial[..self.held], out)?;
        Ok(len)
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("chunks", &self.next).finish_non_exhaustive()
    }
}

impl Drop for Encryptor {
    fn drop(&mut self) {
        self.partial.zeroize();
    }
}
