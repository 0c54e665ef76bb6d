//! Ranges on the calling thread.

use super::front::Front;
use super::opened::{Opened, shorter};
use super::out::Out;
use super::source::ReadAt;
use super::wanted::{Wanted, exactly, forwards, last};
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::format::Plan;
use crate::policy::ToDecryptPolicy;
use std::fmt;
use std::io;
use std::ops::{Range, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The most chunks that are read at once, 1 MiB: that much is held of a range of any length,
/// beside its plaintext.
const RUN: u64 = 64;

impl Envelope {
    /// A reader of ranges of the message in `source`. Reads the header now, on this thread and
    /// together with what follows it in the first 64 KiB, and asks for the key if `policy` admits
    /// it; never again, however many ranges are read.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let message = envelope.encrypt(b"any number of bytes", EncryptionContext::new()).await?;
    /// let reader = envelope.range_reader(&message[..], &DecryptPolicy::new()).await?;
    /// assert_eq!(*reader.read_at(4, 6)?, *b"number");
    /// assert_eq!(*reader.read_last(5)?, *b"bytes");
    /// assert_eq!(reader.len()?, 19);
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt), except for damage after the header: ranges that touch it
    /// report it. [`ErrorKind::Io`](crate::ErrorKind::Io) if the source fails.
    pub async fn range_reader<S: ReadAt>(
        &self,
        source: S,
        policy: impl ToDecryptPolicy,
    ) -> Result<RangeReader<S>> {
        let policy = &*policy.to_policy()?;
        let mut front = Front::new();
        while let Some(range) = front.missing() {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let len = fill(&source, &mut bytes, range.start)?;
            front.add(range, &bytes[..len]);
        }
        let (header, preamble) = front.decode(|header| self.admit(header, policy))?;
        let len = match front.source_len() {
            Some(len) => len,
            None => source.len().map_err(cannot_read)?,
        };
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        let message = Opened::new(header, decryptor, front, len);
        let inner = Inner { source, message, ending: Mutex::new(()) };
        Ok(RangeReader { inner: Arc::new(inner), gap: 0 })
    }
}

/// Reads ranges of a message's plaintext, and only what they need of its source. Cheap to clone;
/// clones, and threads, read from one message at the same time.
///
/// Every byte it returns is verified: it is the byte that was written at that offset. A damaged
/// message is refused only by ranges that touch the damage. A truncated one is refused by ranges in
/// the missing part, and by everything that depends on the end: the [length](Self::len) and ranges
/// relative to the end are available only after the last chunk was opened, which happens once.
///
/// A range reads its own bytes of the source and less than two chunks (32 KiB) around them; the
/// first 64 KiB were read with the header and are kept. Beside the plaintext, at most 1 MiB is in
/// memory. Plaintext is wiped when dropped, and when a range fails.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
/// let reader = envelope.range_reader(message, DecryptPolicy::new())?;
/// let also = reader.clone();
/// std::thread::scope(|scope| {
///     scope.spawn(move || assert_eq!(*also.read_at(0, 3).unwrap(), *b"any"));
///     assert_eq!(*reader.read_at(4, 6).unwrap(), *b"number");
/// });
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct RangeReader<S> {
    inner: Arc<Inner<S>>,
    gap: u64,
}

struct Inner<S> {
    source: S,
    message: Opened,
    /// Held while the last chunk is opened.
    ending: Mutex<()>,
}

impl<S: ReadAt> RangeReader<S> {
    /// The `len` bytes at `offset`. An empty range verifies the chunk that it lies in.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert_eq!(*reader.read_at(4, 6)?, *b"number");
    /// assert!(reader.read_at(4, 600).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if they go past the end of the
    /// message, [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if they do not fit
    /// memory; [`ErrorKind::Authentication`](crate::ErrorKind::Authentication) and
    /// [`ErrorKind::Truncated`](crate::ErrorKind::Truncated) for a message that is damaged there,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the source fails.
    pub fn read_at(&self, offset: u64, len: u64) -> Result<Zeroizing<Vec<u8>>> {
        self.one(exactly(offset, len))
    }

    /// Fills `buf` with the bytes at `offset`.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// let mut word = [0; 6];
    /// reader.read_into(&mut word, 4)?;
    /// assert_eq!(word, *b"number");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at); `buf` holds zeros then.
    pub fn read_into(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let range = exactly(offset, buf.len() as u64);
        let mut outs = [Out::given(buf)];
        let result = self.check(&range).and_then(|()| self.fetch(&[range], &mut outs));
        if result.is_err() {
            outs[0].wipe();
        }
        result
    }

    /// The bytes in `range`, as in HTTP: an end past the message's end means the message's end.
    /// `..` is the whole message.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert_eq!(*reader.read(..3)?, *b"any");
    /// assert_eq!(*reader.read(14..600)?, *b"bytes");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at), and
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the range begins at or past
    /// the end.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Result<Zeroizing<Vec<u8>>> {
        self.one(self.resolve(range)?)
    }

    /// The last `n` bytes; all, if there are fewer.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert_eq!(*reader.read_last(5)?, *b"bytes");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    pub fn read_last(&self, n: u64) -> Result<Zeroizing<Vec<u8>>> {
        self.one(last(n, self.len()?))
    }

    /// The bytes of each range. Ranges whose chunks are neighbours, or shared, are read from the
    /// source together.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// let words = reader.read_many(&[0..3, 14..19])?;
    /// assert_eq!((&words[0][..], &words[1][..]), (&b"any"[..], &b"bytes"[..]));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at), for the first of them that is refused;
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for one that ends before it
    /// begins.
    pub fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        for range in ranges {
            forwards(range.start, range.end)?;
            self.check(range)?;
        }
        let room = |range: &Range<u64>| Out::new(range.end - range.start);
        let mut outs = ranges.iter().map(room).collect::<Result<Vec<_>>>()?;
        self.fetch(ranges, &mut outs)?;
        Ok(outs.into_iter().map(Out::into_new).collect())
    }

    /// The range that [`read`](Self::read) would read.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert_eq!(reader.resolve(14..600)?, 14..19);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn resolve(&self, range: impl RangeBounds<u64>) -> Result<Range<u64>> {
        let wanted = Wanted::of(range)?;
        match wanted.within_whole(self.inner.message.whole_len()) {
            Some(range) => Ok(range),
            None => wanted.within(self.len()?),
        }
    }

    /// Length of the plaintext, after the last chunk was opened.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert_eq!(reader.len()?, 19);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`](crate::ErrorKind::Authentication) and
    /// [`ErrorKind::Truncated`](crate::ErrorKind::Truncated) for a message that does not end as it
    /// was written, [`ErrorKind::Io`](crate::ErrorKind::Io) if the source fails.
    pub fn len(&self) -> Result<u64> {
        let Inner { message, ending, .. } = &*self.inner;
        if let Some(len) = message.len() {
            return Ok(len);
        }
        let _one_opens = ending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(len) = message.len() {
            return Ok(len);
        }
        let mut buf = Vec::new();
        message.open_last(self.sealed(message.last_chunk()?, &mut buf)?)
    }

    /// Whether the plaintext is empty.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert!(!reader.is_empty()?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Has [`read_many`](Self::read_many) read ranges together that have up to `bytes` of the
    /// source between them; 0 unless set. What lies between is read and not opened.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// // A seek of this disk takes as long as reading 64 KiB.
    /// let reader = reader.merge_gap(65_536);
    /// let words = reader.read_many(&[0..3, 14..19])?;
    /// assert_eq!(words.len(), 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn merge_gap(mut self, bytes: u64) -> Self {
        self.gap = bytes;
        self
    }

    /// Plaintext bytes before the last chunk: ranges in them do not need the end.
    pub(super) fn whole_len(&self) -> u64 {
        self.inner.message.whole_len()
    }

    /// The plaintext from `offset` on that is in the last chunk, which is opened if it was not yet.
    pub(super) fn in_last(&self, offset: u64) -> Result<&[u8]> {
        self.len()?;
        Ok(self.inner.message.in_last(offset))
    }

    fn one(&self, range: Range<u64>) -> Result<Zeroizing<Vec<u8>>> {
        self.check(&range)?;
        let mut outs = [Out::new(range.end - range.start)?];
        self.fetch(&[range], &mut outs)?;
        let [out] = outs;
        Ok(out.into_new())
    }

    /// Refuses a range that goes past the end, which is proven if it depends on that.
    fn check(&self, range: &Range<u64>) -> Result<()> {
        if self.inner.message.needs_end(range) {
            self.len()?;
        }
        self.inner.message.check(range)
    }

    /// Fills `outs` with `ranges`, which were checked.
    fn fetch(&self, ranges: &[Range<u64>], outs: &mut [Out<'_>]) -> Result<()> {
        let message = &self.inner.message;
        let plan = Plan::new(ranges, message.whole_len(), self.gap);
        let mut buf = Vec::new();
        for fetch in plan.fetches(RUN) {
            let sealed = self.sealed(fetch.bytes(), &mut buf)?;
            message.open(&plan, fetch, sealed, outs)?;
        }
        message.finish(ranges, outs);
        Ok(())
    }

    /// These bytes of the chunks; in `buf`, unless they are in memory already.
    fn sealed<'a>(&'a self, chunks: Range<u64>, buf: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let Inner { source, message, .. } = &*self.inner;
        let (held, at) = (message.held(&chunks), message.in_source(&chunks));
        // No longer than a run.
        let len = (chunks.end - chunks.start) as usize;
        if held.len() == len {
            return Ok(held);
        }
        if let Some(bytes) = source.bytes_at(at.start, len).filter(|bytes| (**bytes).len() == len) {
            return Ok(bytes);
        }
        if buf.len() < len {
            buf.resize(len, 0);
        }
        let (front, rest) = buf[..len].split_at_mut(held.len());
        front.copy_from_slice(held);
        match fill(source, rest, at.start + held.len() as u64)? == rest.len() {
            true => Ok(&buf[..len]),
            false => Err(shorter()),
        }
    }
}

impl<S> RangeReader<S> {
    /// The encryption context of the message, which is authentic.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// assert_eq!(reader.context().get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        self.inner.message.header().bound().context()
    }
}

/// Reads until `buf` is full or the source ends.
fn fill(source: &impl ReadAt, buf: &mut [u8], offset: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match source.read_at(&mut buf[filled..], offset + filled as u64) {
            Ok(0) => break,
            // No source is believed to have written past its buffer.
            Ok(len) => filled = buf.len().min(filled + len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot_read(error)),
        }
    }
    Ok(filled)
}

pub(super) fn cannot_read(error: io::Error) -> Error {
    Error::io("cannot read the message", error)
}

impl<S> Clone for RangeReader<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gap: self.gap }
    }
}

impl<S> fmt::Debug for RangeReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeReader").field("gap", &self.gap).finish_non_exhaustive()
    }
}
