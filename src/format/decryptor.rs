//! Pushes a body in, takes plaintext out.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use super::{BoundHeader, PREAMBLE_LEN, Progress, RangeDecryptor, derive};
use crate::context::EncryptionContext;
use crate::crypto::CipherBackend;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::fmt;

/// Decrypts one message's chunks, pushed with ciphertext of any size. No I/O, no waiting.
///
/// Hands out no byte whose chunk was not verified (`F-27`). The message is complete only when
/// [`finish`](Self::finish) has returned.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let message = envelope.encrypt("hello", [("kind", "note")])?;
/// use ncp_envelope::format::{CHUNK_LEN, Header, PREAMBLE_LEN};
/// let header = Header::decode(&message)?;
/// let body = &message[header.bound().body_offset()..];
/// let (preamble, chunks) = body.split_first_chunk::<PREAMBLE_LEN>().unwrap();
/// let mut decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
/// let mut out = vec![0; CHUNK_LEN];
/// let progress = decryptor.update(chunks, &mut out)?;
/// assert_eq!((progress.consumed, progress.written), (chunks.len(), 0));
/// let len = decryptor.finish(&mut out)?;
/// assert_eq!(out[..len], *b"hello");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct Decryptor {
    context: EncryptionContext,
    cipher: ChunkCipher,
    next: u64,
    // Ciphertext only: nothing here needs wiping. Empty until it is needed.
    partial: Vec<u8>,
    held: usize,
    failed: Option<Error>,
}

impl Decryptor {
    /// Verifies the commitment in `preamble`, the first 56 bytes of the body, against key, header
    /// and associated data.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// use ncp_envelope::format::{BoundHeader, Decryptor, Encryptor, Header, Profile};
    /// # let message = envelope.encrypt("", EncryptionContext::new())?;
    /// # let slots = Header::decode(&message)?.slots().clone();
    /// # let context = EncryptionContext::new().with("kind", "note")?;
    /// # let key = DataKey::generate()?;
    /// # let bound = BoundHeader::new(Profile::Compact, &context, false, &slots)?;
    /// let encryptor = Encryptor::new(&key, &bound, &slots, b"")?;
    /// let preamble = encryptor.front()[bound.body_offset()..].first_chunk().unwrap();
    /// assert!(Decryptor::new(&key, &bound, preamble, b"").is_ok());
    /// assert!(Decryptor::new(&DataKey::generate()?, &bound, preamble, b"").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] if they do not belong together, [`ErrorKind::NotAccepted`]
    /// if the header asks for associated data and there is none, or the reverse.
    pub fn new(
        key: &DataKey,
        bound: &BoundHeader,
        preamble: &[u8; PREAMBLE_LEN],
        aad: &[u8],
    ) -> Result<Self> {
        Self::on(CipherBackend::chosen()?, key, bound, preamble, aad)
    }

    /// As [`new`](Self::new), with a cipher of the caller's.
    pub(crate) fn on(
        backend: CipherBackend,
        key: &DataKey,
        bound: &BoundHeader,
        preamble: &[u8; PREAMBLE_LEN],
        aad: &[u8],
    ) -> Result<Self> {
        bound.check_aad(aad)?;
        let cipher = derive::resume(backend, key, bound.as_bytes(), aad, preamble)?;
        Ok(Self {
            context: bound.context().clone(),
            cipher,
            next: 0,
            partial: Vec::new(),
            held: 0,
            failed: None,
        })
    }

    /// The encryption context of the message. Authentic: the commitment covers it.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # use ncp_envelope::format::Header;
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// # let context = EncryptionContext::new().with("kind", "note")?;
    /// # let message = envelope.encrypt(b"hello", &context)?;
    /// # let header = Header::decode(&message)?;
    /// # let preamble = message[header.bound().body_offset()..].first_chunk().unwrap();
    /// let decryptor = envelope.decryptor(&header, preamble, &DecryptPolicy::new())?;
    /// assert_eq!(decryptor.context().get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// Bytes that [`update`](Self::update) writes for `input_len` more bytes, given room.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// # let header = Header::decode(&message)?;
    /// # let body = &message[header.bound().body_offset()..];
    /// # let (preamble, chunks) = body.split_first_chunk::<PREAMBLE_LEN>().unwrap();
    /// # let mut decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
    /// assert_eq!(decryptor.update_len(SEALED_CHUNK_LEN - 1), 0);
    /// assert_eq!(decryptor.update_len(2 * SEALED_CHUNK_LEN), 2 * CHUNK_LEN);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn update_len(&self, input_len: usize) -> usize {
        self.held.saturating_add(input_len) / SEALED_CHUNK_LEN * CHUNK_LEN
    }

    /// Bytes that [`finish`](Self::finish) writes.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// # let header = Header::decode(&message)?;
    /// # let body = &message[header.bound().body_offset()..];
    /// # let (preamble, chunks) = body.split_first_chunk::<PREAMBLE_LEN>().unwrap();
    /// # let mut decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
    /// decryptor.update(chunks, &mut [])?;
    /// assert_eq!(decryptor.finish_len(), "hello".len());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn finish_len(&self) -> usize {
        self.held.saturating_sub(TAG_LEN)
    }

    /// Takes ciphertext and writes the plaintext of every chunk that is whole and verified, until
    /// the input is used up or the next chunk does not fit `out`.
    ///
    /// When a chunk fails after others were opened in the same call, those are reported and the
    /// next call fails; nothing can be had from a decryptor after it failed.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// # let header = Header::decode(&message)?;
    /// # let body = &message[header.bound().body_offset()..];
    /// # let (preamble, chunks) = body.split_first_chunk::<PREAMBLE_LEN>().unwrap();
    /// # let mut decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
    /// for byte in chunks.chunks(1) {
    ///     decryptor.update(byte, &mut [])?; // No chunk is full, so nothing is written.
    /// }
    /// assert_eq!(decryptor.finish(&mut [0; 5])?, 5);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] for a chunk that is not the one written there.
    pub fn update(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut done = Progress { consumed: 0, written: 0 };
        loop {
            let rest = &input[done.consumed..];
            let room = &mut out[done.written..];
            if self.held + rest.len() < SEALED_CHUNK_LEN {
                if rest.is_empty() {
                    return Ok(done);
                }
                self.partial.resize(SEALED_CHUNK_LEN, 0);
                self.partial[self.held..self.held + rest.len()].copy_from_slice(rest);
                self.held += rest.len();
                done.consumed = input.len();
                return Ok(done);
            }
            if room.len() < CHUNK_LEN {
                return Ok(done);
            }
            let taken = SEALED_CHUNK_LEN - self.held;
            let opened = if self.held == 0 {
                self.cipher.open(self.next, &rest[..SEALED_CHUNK_LEN], &mut room[..CHUNK_LEN])
            } else {
                self.partial[self.held..].copy_from_slice(&rest[..taken]);
                self.cipher.open(self.next, &self.partial[..], &mut room[..CHUNK_LEN])
            };
            if let Err(error) = opened {
                self.failed = Some(error.clone());
                return if done.written > 0 { Ok(done) } else { Err(error) };
            }
            self.held = 0;
            self.next += 1;
            done.consumed += taken;
            done.written += CHUNK_LEN;
        }
    }

    /// Opens the last chunk, at most 16,383 bytes of plaintext. Returns how many bytes were
    /// written.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// # let header = Header::decode(&message)?;
    /// # let body = &message[header.bound().body_offset()..];
    /// # let (preamble, chunks) = body.split_first_chunk::<PREAMBLE_LEN>().unwrap();
    /// # let mut decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
    /// decryptor.update(&chunks[..chunks.len() - 1], &mut [])?;
    /// let error = decryptor.finish(&mut [0; 5]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Authentication);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] for a length no message has (`F-25`), [`ErrorKind::Authentication`]
    /// if the chunk is not this message's last one, [`ErrorKind::InvalidInput`] if `out` is shorter
    /// than [`finish_len`](Self::finish_len).
    pub fn finish(self, out: &mut [u8]) -> Result<usize> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.held < TAG_LEN {
            return Err(last_chunk_is_missing());
        }
        let len = self.held - TAG_LEN;
        let Some(out) = out.get_mut(..len) else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the last chunk needs {len} bytes of output"),
            ));
        };
        self.cipher.open(self.next, &self.partial[..self.held], out)?;
        Ok(len)
    }

    /// For a body that is opened in any order or from several threads: the same message without any
    /// state of its own. The message is complete only once every chunk up to the last one was
    /// opened.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// # let header = Header::decode(&message)?;
    /// # let body = &message[header.bound().body_offset()..];
    /// # let (preamble, chunks) = body.split_first_chunk::<PREAMBLE_LEN>().unwrap();
    /// # let mut decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
    /// let mut plaintext = [0; 5];
    /// decryptor.into_range().open(0, chunks, &mut plaintext)?;
    /// assert_eq!(plaintext, *b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn into_range(self) -> RangeDecryptor {
        RangeDecryptor::with(self.cipher)
    }
}

/// Of a message that ends where no message does (`F-25`).
pub(crate) fn last_chunk_is_missing() -> Error {
    Error::new(ErrorKind::Truncated, "message is truncated: its last chunk is missing")
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor").field("chunks", &self.next).finish_non_exhaustive()
    }
}
