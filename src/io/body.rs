//! The body of a message, opened step by step; shared by all sequential readers.

use crate::context::EncryptionContext;
use crate::error::{Error, Result};
use crate::format::{CHUNK_LEN, Decryptor, Progress};
use zeroize::Zeroizing;

/// A message whose chunks come in, and how far it was verified.
pub(super) struct Body {
    state: State,
    context: EncryptionContext,
    written: u64,
}

enum State {
    Chunks(Decryptor),
    End,
    Failed(Error),
}

impl Body {
    pub(super) fn new(decryptor: Decryptor) -> Self {
        let context = decryptor.context().clone();
        Self { state: State::Chunks(decryptor), context, written: 0 }
    }

    pub(super) fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// How long the plaintext is, once the authentic end was reached.
    pub(super) fn plaintext_len(&self) -> Option<u64> {
        matches!(self.state, State::End).then_some(self.written)
    }

    /// Whether the authentic end was reached.
    pub(super) fn ended(&self) -> Result<bool> {
        match &self.state {
            State::Chunks(_) => Ok(false),
            State::End => Ok(true),
            State::Failed(error) => Err(error.clone()),
        }
    }

    /// How many bytes [`step`](Self::step) writes for `input_len` bytes, given room.
    #[cfg(feature = "tokio")]
    pub(super) fn step_len(&self, input_len: usize) -> usize {
        match &self.state {
            State::Chunks(decryptor) if input_len == 0 => decryptor.finish_len(),
            State::Chunks(decryptor) => decryptor.update_len(input_len),
            State::End | State::Failed(_) => 0,
        }
    }

    /// Takes some of `input` and writes what it opens into `out`, which has room for a chunk. No
    /// input means that the message ends here.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress> {
        let result = match &mut self.state {
            State::Chunks(decryptor) if !input.is_empty() => decryptor.update(input, out),
            State::Chunks(_) => match std::mem::replace(&mut self.state, State::End) {
                State::Chunks(decryptor) => {
                    decryptor.finish(out).map(|written| Progress { consumed: 0, written })
                }
                _ => Ok(Progress { consumed: 0, written: 0 }),
            },
            State::End => Ok(Progress { consumed: 0, written: 0 }),
            State::Failed(error) => Err(error.clone()),
        };
        match &result {
            Ok(progress) => self.written += progress.written as u64,
            Err(error) => self.state = State::Failed(error.clone()),
        }
        result
    }
}

/// Plaintext that did not fit the caller's buffer.
pub(super) struct Spare {
    bytes: Zeroizing<Box<[u8]>>,
    at: usize,
    end: usize,
}

impl Spare {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(vec![0; CHUNK_LEN].into_boxed_slice()), at: 0, end: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// The whole room, to open a chunk into; call [`filled`](Self::filled) after that.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) fn filled(&mut self, len: usize) {
        (self.at, self.end) = (0, len);
    }

    /// At most `len` bytes of what is there.
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        let start = self.at;
        self.at += len.min(self.end - start);
        &self.bytes[start..self.at]
    }
}
