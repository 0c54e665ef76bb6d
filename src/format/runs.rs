//! Seals the chunks of one message in any order and from several threads.

use super::chunk::{CHUNK_LEN, ChunkCipher, SEALED_CHUNK_LEN, TAG_LEN};
use super::range;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Encrypts one message of a known length, as runs of consecutive chunks that threads claim and
/// seal on their own. No I/O, no waiting.
///
/// Comes from [`Encryptor::into_runs`](super::Encryptor::into_runs). [`claim`](Self::claim) gives
/// out every chunk once, and a claim is used up by sealing it, also when that fails: under one key
/// and nonce (`F-23`) two plaintexts would give both away, so there is no way to seal a chunk
/// again.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let envelope = Envelope::builder(LocalKeyWrapper::new("k", &DataKey::generate()?)?).build()?;
/// let plaintext = vec![7; 100_000];
/// let encryptor = envelope.encryptor(EncryptionContext::new()).await?;
/// let (header, runs) = encryptor.into_runs(plaintext.len() as u64)?;
/// let mut message = vec![0; header.len() + runs.chunks_len() as usize];
/// message[..header.len()].copy_from_slice(&header);
/// let claims: Vec<_> = std::iter::from_fn(|| runs.claim(2)).collect();
/// for claim in claims.into_iter().rev() {
///     let (from, to) = (claim.plaintext_range(), claim.sealed_range());
///     let out = &mut message[header.len()..][to.start as usize..to.end as usize];
///     claim.seal(&plaintext[from.start as usize..from.end as usize], out)?;
/// }
/// runs.finish()?;
/// assert_eq!(envelope.decrypt(&message, &DecryptPolicy::new()).await?, plaintext);
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
pub struct RunEncryptor {
    cipher: ChunkCipher,
    plaintext_len: u64,
    chunks: u64,
    next: AtomicU64,
    sealed: AtomicU64,
}

impl RunEncryptor {
    pub(super) fn new(cipher: ChunkCipher, plaintext_len: u64) -> Result<Self> {
        range::body_len(plaintext_len)?;
        let chunks = range::chunk_count(plaintext_len);
        Ok(Self {
            cipher,
            plaintext_len,
            chunks,
            next: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
        })
    }

    /// Bytes of all chunks together: what follows the header.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(40_000)?;
    /// assert_eq!(runs.chunks_len(), 40_000 + 3 * 16);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn chunks_len(&self) -> u64 {
        self.plaintext_len + self.chunks * TAG_LEN as u64
    }

    /// The next `count` chunks that nobody has claimed, fewer at the end of the message; nothing
    /// when all are claimed, or for a count of 0.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(40_000)?;
    /// assert_eq!(runs.claim(2).unwrap().plaintext_range(), 0..32_768);
    /// assert_eq!(runs.claim(2).unwrap().plaintext_range(), 32_768..40_000);
    /// assert!(runs.claim(2).is_none());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn claim(&self, count: u64) -> Option<RunClaim<'_>> {
        let claimed = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            // Stops at the end instead of counting on, so that no number can come twice.
            let end = next.saturating_add(count).min(self.chunks);
            (end > next).then_some(end)
        });
        let first = claimed.ok()?;
        Some(RunClaim { message: self, first, end: first.saturating_add(count).min(self.chunks) })
    }

    /// Confirms that every chunk was sealed.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(40_000)?;
    /// runs.claim(3).unwrap().seal(&[7; 40_000], &mut [0; 40_048])?;
    /// runs.finish()?;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if one was not; what was written is then not a message.
    pub fn finish(self) -> Result<()> {
        let sealed = self.sealed.into_inner();
        if sealed == self.chunks {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("message is not complete: {sealed} of its {} chunks were sealed", self.chunks),
        ))
    }
}

impl fmt::Debug for RunEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunEncryptor")
            .field("chunks", &self.chunks)
            .field("claimed", &self.next)
            .finish_non_exhaustive()
    }
}

/// The right to seal a run of chunks once. It cannot be copied, and is used up by sealing.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # use ncp_envelope::format::*;
/// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
/// let (front, runs) = encryptor.into_runs(40_000)?;
/// let claim = runs.claim(1).unwrap();
/// let mut sealed = vec![0; SEALED_CHUNK_LEN];
/// claim.seal(&[7; CHUNK_LEN], &mut sealed)?;
/// assert!(runs.finish().is_err(), "two chunks were not sealed");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct RunClaim<'a> {
    message: &'a RunEncryptor,
    first: u64,
    end: u64,
}

impl RunClaim<'_> {
    /// Which bytes of the plaintext the run holds. Empty for a last chunk without any.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(40_000)?;
    /// assert_eq!(runs.claim(3).unwrap().plaintext_range(), 0..40_000);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn plaintext_range(&self) -> Range<u64> {
        self.first * CHUNK_LEN as u64..(self.end * CHUNK_LEN as u64).min(self.message.plaintext_len)
    }

    /// Where the sealed run goes, in bytes behind the header.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(40_000)?;
    /// assert_eq!(runs.claim(3).unwrap().sealed_range(), 0..runs.chunks_len());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn sealed_range(&self) -> Range<u64> {
        let plaintext = self.plaintext_range();
        self.first * SEALED_CHUNK_LEN as u64..plaintext.end + self.end * TAG_LEN as u64
    }

    /// Seals the run into `out`. Both must be exactly as long as
    /// [`plaintext_range`](Self::plaintext_range) and [`sealed_range`](Self::sealed_range) say.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::*;
    /// # let encryptor = envelope.encryptor(EncryptionContext::new())?;
    /// let (front, runs) = encryptor.into_runs(40_000)?;
    /// let claim = runs.claim(3).unwrap();
    /// let (from, to) = (claim.plaintext_range(), claim.sealed_range());
    /// let mut message = front;
    /// let start = message.len();
    /// message.resize(start + to.end as usize, 0);
    /// claim.seal(&vec![7; from.end as usize], &mut message[start..])?;
    /// runs.finish()?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?.len(), 40_000);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for other lengths. The run is used up, and the message can no
    /// longer be completed.
    pub fn seal(self, plaintext: &[u8], out: &mut [u8]) -> Result<()> {
        let (from, to) = (self.plaintext_range(), self.sealed_range());
        if plaintext.len() as u64 != from.end - from.start || out.len() as u64 != to.end - to.start
        {
            let (from, to) = (from.end - from.start, to.end - to.start);
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("this run has {from} bytes of plaintext and {to} bytes sealed"),
            ));
        }
        // A last chunk without plaintext gives no input slice, so the two are not zipped (F-24).
        for (index, out) in (self.first..self.end).zip(out.chunks_mut(SEALED_CHUNK_LEN)) {
            let at = (index - self.first) as usize * CHUNK_LEN;
            self.message.cipher.seal(index, &plaintext[at..at + out.len() - TAG_LEN], out)?;
        }
        self.message.sealed.fetch_add(self.end - self.first, Ordering::Relaxed);
        Ok(())
    }
}

impl fmt::Debug for RunClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunClaim").field("first", &self.first).field("end", &self.end).finish()
    }
}
