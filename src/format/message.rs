//! A message in one piece, for data that fits memory: the same bytes as
//! [`Encryptor`](super::Encryptor) and [`Decryptor`](super::Decryptor), without their buffers.
//!
//! Plaintext goes straight from the caller's slice into the caller's buffer. Nothing is left in the
//! buffer when anything fails.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use super::slots::{FIRST_GENERATION, copy_len, encode_copies};
use super::{
    BoundHeader, Engine, Header, Layout, PREAMBLE_LEN, RangeDecryptor, RunEncryptor, derive, range,
};
use crate::context::EncryptionContext;
use crate::crew::share;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::secret::{DataKey, wipe_if_it_moves};
use crate::wrap::WrappedKey;
use zeroize::Zeroize;

/// How much a thread takes at once: a small part of a message that is worth sharing.
const RUN_CHUNKS: usize = 16;

/// Writes the message of `plaintext` under `key`, which `slots` wrap, into `out`, in place of what
/// was there.
#[allow(clippy::too_many_arguments)]
pub(crate) fn seal(
    engine: Engine,
    key: &DataKey,
    slots: &[WrappedKey],
    layout: Layout,
    context: &EncryptionContext,
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let result = write(engine, key, slots, layout, context, aad, plaintext, out);
    if result.is_err() {
        out.clear();
    }
    result
}

#[allow(clippy::too_many_arguments)]
fn write(
    engine: Engine,
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
    let threads = engine.threads_for(plaintext.len());
    if threads > 1 {
        make_room_at_once(out, total)?
    } else {
        make_room(out, total)?
    }
    grow(out, body + PREAMBLE_LEN);
    BoundHeader::encode(&mut out[..region_a], layout, context, !aad.is_empty(), copy_len);
    encode_copies(FIRST_GENERATION, slots, &mut out[region_a..body], copy_len)?;
    let (preamble, cipher) = derive::start(engine.backend, key, &out[..region_a], aad)?;
    let start = body + PREAMBLE_LEN;
    out[body..start].copy_from_slice(&preamble);
    if threads > 1 {
        return seal_on(threads, cipher, plaintext, &mut out[start..]);
    }
    seal_chunks(&cipher, plaintext, out, start)
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

/// Seals all of `plaintext` into `out`, in runs.
fn seal_on(
    threads: usize,
    cipher: ChunkCipher,
    plaintext: &[u8],
    mut out: &mut [u8],
) -> Result<()> {
    let runs = RunEncryptor::new(cipher, plaintext.len() as u64)?;
    let jobs = std::iter::from_fn(|| {
        let claim = runs.claim(RUN_CHUNKS as u64)?;
        let (from, to) = (claim.plaintext_range(), claim.sealed_range());
        let plaintext = &plaintext[from.start as usize..from.end as usize];
        let sealed = out.split_off_mut(..(to.end - to.start) as usize)?;
        Some((claim, plaintext, sealed))
    });
    share(threads, jobs, |(claim, plaintext, sealed)| claim.seal(plaintext, sealed))?;
    runs.finish()
}

/// Opens all of `sealed` into `out`, in runs.
fn open_on(threads: usize, cipher: ChunkCipher, sealed: &[u8], out: &mut [u8]) -> Result<()> {
    let runs = RangeDecryptor::with(cipher);
    let mut rest = out;
    let sealed = sealed.chunks(RUN_CHUNKS * SEALED_CHUNK_LEN);
    let jobs = (0..).step_by(RUN_CHUNKS).zip(sealed).map_while(|(first, sealed)| {
        let len = sealed.len() - sealed.len().div_ceil(SEALED_CHUNK_LEN) * TAG_LEN;
        Some((first, sealed, rest.split_off_mut(..len)?))
    });
    share(threads, jobs, |(first, sealed, out)| runs.open(first, sealed, out).map(drop))
}

/// Sees to it that `out` can grow to `len` bytes, in place of what was there, without moving.
fn make_room(out: &mut Vec<u8>, len: usize) -> Result<()> {
    out.truncate(len);
    // Plaintext may have been there.
    wipe_if_it_moves(out, len);
    memory::reserve(out, len).map_err(|_| too_large())
}

/// Makes `out` `len` bytes long, in place of what was there. New memory is given by the system when
/// it is first written to, by the thread that does.
fn make_room_at_once(out: &mut Vec<u8>, len: usize) -> Result<()> {
    out.truncate(len);
    if out.capacity() < len {
        wipe_if_it_moves(out, len);
        *out = Vec::new();
        *out = memory::zeros(len).ok_or_else(too_large)?;
    }
    grow(out, len);
    Ok(())
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
    pub(crate) fn open(
        &self,
        engine: Engine,
        key: &DataKey,
        aad: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Result<()>> {
        self.header.bound().check_aad(aad)?;
        let bound = self.header.bound().as_bytes();
        let cipher = derive::resume(engine.backend, key, bound, aad, self.preamble)?;
        let result = self.open_chunks(engine, cipher, out);
        if result.is_err() {
            out.zeroize();
        }
        Ok(result)
    }

    fn open_chunks(&self, engine: Engine, cipher: ChunkCipher, out: &mut Vec<u8>) -> Result<()> {
        let threads = engine.threads_for(self.plaintext_len);
        if threads > 1 {
            make_room_at_once(out, self.plaintext_len)?;
            return open_on(threads, cipher, self.chunks, out);
        }
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
    use crate::crypto::CipherBackend;
    use crate::format::testing::{fixed_key, fixed_message, sample};

    fn engine(threads: usize) -> Engine {
        Engine { backend: CipherBackend::chosen().unwrap(), threads }
    }

    // F-27
    #[test]
    fn what_was_opened_before_a_fault_does_not_stay() {
        let plaintext = sample(50_000);
        let mut message = fixed_message(&plaintext);
        let header = Header::decode(&message).unwrap();
        let mut out = vec![7; 60_000];
        let parts = Parts::of(&message, &header).unwrap();
        parts.open(engine(1), &fixed_key(), b"", &mut out).unwrap().unwrap();
        assert!(out == plaintext);
        let at = out.as_ptr();
        *message.last_mut().unwrap() ^= 1;
        let parts = Parts::of(&message, &header).unwrap();
        let refused = parts.open(engine(1), &fixed_key(), b"", &mut out).unwrap().unwrap_err();
        assert_eq!((refused.kind(), out.len()), (ErrorKind::Authentication, 0));
        out.resize(50_000, 0);
        assert!(out.as_ptr() == at && out.iter().all(|byte| *byte == 0));
        assert!(
            parts.open(engine(1), &DataKey::copy_from(&[4; 32]), b"", &mut out).is_err(),
            "another key"
        );
    }
}
