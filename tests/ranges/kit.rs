//! Readers of both kinds as one, and sources that watch.

use crate::common::block_on;
use ncp_envelope::io::{AsyncRangeReader, GetRange, RangeReader, ReadAt};
use ncp_envelope::wrap::BoxFuture;
use ncp_envelope::{DecryptPolicy, Envelope, Result};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use zeroize::Zeroizing;

pub(crate) type Plain = Zeroizing<Vec<u8>>;

/// What both readers can do.
pub(crate) trait Ranges {
    fn at(&self, offset: u64, len: u64) -> Result<Plain>;
    fn fill(&self, buf: &mut [u8], offset: u64) -> Result<()>;
    fn from(&self, start: u64, end: Option<u64>) -> Result<Plain>;
    fn last(&self, n: u64) -> Result<Plain>;
    fn many(&self, ranges: &[Range<u64>]) -> Result<Vec<Plain>>;
    fn length(&self) -> Result<u64>;
}

impl<S: ReadAt> Ranges for RangeReader<S> {
    fn at(&self, offset: u64, len: u64) -> Result<Plain> {
        self.read_at(offset, len)
    }
    fn fill(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read_into(buf, offset)
    }
    fn from(&self, start: u64, end: Option<u64>) -> Result<Plain> {
        match end {
            Some(end) => self.read(start..end),
            None => self.read(start..),
        }
    }
    fn last(&self, n: u64) -> Result<Plain> {
        self.read_last(n)
    }
    fn many(&self, ranges: &[Range<u64>]) -> Result<Vec<Plain>> {
        self.read_many(ranges)
    }
    fn length(&self) -> Result<u64> {
        let len = self.len()?;
        assert_eq!(self.is_empty()?, len == 0);
        Ok(len)
    }
}

impl<S: GetRange> Ranges for AsyncRangeReader<S> {
    fn at(&self, offset: u64, len: u64) -> Result<Plain> {
        block_on(self.read_at(offset, len))
    }
    fn fill(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        block_on(self.read_into(buf, offset))
    }
    fn from(&self, start: u64, end: Option<u64>) -> Result<Plain> {
        match end {
            Some(end) => block_on(self.read(start..end)),
            None => block_on(self.read(start..)),
        }
    }
    fn last(&self, n: u64) -> Result<Plain> {
        block_on(self.read_last(n))
    }
    fn many(&self, ranges: &[Range<u64>]) -> Result<Vec<Plain>> {
        block_on(self.read_many(ranges))
    }
    fn length(&self) -> Result<u64> {
        let len = block_on(self.len())?;
        assert_eq!(block_on(self.is_empty())?, len == 0);
        Ok(len)
    }
}

/// Both readers of the message in `source`.
pub(crate) fn both<'a, S: ReadAt + 'a>(
    envelope: &Envelope,
    source: S,
    policy: &DecryptPolicy,
) -> Result<[Box<dyn Ranges + 'a>; 2]> {
    let source = Arc::new(source);
    let on_thread = block_on(envelope.range_reader(source.clone(), policy));
    let remote = block_on(envelope.async_range_reader(Remote::new(source), policy));
    match (on_thread, remote) {
        (Ok(on_thread), Ok(remote)) => Ok([Box::new(on_thread), Box::new(remote)]),
        (Err(one), Err(other)) => {
            assert_eq!(one.to_string(), other.to_string());
            Err(one)
        }
        (one, other) => panic!("{:?} and {:?}", one.map(drop), other.map(drop)),
    }
}

/// Counts the bytes and the reads.
pub(crate) struct Counted<S> {
    pub(crate) inner: S,
    bytes: AtomicU64,
    reads: AtomicUsize,
}

impl<S> Counted<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, bytes: AtomicU64::new(0), reads: AtomicUsize::new(0) }
    }

    /// Bytes since it was last asked.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.swap(0, Ordering::SeqCst)
    }

    /// Reads since it was last asked.
    pub(crate) fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::SeqCst)
    }
}

impl<S: ReadAt> ReadAt for Counted<S> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        // Whole, so that a read is one read.
        let mut filled = 0;
        while filled < buf.len() {
            match self.inner.read_at(&mut buf[filled..], offset + filled as u64)? {
                0 => break,
                len => filled += len,
            }
        }
        self.bytes.fetch_add(filled as u64, Ordering::SeqCst);
        self.reads.fetch_add(usize::from(filled > 0), Ordering::SeqCst);
        Ok(filled)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

/// A source as it is over a network: an answer comes when it was waited for, whatever else goes on.
pub(crate) struct Remote<S> {
    inner: S,
    under_way: AtomicUsize,
    most: AtomicUsize,
    requests: AtomicUsize,
}

impl<S> Remote<S> {
    pub(crate) fn new(inner: S) -> Self {
        let none = || AtomicUsize::new(0);
        Self { inner, under_way: none(), most: none(), requests: none() }
    }

    /// The most requests that were under way at once, and how many there were, since it was last
    /// asked.
    pub(crate) fn requests(&self) -> (usize, usize) {
        (self.most.swap(0, Ordering::SeqCst), self.requests.swap(0, Ordering::SeqCst))
    }
}

impl<S: ReadAt> GetRange for Remote<S> {
    type Bytes = Vec<u8>;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        Box::pin(async move {
            assert!(range.start < range.end, "nobody asks for nothing");
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            self.requests.fetch_add(1, Ordering::SeqCst);
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let mut filled = 0;
            while filled < bytes.len() {
                match self.inner.read_at(&mut bytes[filled..], range.start + filled as u64)? {
                    0 => break,
                    len => filled += len,
                }
            }
            bytes.truncate(filled);
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            Ok(bytes)
        })
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async { self.inner.len() })
    }
}

/// Numbers that are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(limit)) >> 64) as u64
    }
}
