//! A message sealed step by step; shared by all readers that encrypt.

use super::buffer::PageBuffer;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{CHUNK_LEN, Encryptor, Progress, SEALED_CHUNK_LEN};

/// How many chunks a reader that encrypts reads at a time. A server has one for each upload, so
/// they are small: two buffers of 64 KiB.
const CHUNKS: usize = 4;
pub(super) const PLAIN_LEN: usize = CHUNKS * CHUNK_LEN;
const SEALED_LEN: usize = CHUNKS * SEALED_CHUNK_LEN;

/// The message of an encryptor.
pub(super) struct Sealing(State);

enum State {
    /// The number of bytes of the front that were returned.
    Front(Encryptor, usize),
    Chunks(Encryptor),
    End,
    Failed(Error),
}

impl Sealing {
    pub(super) fn new(encryptor: Encryptor) -> Self {
        Self(State::Front(encryptor, 0))
    }

    /// Copies some of what stands in front of the chunks to `out`; 0 if nothing is left of it.
    pub(super) fn front(&mut self, out: &mut [u8]) -> usize {
        let State::Front(encryptor, at) = &mut self.0 else { return 0 };
        let rest = &encryptor.front()[*at..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        *at += len;
        len
    }

    /// How many bytes of the front are left.
    #[cfg(feature = "tokio")]
    pub(super) fn front_len(&self) -> usize {
        match &self.0 {
            State::Front(encryptor, at) => encryptor.front().len() - at,
            _ => 0,
        }
    }

    /// Whether the last chunk was sealed.
    pub(super) fn ended(&self) -> Result<bool> {
        match &self.0 {
            State::Front(..) | State::Chunks(_) => Ok(false),
            State::End => Ok(true),
            State::Failed(error) => Err(error.clone()),
        }
    }

    /// How many bytes [`step`](Self::step) writes for `input_len` bytes, given room.
    #[cfg(feature = "tokio")]
    pub(super) fn step_len(&self, input_len: usize) -> usize {
        match &self.0 {
            State::Front(encryptor, _) | State::Chunks(encryptor) if input_len == 0 => {
                encryptor.finish_len()
            }
            State::Front(encryptor, _) | State::Chunks(encryptor) => {
                encryptor.update_len(input_len)
            }
            State::End | State::Failed(_) => 0,
        }
    }

    /// Takes some of `input` and writes the chunks that it fills to `out`. No input means that the
    /// plaintext ends here. For after the front.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress> {
        let result = match std::mem::replace(&mut self.0, State::End) {
            State::Front(mut encryptor, _) | State::Chunks(mut encryptor) => {
                if input.is_empty() {
                    encryptor.finish(out).map(|written| Progress { consumed: 0, written })
                } else {
                    let progress = encryptor.update(input, out);
                    self.0 = State::Chunks(encryptor);
                    progress
                }
            }
            State::End => Ok(Progress { consumed: 0, written: 0 }),
            State::Failed(error) => Err(error),
        };
        if let Err(error) = &result {
            self.fail(error.clone());
        }
        result
    }

    /// Ends the message for good. A source that broke off may say at the next read that it is at
    /// its end: what is sealed so far must never become a whole message.
    pub(super) fn fail(&mut self, error: Error) {
        self.0 = State::Failed(error);
    }
}

/// The two buffers of a reader that encrypts.
pub(super) struct Buffers {
    /// Plaintext that was just read; wiped when dropped.
    pub(super) plain: PageBuffer,
    sealed: PageBuffer,
    at: usize,
    end: usize,
}

impl Buffers {
    pub(super) fn new() -> Self {
        let (plain, sealed) = (PageBuffer::new(PLAIN_LEN), PageBuffer::new(SEALED_LEN));
        Self { plain, sealed, at: 0, end: 0 }
    }

    /// Hands out some of what did not fit the caller's buffer before; 0 if there is nothing left.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.end - self.at);
        out[..len].copy_from_slice(&self.sealed[self.at..self.at + len]);
        self.at += len;
        len
    }

    /// Where to seal to, and how many bytes of plaintext fit there whatever is held back: straight
    /// into the caller's buffer if that has room for a chunk.
    pub(super) fn fitting(out: &[u8]) -> usize {
        match out.len() / SEALED_CHUNK_LEN {
            0 => PLAIN_LEN,
            chunks => chunks.min(CHUNKS) * CHUNK_LEN,
        }
    }

    /// Seals the first `len` bytes of the plaintext, no more than [`fitting`](Self::fitting) says,
    /// or the end if that is 0. Returns how many bytes `out` was given.
    pub(super) fn seal(
        &mut self,
        sealing: &mut Sealing,
        len: usize,
        out: &mut [u8],
    ) -> Result<usize> {
        let plain = &self.plain[..len];
        let (direct, progress) = if out.len() >= SEALED_CHUNK_LEN {
            (true, sealing.step(plain, out)?)
        } else {
            (false, sealing.step(plain, &mut self.sealed)?)
        };
        debug_assert_eq!(progress.consumed, len);
        if direct {
            return Ok(progress.written);
        }
        (self.at, self.end) = (0, progress.written);
        Ok(self.take(out))
    }
}

/// What a reader that encrypts says when its source broke off before.
pub(super) fn broken_off() -> Error {
    Error::new(ErrorKind::Io, "message cannot be continued: its source failed before its end")
}
