//! Where a byte is: the closed-form arithmetic of bodies (`F-24`, `F-25`), and opening any run of
//! chunks.
//!
//! ```
//! use ncp_envelope::format::range;
//! let body = range::body_len(40_000)?;
//! assert_eq!(body, 56 + 40_000 + 3 * 16);
//! assert_eq!(range::plaintext_len(body)?, 40_000);
//! let run = range::covering(16_000, 1_000, 40_000)?;
//! assert_eq!((run.first, run.count), (0, 2));
//! # Ok::<(), ncp_envelope::Error>(())
//! ```

use super::chunk::{CHUNK_LEN, ChunkCipher, MAX_CHUNKS, SEALED_CHUNK_LEN, TAG_LEN};
use super::{BoundHeader, PREAMBLE_LEN, derive};
use crate::crypto::CipherBackend;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use std::fmt;
use zeroize::Zeroize;

const CHUNK: u64 = CHUNK_LEN as u64;
const SEALED: u64 = SEALED_CHUNK_LEN as u64;
const TAG: u64 = TAG_LEN as u64;
const PREAMBLE: u64 = PREAMBLE_LEN as u64;

/// Number of chunks of a plaintext of this many bytes.
///
/// ```
/// use ncp_envelope::format::range;
/// assert_eq!(range::chunk_count(16_383), 1);
/// assert_eq!(range::chunk_count(16_384), 2, "the last chunk is empty");
/// ```
pub fn chunk_count(plaintext_len: u64) -> u64 {
    plaintext_len / CHUNK + 1
}

/// Length of the body of a plaintext of this many bytes.
///
/// ```
/// use ncp_envelope::format::range;
/// assert_eq!(range::body_len(5)?, 56 + 5 + 16);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::LimitExceeded`] for more than 2^32 chunks (`F-26`).
pub fn body_len(plaintext_len: u64) -> Result<u64> {
    let chunks = chunk_count(plaintext_len);
    if chunks > MAX_CHUNKS {
        return Err(Error::new(ErrorKind::LimitExceeded, "a message holds less than 64 TiB"));
    }
    Ok(PREAMBLE + plaintext_len + chunks * TAG)
}

/// Length of the plaintext in a body of this many bytes. Not authenticated until the last chunk was
/// opened.
///
/// ```
/// use ncp_envelope::format::range;
/// assert_eq!(range::plaintext_len(56 + 5 + 16)?, 5);
/// assert!(range::plaintext_len(56).is_err(), "there is always a last chunk");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Truncated`] for a length no body has (`F-25`), [`ErrorKind::LimitExceeded`] for
/// more than 2^32 chunks.
pub fn plaintext_len(body_len: u64) -> Result<u64> {
    let truncated = || {
        Error::new(
            ErrorKind::Truncated,
            format!("message is truncated: no body has {body_len} bytes"),
        )
    };
    let chunks = body_len.checked_sub(PREAMBLE).ok_or_else(truncated)?;
    let (full, last) = (chunks / SEALED, chunks % SEALED);
    if last < TAG {
        return Err(truncated());
    }
    if full >= MAX_CHUNKS {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            "a message holds at most 2^32 chunks (64 TiB)",
        ));
    }
    Ok(full * CHUNK + last - TAG)
}

/// Offset of a chunk in the body; for a number that no message reaches, no less than any body is
/// long.
///
/// ```
/// use ncp_envelope::format::range;
/// assert_eq!(range::chunk_offset(0), 56);
/// assert_eq!(range::chunk_offset(2), 56 + 2 * 16_400);
/// ```
pub fn chunk_offset(index: u64) -> u64 {
    index.saturating_mul(SEALED).saturating_add(PREAMBLE)
}

/// A run of whole chunks.
///
/// ```
/// use ncp_envelope::format::range;
/// let run = range::covering(20_000, 10, 40_000)?;
/// assert_eq!(run.skip, 20_000 - 16_384);
/// let bytes = run.offset..run.offset + run.len;
/// assert_eq!(bytes, 56 + 16_400..56 + 2 * 16_400);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first chunk.
    pub first: u64,
    /// How many chunks.
    pub count: u64,
    /// Where the run starts in the body, in bytes.
    pub offset: u64,
    /// How many bytes it takes in the body.
    pub len: u64,
    /// How many plaintext bytes of the run come before the wanted ones.
    pub skip: u64,
}

/// The chunks that hold `len` bytes at `offset` of a plaintext of `plaintext_len` bytes. An empty
/// range is the one chunk at `offset`.
///
/// ```
/// use ncp_envelope::format::range;
/// let run = range::covering(16_383, 2, 40_000)?;
/// assert_eq!((run.first, run.count), (0, 2));
/// assert!(range::covering(39_999, 2, 40_000).is_err());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the range goes past the end.
pub fn covering(offset: u64, len: u64, plaintext_len: u64) -> Result<Run> {
    let end = offset.checked_add(len).filter(|end| *end <= plaintext_len).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("range of {len} bytes at {offset} goes past the end at {plaintext_len}"),
        )
    })?;
    let body = body_len(plaintext_len)?;
    let first = offset / CHUNK;
    let last = if len == 0 { first } else { (end - 1) / CHUNK };
    let run_end = chunk_offset(last + 1).min(body);
    let start = chunk_offset(first);
    Ok(Run {
        first,
        count: last - first + 1,
        offset: start,
        len: run_end - start,
        skip: offset - first * CHUNK,
    })
}

/// Opens chunks of one message in any order, after verifying its commitment once.
///
/// A run says nothing about the length of the message: only opening the last chunk, the one
/// [`plaintext_len`] finds from the body's length, authenticates where the message ends.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # use ncp_envelope::format::*;
/// # let message = envelope.encrypt(vec![7; 40_000], EncryptionContext::new())?;
/// # let header = Header::decode(&message)?;
/// let body = &message[header.bound().body_offset()..];
/// # let preamble = body.first_chunk().unwrap();
/// let decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?.into_range();
/// let run = range::covering(20_000, 10, 40_000)?;
/// let sealed = &body[run.offset as usize..][..run.len as usize];
/// let mut out = vec![0; CHUNK_LEN];
/// let len = decryptor.open(run.first, sealed, &mut out)?;
/// assert_eq!(out[run.skip as usize..len][..10], [7; 10]);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct RangeDecryptor {
    cipher: ChunkCipher,
}

impl RangeDecryptor {
    /// As [`Decryptor::new`](super::Decryptor::new).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// use ncp_envelope::format::{BoundHeader, Encryptor, Header, Profile, RangeDecryptor};
    /// # let message = envelope.encrypt("", EncryptionContext::new())?;
    /// # let slots = Header::decode(&message)?.slots().clone();
    /// # let context = EncryptionContext::new().with("kind", "note")?;
    /// # let key = DataKey::generate()?;
    /// # let bound = BoundHeader::new(Profile::Compact, &context, false, &slots)?;
    /// let encryptor = Encryptor::new(&key, &bound, &slots, b"")?;
    /// let preamble = encryptor.front()[bound.body_offset()..].first_chunk().unwrap();
    /// assert!(RangeDecryptor::new(&key, &bound, preamble, b"").is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Decryptor::new`](super::Decryptor::new).
    pub fn new(
        key: &DataKey,
        bound: &BoundHeader,
        preamble: &[u8; PREAMBLE_LEN],
        aad: &[u8],
    ) -> Result<Self> {
        bound.check_aad(aad)?;
        Ok(Self::with(derive::resume(
            CipherBackend::chosen()?,
            key,
            bound.as_bytes(),
            aad,
            preamble,
        )?))
    }

    pub(super) fn with(cipher: ChunkCipher) -> Self {
        Self { cipher }
    }

    /// Opens the consecutive chunks in `sealed`, of which `first` is the number of the first, into
    /// the start of `out`. Only the message's last chunk may be shorter than the others. Returns
    /// the number of plaintext bytes; on failure `out` holds zeros.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let message = envelope.encrypt(vec![7; 40_000], EncryptionContext::new())?;
    /// # let header = Header::decode(&message)?;
    /// let body = &message[header.bound().body_offset()..];
    /// # let preamble = body.first_chunk().unwrap();
    /// # let decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?.into_range();
    /// let last = &body[range::chunk_offset(2) as usize..];
    /// let mut out = vec![0; 16_384];
    /// assert_eq!(decryptor.open(2, last, &mut out)?, 40_000 - 2 * 16_384);
    /// assert!(decryptor.open(1, last, &mut out).is_err(), "a chunk opens at its own place only");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`], [`ErrorKind::Truncated`], or [`ErrorKind::InvalidInput`] if
    /// `out` is too short.
    pub fn open(&self, first: u64, sealed: &[u8], out: &mut [u8]) -> Result<usize> {
        let len = opened_len(first, sealed.len())?;
        let Some(out) = out.get_mut(..len) else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the run needs {len} bytes of output"),
            ));
        };
        // A chunk of no plaintext gives no output slice, so the two are not zipped.
        for (index, chunk) in (first..).zip(sealed.chunks(SEALED_CHUNK_LEN)) {
            let at = (index - first) as usize * CHUNK_LEN;
            if let Err(error) =
                self.cipher.open(index, chunk, &mut out[at..at + chunk.len() - TAG_LEN])
            {
                out.zeroize();
                return Err(error);
            }
        }
        Ok(len)
    }

    /// As [`open`](Self::open), with both in one buffer: what stands in `buf` from `sealed_at` to
    /// its end is opened into its front, and the two must not overlap. A library that works in
    /// place needs no copy then.
    pub(crate) fn open_behind(
        &self,
        first: u64,
        buf: &mut [u8],
        sealed_at: usize,
    ) -> Result<usize> {
        let sealed_len = buf.len().saturating_sub(sealed_at);
        let len = opened_len(first, sealed_len)?;
        if sealed_at < len {
            let what = "a run cannot be opened over itself";
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        for (number, start) in (0..sealed_len).step_by(SEALED_CHUNK_LEN).enumerate() {
            let at = number * CHUNK_LEN;
            let end = (start + SEALED_CHUNK_LEN).min(sealed_len);
            let chunk = &mut buf[at..sealed_at + end];
            let opened =
                self.cipher.open_behind(first + number as u64, chunk, sealed_at + start - at);
            if let Err(error) = opened {
                buf[..len].zeroize();
                return Err(error);
            }
        }
        Ok(len)
    }
}

/// The plaintext bytes of a run of chunks.
fn opened_len(first: u64, sealed_len: usize) -> Result<usize> {
    let tail = sealed_len % SEALED_CHUNK_LEN;
    if sealed_len == 0 || (tail != 0 && tail < TAG_LEN) {
        return Err(Error::new(ErrorKind::Truncated, "message is truncated: a chunk is cut short"));
    }
    let count = sealed_len.div_ceil(SEALED_CHUNK_LEN);
    // F-26; past it, counting on could overflow.
    if first.saturating_add(count as u64) > MAX_CHUNKS {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            "a message holds at most 2^32 chunks (64 TiB)",
        ));
    }
    Ok(sealed_len - count * TAG_LEN)
}

impl fmt::Debug for RangeDecryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RangeDecryptor(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // F-24, F-25
    #[test]
    fn lengths_are_inverse_and_gaps_are_truncated() {
        for len in [0, 1, 16_383, 16_384, 16_385, 32_768, 49_151, 1 << 40] {
            assert_eq!(plaintext_len(body_len(len).unwrap()).unwrap(), len);
        }
        for r in 0..16 {
            for n in [0, 1, 7] {
                assert_eq!(
                    plaintext_len(56 + n * 16_400 + r).unwrap_err().kind(),
                    ErrorKind::Truncated
                );
            }
        }
        assert_eq!(plaintext_len(55).unwrap_err().kind(), ErrorKind::Truncated);
        assert_eq!(plaintext_len(u64::MAX).unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(body_len((1 << 46) - 1).unwrap(), 56 + (1 << 46) - 1 + (1 << 36));
        assert_eq!(body_len(1 << 46).unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(body_len(u64::MAX).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn covering_runs() {
        assert_eq!(
            covering(0, 0, 0).unwrap(),
            Run { first: 0, count: 1, offset: 56, len: 16, skip: 0 }
        );
        assert_eq!(
            covering(16_383, 2, 40_000).unwrap(),
            Run { first: 0, count: 2, offset: 56, len: 32_800, skip: 16_383 }
        );
        // Up to a chunk's last byte, and the next.
        for (len, count, bytes) in [(16_383, 1, 16_400), (16_384, 1, 16_400), (16_385, 2, 32_800)] {
            let run = Run { first: 0, count, offset: 56, len: bytes, skip: 0 };
            assert_eq!(covering(0, len, 40_000).unwrap(), run);
        }
        assert_eq!(
            covering(32_768, 7_232, 40_000).unwrap(),
            Run { first: 2, count: 1, offset: 56 + 32_800, len: 7_248, skip: 0 }
        );
        assert_eq!(
            covering(16_384, 0, 16_384).unwrap(),
            Run { first: 1, count: 1, offset: 16_456, len: 16, skip: 0 }
        );
        assert_eq!(chunk_offset(u64::MAX), u64::MAX);
        assert!(covering(1, u64::MAX, 40_000).is_err());
        assert!(covering(40_001, 0, 40_000).is_err());
    }

    fn decryptor() -> RangeDecryptor {
        use crate::format::{Profile, SlotTable};
        use crate::wrap::{KeyId, Provider, WrappedKey, ZoneHint};
        let slot = WrappedKey::new(KeyId::new(Provider::Local, ZoneHint::None, "k").unwrap(), [1])
            .unwrap();
        let slots = SlotTable::new(vec![slot]).unwrap();
        let bound =
            BoundHeader::new(Profile::Compact, &crate::EncryptionContext::new(), false, &slots)
                .unwrap();
        let key = DataKey::generate().unwrap();
        let (preamble, _) =
            derive::start(CipherBackend::AwsLc, &key, bound.as_bytes(), b"").unwrap();
        RangeDecryptor::new(&key, &bound, &preamble, b"").unwrap()
    }

    // F-26
    #[test]
    fn runs_past_the_last_possible_chunk_are_refused() {
        let run = decryptor();
        for first in [MAX_CHUNKS, MAX_CHUNKS - 1, u64::MAX] {
            let error =
                run.open(first, &[0; SEALED_CHUNK_LEN + 20], &mut [0; 2 * CHUNK_LEN]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        }
        let sealed = [0; SEALED_CHUNK_LEN + 20];
        let last = run.open(MAX_CHUNKS - 2, &sealed, &mut [0; 2 * CHUNK_LEN]).unwrap_err();
        assert_eq!(last.kind(), ErrorKind::Authentication, "the last two may be there");
    }

    // F-25
    #[test]
    fn runs_of_no_possible_length_are_truncated() {
        let (run, sealed) = (decryptor(), [0; 2 * SEALED_CHUNK_LEN]);
        let kind = |len: usize, room: usize| {
            run.open(0, &sealed[..len], &mut vec![0; room]).unwrap_err().kind()
        };
        for len in [0, 1, 15, SEALED_CHUNK_LEN + 1, SEALED_CHUNK_LEN + 15] {
            assert_eq!(kind(len, 2 * CHUNK_LEN), ErrorKind::Truncated, "{len}");
        }
        for (len, room) in [(16, 0), (17, 1), (SEALED_CHUNK_LEN, CHUNK_LEN)] {
            assert_eq!(kind(len, room), ErrorKind::Authentication, "{len}");
        }
        for (len, room) in [(17, 0), (SEALED_CHUNK_LEN + 16, CHUNK_LEN - 1)] {
            assert_eq!(kind(len, room), ErrorKind::InvalidInput, "{len}");
        }
    }
    // F-24, F-27
    #[test]
    fn a_run_is_opened_in_one_buffer_as_in_two() {
        use crate::format::testing::{fixed_decryptor, fixed_message, sample};
        for len in [0, 1, 16_384, 40_000, 49_152] {
            let mut message = fixed_message(&sample(len));
            let (decryptor, body) = fixed_decryptor(&message);
            let run = decryptor.into_range();
            let start = body + PREAMBLE_LEN;
            for between in [0, 1, 4_096] {
                let at = len + between;
                let mut buf = [&vec![1; at], &message[start..]].concat();
                assert_eq!(run.open_behind(0, &mut buf, at).unwrap(), len);
                assert!(buf[..len] == sample(len));
            }
            *message.last_mut().unwrap() ^= 1;
            let mut buf = [&vec![1; len], &message[start..]].concat();
            let error = run.open_behind(0, &mut buf, len).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication);
            assert!(buf[..len].iter().all(|byte| *byte == 0));
            // They would overlap: the last byte is missing in front of the sealed ones.
            if len > 0 {
                let error = run.open_behind(0, &mut buf[1..], len - 1).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
        }
    }
}
