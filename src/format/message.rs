//! A message in one piece, for data that fits memory: the same bytes as
//! [`Encryptor`](super::Encryptor) and [`Decryptor`](super::Decryptor), without their buffers.
//!
//! Plaintext goes straight from the caller's slice into the caller's buffer. Nothing is left in the
//! buffer when anything fails.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use super::slots::{FIRST_GENERATION, copy_len, encode_copies};
use super::{BoundHeader, Header, Layout, PREAMBLE_LEN, derive, range};
use crate::context::EncryptionContext;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::secret::{DataKey, wipe_if_it_moves};
use crate::wrap::WrappedKey;
use zeroize::Zeroize;

/// Writes the message of `plaintext` under `key`, which `slots` wrap, into `out`, in place of what
/// was there.
pub(crate) fn seal(
    key: &DataKey,
    slots: &[WrappedKey],
    layout: Layout,
    context: &EncryptionContext,
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let result = write(key, slots, layout, context, aad, plaintext, out);
    if result.is_err() {
        out.clear();
    }
    result
}

fn write(
    key: &DataKey,
    slots: &[WrappedKey],
    layout: Layout,
    context: &EncryptionContext,
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let region_a = BoundHeader::encoded_len(layout.profile(), context);
    let copy_len = copy_len(slots, layout.profile(), region_a)?;
    let body = region_a + layout.profile().copies() * copy_len;
    let total = fitting(range::body_len(plaintext.len() as u64)?)?
        .checked_add(body)
        .ok_or_else(too_large)?;
    make_room(out, total)?;
    grow(out, body + PREAMBLE_LEN);
    BoundHeader::encode(&mut out[..region_a], layout, context, !aad.is_empty(), copy_len);
    encode_copies(FIRST_GENERATION, slots, &mut out[region_a..body], copy_len)?;
    let (preamble, cipher) = derive::start(key, &out[..region_a], aad)?;
    out[body..body + PREAMBLE_LEN].copy_from_slice(&preamble);
    seal_chunks(&cipher, plaintext, out, body + PREAMBLE_LEN)
}

/// Seals `plaintext` into `out`, from `at` on.
fn seal_chunks(
    cipher: &ChunkCipher,
    plaintext: &[u8],
    out: &mut Vec<u8>,
    mut at: usize,
) -> Result<()> {
    let (whole, last) = plaintext.split_at(plaintext.len() / CHUNK_LEN * CHUNK_LEN);
    // The last chunk is there also when it is empty (F-24).
    for (index, chunk) in (0..).zip(whole.chunks_exact(CHUNK_LEN).chain([last])) {
        let end = at + chunk.len() + TAG_LEN;
        grow(out, end);
        cipher.seal(index, chunk, &mut out[at..end])?;
        at = end;
    }
    Ok(())
}

/// Sees to it that `out` can grow to `len` bytes, in place of what was there, without moving.
fn make_room(out: &mut Vec<u8>, len: usize) -> Result<()> {
    out.truncate(len);
    // Plaintext may have been there.
    wipe_if_it_moves(out, len);
    memory::reserve(out, len).map_err(|_| too_large())
}

/// Makes `out` at least `len` bytes long. Bytes that are there already are written over afterwards,
/// not set to zero first, and new ones are set to zero only shortly before: in a large message
/// either would be a pass over memory for nothing.
fn grow(out: &mut Vec<u8>, len: usize) {
    if out.len() < len {
        out.resize(len, 0);
    }
}

/// A message whose header was read.
pub(crate) struct Parts<'m> {
    header: &'m Header,
    preamble: &'m [u8; PREAMBLE_LEN],
    chunks: &'m [u8],
    plaintext_len: usize,
}

impl<'m> Parts<'m> {
    /// Finds what is behind `header`, which is that of `message`.
    pub(crate) fn of(message: &'m [u8], header: &'m Header) -> Result<Self> {
        let body = &message[header.bound().body_offset()..];
        let plaintext_len = fitting(range::plaintext_len(body.len() as u64)?)?;
        let Some((preamble, chunks)) = body.split_first_chunk::<PREAMBLE_LEN>() else {
            return Err(Error::new(
                ErrorKind::Truncated,
                "message is truncated: it ends before its first chunk",
            ));
        };
        Ok(Self { header, preamble, chunks, plaintext_len })
    }

    /// Verifies the commitment under `key`, then writes the plaintext into `out`, in place of what
    /// was there; nothing of it if any chunk fails.
    ///
    /// # Errors
    /// The outer one says that `key` is not this message's, the inner one that it is and a chunk is
    /// not.
    pub(crate) fn open(&self, key: &DataKey, aad: &[u8], out: &mut Vec<u8>) -> Result<Result<()>> {
        self.header.bound().check_aad(aad)?;
        let cipher = derive::resume(key, self.header.bound().as_bytes(), aad, self.preamble)?;
        let result = self.open_chunks(&cipher, out);
        if result.is_err() {
            out.zeroize();
        }
        Ok(result)
    }

    fn open_chunks(&self, cipher: &ChunkCipher, out: &mut Vec<u8>) -> Result<()> {
        make_room(out, self.plaintext_len)?;
        for (index, chunk) in self.chunks.chunks(SEALED_CHUNK_LEN).enumerate() {
            let at = index * CHUNK_LEN;
            let end = at + chunk.len() - TAG_LEN;
            grow(out, end);
            cipher.open(index as u64, chunk, &mut out[at..end])?;
        }
        Ok(())
    }
}

fn fitting(len: u64) -> Result<usize> {
    usize::try_from(len).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::new(ErrorKind::LimitExceeded, "message does not fit this machine's memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::{fixed_key, fixed_message, sample};

    // F-27
    #[test]
    fn what_was_opened_before_a_fault_does_not_stay() {
        let plaintext = sample(50_000);
        let mut message = fixed_message(&plaintext);
        let header = Header::decode(&message).unwrap();
        let mut out = vec![7; 60_000];
        let parts = Parts::of(&message, &header).unwrap();
        parts.open(&fixed_key(), b"", &mut out).unwrap().unwrap();
        assert!(out == plaintext);
        let at = out.as_ptr();
        *message.last_mut().unwrap() ^= 1;
        let parts = Parts::of(&message, &header).unwrap();
        let refused = parts.open(&fixed_key(), b"", &mut out).unwrap().unwrap_err();
        assert_eq!((refused.kind(), out.len()), (ErrorKind::Authentication, 0));
        out.resize(50_000, 0);
        assert!(out.as_ptr() == at && out.iter().all(|byte| *byte == 0));
        assert!(parts.open(&DataKey::copy_from(&[4; 32]), b"", &mut out).is_err(), "another key");
    }
}
