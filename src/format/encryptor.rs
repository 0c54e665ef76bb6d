//! Pushes plaintext in, takes a message out.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use super::{BoundHeader, Progress, RunEncryptor, RunSequence, SlotTable, derive};
use crate::context::EncryptionContext;
use crate::crypto::CipherBackend;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::fmt;
use zeroize::Zeroizing;

/// Encrypts one message, pushed with plaintext of any size. No I/O, no waiting.
///
/// Write [`front`](Self::front) first, then everything [`update`](Self::update) writes, then what
/// [`finish`](Self::finish) writes. A message without its last chunk does not open.
///
/// Full chunks are sealed straight from the input into the output; only the remainder between two
/// calls is copied.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
/// let mut message = encryptor.front().to_vec();
/// let mut out = vec![0; 20_000];
/// let progress = encryptor.update(b"hello", &mut out)?;
/// message.extend_from_slice(&out[..progress.written]);
/// let len = encryptor.finish(&mut out)?;
/// message.extend_from_slice(&out[..len]);
/// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct Encryptor {
    context: EncryptionContext,
    front: Vec<u8>,
    cipher: ChunkCipher,
    next: u64,
    // Empty until it is needed: whoever pushes whole chunks, or seals in runs, needs none.
    partial: Zeroizing<Vec<u8>>,
    held: usize,
}

impl Encryptor {
    /// Starts a message under `key`, the one that the slots wrap.
    ///
    /// `aad` is the associated data; the header must say whether there is any.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// use ncp_envelope::format::{BoundHeader, Encryptor, Header, Profile};
    /// # let message = envelope.encrypt("", EncryptionContext::new())?;
    /// # let slots = Header::decode(&message)?.slots().clone();
    /// # let context = EncryptionContext::new().with("kind", "note")?;
    /// # let key = DataKey::generate()?;
    /// # let bound = BoundHeader::new(Profile::Compact, &context, false, &slots)?;
    /// let encryptor = Encryptor::new(&key, &bound, &slots, b"")?;
    /// assert!(encryptor.front().starts_with(bound.as_bytes()));
    /// assert!(Encryptor::new(&key, &bound, &slots, b"not in the header").is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if header and `aad` disagree, [`ErrorKind::LimitExceeded`] if
    /// the slots do not fit the header's region B, [`ErrorKind::Internal`] if a primitive fails.
    pub fn new(key: &DataKey, bound: &BoundHeader, slots: &SlotTable, aad: &[u8]) -> Result<Self> {
        Self::on(CipherBackend::chosen()?, key, bound, slots, aad)
    }

    /// As [`new`](Self::new), with a cipher of the caller's.
    pub(crate) fn on(
        backend: CipherBackend,
        key: &DataKey,
        bound: &BoundHeader,
        slots: &SlotTable,
        aad: &[u8],
    ) -> Result<Self> {
        if bound.requires_aad() == aad.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "header and associated data do not belong together",
            ));
        }
        let (preamble, cipher) = derive::start(backend, key, bound.as_bytes(), aad)?;
        Self::with(bound, slots, preamble, cipher)
    }

    fn with(
        bound: &BoundHeader,
        slots: &SlotTable,
        preamble: [u8; derive::PREAMBLE_LEN],
        cipher: ChunkCipher,
    ) -> Result<Self> {
        let mut front = bound.as_bytes().to_vec();
        slots.encode_region(bound.profile().copies(), bound.copy_len(), &mut front)?;
        front.extend_from_slice(&preamble);
        Ok(Self {
            context: bound.context().clone(),
            front,
            cipher,
            next: 0,
            partial: Zeroizing::default(),
            held: 0,
        })
    }

    /// The encryption context that the message is bound to.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?);
    /// # let envelope = envelope.build()?.blocking();
    /// let context = EncryptionContext::new().with("kind", "note")?;
    /// let encryptor = envelope.encryptor(&context)?;
    /// assert_eq!(encryptor.context(), &context);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// Regions A and B, salt and commitment: everything in front of the first chunk.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let header = Header::decode(encryptor.front())?;
    /// assert_eq!(encryptor.front().len(), header.bound().body_offset() + PREAMBLE_LEN);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn front(&self) -> &[u8] {
        &self.front
    }

    /// Bytes of chunks that [`update`](Self::update) writes for `input_len` more bytes, given room.
    /// No more than fits a `usize`.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// assert_eq!(encryptor.update_len(CHUNK_LEN - 1), 0);
    /// assert_eq!(encryptor.update_len(2 * CHUNK_LEN), 2 * SEALED_CHUNK_LEN);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn update_len(&self, input_len: usize) -> usize {
        (self.held.saturating_add(input_len) / CHUNK_LEN).saturating_mul(SEALED_CHUNK_LEN)
    }

    /// Bytes that [`finish`](Self::finish) writes.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// encryptor.update(b"hello", &mut [])?;
    /// assert_eq!(encryptor.finish_len(), "hello".len() + TAG_LEN);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn finish_len(&self) -> usize {
        self.held + TAG_LEN
    }

    /// Takes plaintext and writes every chunk that is full, until the input is used up or the next
    /// chunk does not fit `out`.
    ///
    /// With room for [`update_len`](Self::update_len) bytes the whole input is taken.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let plaintext = vec![7; CHUNK_LEN + 1];
    /// let mut out = vec![0; encryptor.update_len(plaintext.len())];
    /// let progress = encryptor.update(&plaintext, &mut out)?;
    /// assert_eq!((progress.consumed, progress.written), (CHUNK_LEN + 1, SEALED_CHUNK_LEN));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] past 2^32 chunks.
    pub fn update(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress> {
        let mut done = Progress { consumed: 0, written: 0 };
        loop {
            let rest = &input[done.consumed..];
            let room = &mut out[done.written..];
            if self.held + rest.len() < CHUNK_LEN {
                if rest.is_empty() {
                    return Ok(done);
                }
                self.partial.resize(CHUNK_LEN, 0);
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

    /// Writes the last chunk, at most 16,399 bytes, and ends the message. Returns how many bytes
    /// were written.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let mut message = encryptor.front().to_vec();
    /// let mut last = vec![0; encryptor.finish_len()];
    /// encryptor.finish(&mut last)?;
    /// message.extend_from_slice(&last);
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new())?.is_empty());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `out` is shorter than [`finish_len`](Self::finish_len);
    /// [`ErrorKind::LimitExceeded`] past 2^32 chunks.
    pub fn finish(self, out: &mut [u8]) -> Result<usize> {
        let len = self.finish_len();
        let Some(out) = out.get_mut(..len) else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the last chunk needs {len} bytes of output"),
            ));
        };
        self.cipher.seal(self.next, &self.partial[..self.held], out)?;
        Ok(len)
    }

    /// For a plaintext of known length whose chunks are sealed in any order or from several
    /// threads: the [`front`](Self::front), and what seals.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let mut encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(100_000)?;
    /// let chunks = range::chunk_count(100_000);
    /// assert_eq!(runs.chunks_len(), 100_000 + chunks * TAG_LEN as u64);
    /// assert!(Header::decode(&front).is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if plaintext was pushed already: its chunks must not be sealed
    /// twice. [`ErrorKind::LimitExceeded`] for more than 2^32 chunks (`F-26`).
    pub fn into_runs(self, plaintext_len: u64) -> Result<(Vec<u8>, RunEncryptor)> {
        self.check_fresh()?;
        Ok((self.front, RunEncryptor::new(self.cipher, plaintext_len)?))
    }

    /// As [`into_runs`](Self::into_runs), for a length that shows at the end.
    pub(crate) fn into_sequence(self) -> Result<(Vec<u8>, RunSequence)> {
        self.check_fresh()?;
        Ok((self.front, RunSequence::new(self.cipher)))
    }

    fn check_fresh(&self) -> Result<()> {
        if self.next == 0 && self.held == 0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "a message that was begun in order cannot be sealed in runs",
        ))
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("chunks", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::format::{Profile, range};
    use crate::wrap::{KeyId, Provider, WrappedKey, ZoneHint};

    /// Encryptors of one and the same message. Tests only: the salt is always the same.
    pub(crate) fn fixed() -> Encryptor {
        fixed_on(CipherBackend::chosen().unwrap())
    }

    fn fixed_on(backend: CipherBackend) -> Encryptor {
        let slot = WrappedKey::new(KeyId::new(Provider::Local, ZoneHint::None, "k").unwrap(), [1])
            .unwrap();
        let slots = SlotTable::new(vec![slot]).unwrap();
        let bound =
            BoundHeader::new(Profile::Compact, &EncryptionContext::new(), false, &slots).unwrap();
        let (preamble, cipher) =
            derive::start_with(backend, &fixed_key(), bound.as_bytes(), b"", [5; 24]).unwrap();
        Encryptor::with(&bound, &slots, preamble, cipher).unwrap()
    }

    pub(crate) fn fixed_key() -> DataKey {
        DataKey::copy_from(&[3; 32])
    }

    /// The message that [`fixed`] makes of `plaintext`.
    pub(crate) fn fixed_message(plaintext: &[u8]) -> Vec<u8> {
        let mut encryptor = fixed();
        let mut out = encryptor.front().to_vec();
        let start = out.len();
        out.resize(
            start
                + (range::body_len(plaintext.len() as u64).unwrap() as usize
                    - derive::PREAMBLE_LEN),
            0,
        );
        let progress = encryptor.update(plaintext, &mut out[start..]).unwrap();
        encryptor.finish(&mut out[start + progress.written..]).unwrap();
        out
    }

    /// What opens a message of [`fixed`], and where its body begins.
    pub(crate) fn fixed_decryptor(message: &[u8]) -> (crate::format::Decryptor, usize) {
        let header = crate::format::Header::decode(message).unwrap();
        let body = header.bound().body_offset();
        let preamble = message[body..].first_chunk().unwrap();
        (crate::format::Decryptor::new(&fixed_key(), header.bound(), preamble, b"").unwrap(), body)
    }

    pub(crate) fn sample(len: usize) -> Vec<u8> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
    }

    #[test]
    fn with_a_fixed_salt_every_backend_writes_the_same_message() {
        let plaintext = sample(100_000);
        for len in [0, 1, 16_383, 16_384, 16_385, 100_000] {
            let message = |backend| {
                let mut encryptor = fixed_on(backend);
                let mut message = encryptor.front().to_vec();
                let mut out = vec![0; encryptor.update_len(len) + SEALED_CHUNK_LEN];
                let progress = encryptor.update(&plaintext[..len], &mut out).unwrap();
                message.extend(&out[..progress.written]);
                let last = encryptor.finish(&mut out).unwrap();
                [message, out[..last].to_vec()].concat()
            };
            let first = message(CipherBackend::AwsLc);
            assert!(first == fixed_message(&plaintext[..len]));
            for backend in CipherBackend::ALL {
                assert!(message(*backend) == first, "{backend}, {len} bytes");
            }
        }
    }

    // F-23, F-24
    #[test]
    fn runs_in_any_order_are_the_same_message() {
        for len in [0, 1, 16_383, 16_384, 16_385, 32_768, 100_000, 163_840] {
            let plaintext = sample(len);
            let message = fixed_message(&plaintext);
            for count in [1, 2, 3, 100, u64::MAX] {
                let (header, runs) = fixed().into_runs(len as u64).unwrap();
                let mut claims: Vec<_> = std::iter::from_fn(|| runs.claim(count)).collect();
                assert!(runs.claim(1).is_none() && runs.claim(u64::MAX).is_none());
                let mut out = vec![0; runs.chunks_len() as usize];
                claims.reverse();
                std::thread::scope(|scope| {
                    let mut rest = &mut out[..];
                    for claim in claims {
                        let (from, to) = (claim.plaintext_range(), claim.sealed_range());
                        let (before, own) = rest.split_at_mut(to.start as usize);
                        rest = before;
                        let input = &plaintext[from.start as usize..from.end as usize];
                        scope.spawn(move || claim.seal(input, own).unwrap());
                    }
                });
                runs.finish().unwrap();
                assert_eq!([header, out].concat(), message, "{len} in runs of {count}");
            }
        }
    }

    // F-23
    #[test]
    fn a_chunk_is_claimed_once_whoever_asks() {
        let (_, runs) = fixed().into_runs(16_384 * 10_000).unwrap();
        assert!(runs.claim(0).is_none());
        let counts: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..=4)
                .map(|count| {
                    scope.spawn({
                        let runs = &runs;
                        move || {
                            std::iter::from_fn(|| runs.claim(count))
                                .map(|claim| claim.sealed_range())
                                .collect::<Vec<_>>()
                        }
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let mut all = counts.concat();
        all.sort_by_key(|range| range.start);
        assert_eq!((all[0].start, all[all.len() - 1].end), (0, runs.chunks_len()));
        assert!(
            all.windows(2).all(|pair| pair[0].end == pair[1].start),
            "claims neither overlap nor leave a gap"
        );
    }

    #[test]
    fn a_claim_is_used_up_and_a_message_with_a_hole_is_not_finished() {
        let plaintext = sample(40_000);
        let (_, runs) = fixed().into_runs(40_000).unwrap();
        let mut out = vec![0; 32_800];
        let (first, last) = (runs.claim(2).unwrap(), runs.claim(2).unwrap());
        assert_eq!((last.plaintext_range(), last.sealed_range()), (32_768..40_000, 32_800..40_048));
        assert_eq!(
            first.seal(&plaintext[..32_767], &mut out).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        last.seal(&plaintext[32_768..], &mut out[..7_248]).unwrap();
        assert!(runs.claim(1).is_none());
        assert_eq!(runs.finish().unwrap_err().kind(), ErrorKind::InvalidInput);

        let (_, runs) = fixed().into_runs(40_000).unwrap();
        runs.claim(2).unwrap();
        let error = runs.claim(2).unwrap().seal(&[], &mut []).unwrap_err().to_string();
        assert!(error.contains("7232 bytes of plaintext and 7248 bytes sealed"), "{error}");
    }

    // F-26
    #[test]
    fn runs_need_a_fresh_encryptor_and_a_possible_length() {
        let mut begun = fixed();
        begun.update(b"x", &mut []).unwrap();
        assert_eq!(begun.into_runs(1).unwrap_err().kind(), ErrorKind::InvalidInput);
        let mut begun = fixed();
        begun.update(&[0; CHUNK_LEN], &mut [0; SEALED_CHUNK_LEN]).unwrap();
        assert_eq!(begun.into_runs(1).unwrap_err().kind(), ErrorKind::InvalidInput);
        for len in [1 << 46, u64::MAX] {
            assert_eq!(fixed().into_runs(len).unwrap_err().kind(), ErrorKind::LimitExceeded);
        }
    }
}
