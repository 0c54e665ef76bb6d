//! Ranges over a network: the same as on a thread, with several requests in flight.

use super::front::Front;
use super::opened::{Opened, shorter};
use super::out::Out;
use super::reader::cannot_read;
use super::source::GetRange;
use super::together::{InOrder, give_way};
use super::wanted::{Wanted, exactly, forwards, last};
use crate::context::EncryptionContext;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Plan;
use crate::policy::ToDecryptPolicy;
use std::fmt;
use std::ops::{Range, RangeBounds};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most chunks that one request asks for, 1 MiB, and requests that are in flight at once for
/// one call: that much is held of a range of any length, beside its plaintext.
const RUN: u64 = 64;
const REQUESTS: usize = 8;

impl Envelope {
    /// As [`range_reader`](Self::range_reader), for a source that is read over a network. Works on
    /// any executor.
    ///
    /// A message of less than 64 KiB takes one request in total; for a longer one the length is
    /// requested, too.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// // Store is a GetRange: it asks an object store for ranges of an object.
    /// let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert_eq!(*reader.read_at(4, 6).await?, *b"number");
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`range_reader`](Self::range_reader).
    pub async fn async_range_reader<S: GetRange>(
        &self,
        source: S,
        policy: impl ToDecryptPolicy,
    ) -> Result<AsyncRangeReader<S>> {
        let policy = &*policy.to_policy()?;
        let mut front = Front::new();
        while let Some(range) = front.missing() {
            let bytes = get(&source, range.clone()).await?;
            front.add(range, bytes.as_ref());
        }
        let (header, preamble) = front.decode(|header| self.admit(header, policy))?;
        let len = match front.source_len() {
            Some(len) => len,
            None => source.len().await.map_err(cannot_read)?,
        };
        let decryptor = self.decryptor(&header, &preamble, policy).await?;
        let message = Opened::new(header, decryptor, front, len);
        Ok(AsyncRangeReader { inner: Arc::new(Inner { source, message }), gap: 0 })
    }
}

/// As [`RangeReader`](super::RangeReader), asynchronously. Cheap to clone; clones, and tasks, read
/// from one message at the same time.
///
/// A call asks for 1 MiB at a time and has up to eight requests in flight, so at most 8 MiB are in
/// memory beside its plaintext. Chunks are opened where the future is polled, those of one request
/// at a time, and then the task yields. A dropped future leaves nothing but what it wrote into a
/// buffer of the caller's.
///
/// ```
/// # use ncp_envelope::*;
/// # use ncp_envelope::blocking::wait;
/// # use ncp_envelope::io::GetRange;
/// # use ncp_envelope::wrap::BoxFuture;
/// # use std::io;
/// # use std::ops::Range;
/// # struct Store(Vec<u8>);
/// # impl GetRange for Store {
/// #     type Bytes = Vec<u8>;
/// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
/// #         let range = range.start as usize..self.0.len().min(range.end as usize);
/// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
/// #     }
/// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
/// #         Box::pin(async move { Ok(self.0.len() as u64) })
/// #     }
/// # }
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// # wait(async {
/// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
/// let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
/// let also = reader.clone();
/// assert_eq!(*reader.read(..3).await?, *b"any");
/// assert_eq!(*also.read_last(5).await?, *b"bytes");
/// # Ok::<(), ncp_envelope::Error>(()) })??;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct AsyncRangeReader<S> {
    inner: Arc<Inner<S>>,
    gap: u64,
}

struct Inner<S> {
    source: S,
    message: Opened,
}

impl<S: GetRange> AsyncRangeReader<S> {
    /// As [`RangeReader::read_at`](super::RangeReader::read_at).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert_eq!(*reader.read_at(4, 6).await?, *b"number");
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn read_at(&self, offset: u64, len: u64) -> Result<Zeroizing<Vec<u8>>> {
        self.one(exactly(offset, len)).await
    }

    /// As [`RangeReader::read_into`](super::RangeReader::read_into).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// let mut word = [0; 6];
    /// reader.read_into(&mut word, 4).await?;
    /// assert_eq!(word, *b"number");
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn read_into(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let range = exactly(offset, buf.len() as u64);
        let mut outs = [Out::given(buf)];
        let result = match self.check(&range).await {
            Ok(()) => self.fetch(&[range], &mut outs).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            outs[0].wipe();
        }
        result
    }

    /// As [`RangeReader::read`](super::RangeReader::read).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert_eq!(*reader.read(14..600).await?, *b"bytes");
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, range: impl RangeBounds<u64>) -> Result<Zeroizing<Vec<u8>>> {
        let wanted = Wanted::of(range)?;
        let range = match wanted.within_whole(self.inner.message.whole_len()) {
            Some(range) => range,
            None => wanted.within(self.len().await?)?,
        };
        self.one(range).await
    }

    /// As [`RangeReader::read_last`](super::RangeReader::read_last).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert_eq!(*reader.read_last(5).await?, *b"bytes");
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn read_last(&self, n: u64) -> Result<Zeroizing<Vec<u8>>> {
        let range = last(n, self.len().await?);
        self.one(range).await
    }

    /// As [`RangeReader::read_many`](super::RangeReader::read_many); the ranges are requested
    /// concurrently.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// let words = reader.read_many(&[0..3, 14..19]).await?;
    /// assert_eq!((&words[0][..], &words[1][..]), (&b"any"[..], &b"bytes"[..]));
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn read_many(&self, ranges: &[Range<u64>]) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        for range in ranges {
            forwards(range.start, range.end)?;
            self.check(range).await?;
        }
        let room = |range: &Range<u64>| Out::new(range.end - range.start);
        let mut outs = ranges.iter().map(room).collect::<Result<Vec<_>>>()?;
        self.fetch(ranges, &mut outs).await?;
        Ok(outs.into_iter().map(Out::into_new).collect())
    }

    /// As [`RangeReader::len`](super::RangeReader::len). Concurrent calls may each request the last
    /// chunk.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert_eq!(reader.len().await?, 19);
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn len(&self) -> Result<u64> {
        let message = &self.inner.message;
        if let Some(len) = message.len() {
            return Ok(len);
        }
        message.open_last(self.sealed(message.last_chunk()?).await?.as_ref())
    }

    /// As [`RangeReader::is_empty`](super::RangeReader::is_empty).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert!(!reader.is_empty().await?);
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }

    /// As [`RangeReader::merge_gap`](super::RangeReader::merge_gap). A request costs some
    /// milliseconds, in which many bytes could be read: 256 KiB is a good start for an object
    /// store.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// let reader = reader.merge_gap(256 << 10);
    /// assert_eq!(reader.read_many(&[0..3, 14..19]).await?.len(), 2);
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn merge_gap(mut self, bytes: u64) -> Self {
        self.gap = bytes;
        self
    }

    async fn one(&self, range: Range<u64>) -> Result<Zeroizing<Vec<u8>>> {
        self.check(&range).await?;
        let mut outs = [Out::new(range.end - range.start)?];
        self.fetch(&[range], &mut outs).await?;
        let [out] = outs;
        Ok(out.into_new())
    }

    async fn check(&self, range: &Range<u64>) -> Result<()> {
        if self.inner.message.needs_end(range) {
            self.len().await?;
        }
        self.inner.message.check(range)
    }

    /// Fills `outs` with `ranges`, which were checked.
    async fn fetch(&self, ranges: &[Range<u64>], outs: &mut [Out<'_>]) -> Result<()> {
        let message = &self.inner.message;
        let plan = Plan::new(ranges, message.whole_len(), self.gap);
        let mut fetches = plan.fetches(RUN);
        let mut in_flight = InOrder::new();
        loop {
            while in_flight.len() < REQUESTS
                && let Some(fetch) = fetches.next()
            {
                in_flight.push(async move { (fetch, self.sealed(fetch.bytes()).await) });
            }
            let Some((fetch, sealed)) = in_flight.next().await else { break };
            message.open(&plan, fetch, sealed?.as_ref(), outs)?;
            give_way().await;
        }
        message.finish(ranges, outs);
        Ok(())
    }

    /// These bytes of the chunks, requested unless they are in memory.
    async fn sealed(&self, chunks: Range<u64>) -> Result<Sealed<'_, S::Bytes>> {
        let Inner { source, message } = &*self.inner;
        let held = message.held(&chunks);
        let len = chunks.end - chunks.start;
        if held.len() as u64 == len {
            return Ok(Sealed::Held(held));
        }
        let mut range = message.in_source(&chunks);
        range.start += held.len() as u64;
        let wanted = range.end - range.start;
        let bytes = get(source, range).await?;
        match bytes.as_ref().len() as u64 == wanted {
            true if held.is_empty() => Ok(Sealed::Given(bytes)),
            true => Ok(Sealed::Joined([held, bytes.as_ref()].concat())),
            false => Err(shorter()),
        }
    }
}

impl<S> AsyncRangeReader<S> {
    /// As [`RangeReader::context`](super::RangeReader::context).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::io::GetRange;
    /// # use ncp_envelope::wrap::BoxFuture;
    /// # use std::io;
    /// # use std::ops::Range;
    /// # struct Store(Vec<u8>);
    /// # impl GetRange for Store {
    /// #     type Bytes = Vec<u8>;
    /// #     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
    /// #         let range = range.start as usize..self.0.len().min(range.end as usize);
    /// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
    /// #     }
    /// #     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
    /// #         Box::pin(async move { Ok(self.0.len() as u64) })
    /// #     }
    /// # }
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # wait(async {
    /// # let message = envelope.encrypt("any number of bytes", [("kind", "note")]).await?;
    /// # let reader = envelope.async_range_reader(Store(message), DecryptPolicy::new()).await?;
    /// assert_eq!(reader.context().get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(()) })??;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        self.inner.message.header().bound().context()
    }
}

/// What a source gave, and what was kept of it.
enum Sealed<'a, B> {
    Held(&'a [u8]),
    Given(B),
    Joined(Vec<u8>),
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Sealed<'_, B> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Held(bytes) => bytes,
            Self::Given(bytes) => bytes.as_ref(),
            Self::Joined(bytes) => bytes,
        }
    }
}

/// Requests `range`, and refuses a longer answer.
async fn get<S: GetRange>(source: &S, range: Range<u64>) -> Result<S::Bytes> {
    let wanted = range.end - range.start;
    let bytes = source.get_range(range).await.map_err(cannot_read)?;
    let len = bytes.as_ref().len() as u64;
    if len > wanted {
        let text =
            format!("cannot read the message: {len} bytes came where {wanted} were asked for");
        return Err(Error::new(ErrorKind::Io, text));
    }
    Ok(bytes)
}

impl<S> Clone for AsyncRangeReader<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gap: self.gap }
    }
}

impl<S> fmt::Debug for AsyncRangeReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncRangeReader").field("gap", &self.gap).finish_non_exhaustive()
    }
}
