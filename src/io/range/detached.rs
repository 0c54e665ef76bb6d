//! A message in two objects, as one source.

use super::source::{GetRange, ReadAt};
use crate::error::Result;
use crate::format::Header;
use crate::wrap::BoxFuture;
use std::fmt;
use std::io;
use std::ops::Range;

/// A header and a [detached body](crate::format::Layout::detached) as one source (`F-13`): the
/// header is in memory, ranges are read from the body.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
/// use ncp_envelope::format::{Layout, Profile};
/// use ncp_envelope::io::{DetachedSource, DetachedWriter};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
/// let sink = DetachedWriter::new(Vec::new(), Vec::new());
/// let (header, body) = envelope.encrypt_stream(&b"hello"[..], sink, options)?.sink.into_parts();
///
/// let source = DetachedSource::new(header, body)?;
/// let reader = envelope.range_reader(source, &DecryptPolicy::new().detached(true))?;
/// assert_eq!(*reader.read(2..)?, b"llo");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct DetachedSource<S> {
    header: Vec<u8>,
    body: S,
}

impl<S> DetachedSource<S> {
    /// A message whose header is `header`, all of it and nothing more. The policy must
    /// [expect](crate::DecryptPolicy::detached) a detached body.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::{Layout, Profile};
    /// # use ncp_envelope::io::{DetachedSource, DetachedWriter};
    /// # let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
    /// # let sink = DetachedWriter::new(Vec::new(), Vec::new());
    /// # let report = envelope.encrypt_stream(&b"hello"[..], sink, options)?;
    /// # let (header, body) = report.sink.into_parts();
    /// let source = DetachedSource::new(header, body)?;
    /// let reader = envelope.range_reader(source, DecryptPolicy::new().detached(true))?;
    /// assert_eq!(*reader.read(..)?, *b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Header::decode_detached`], which refuses the header of a message in one piece.
    pub fn new(header: impl Into<Vec<u8>>, body: S) -> Result<Self> {
        let header = header.into();
        Header::decode_detached(&header)?;
        Ok(Self { header, body })
    }

    /// The body.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::{Layout, Profile};
    /// # use ncp_envelope::io::{DetachedSource, DetachedWriter};
    /// # let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
    /// # let sink = DetachedWriter::new(Vec::new(), Vec::new());
    /// # let report = envelope.encrypt_stream(&b"hello"[..], sink, options)?;
    /// # let (header, body) = report.sink.into_parts();
    /// let source = DetachedSource::new(header, body)?;
    /// assert_eq!(source.body().len(), 56 + 5 + 16);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn body(&self) -> &S {
        &self.body
    }

    fn header_len(&self) -> u64 {
        self.header.len() as u64
    }
}

impl<S: ReadAt> ReadAt for DetachedSource<S> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match offset.checked_sub(self.header_len()) {
            Some(offset) => self.body.read_at(buf, offset),
            None => self.header.read_at(buf, offset),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.body.len()?.saturating_add(self.header_len()))
    }

    fn bytes_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        self.body.bytes_at(offset.checked_sub(self.header_len())?, len)
    }
}

/// Bytes of the body, together with bytes of the header in front of them.
///
/// ```
/// # use ncp_envelope::io::GetRange;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # use ncp_envelope::format::{Layout, Profile};
/// # use ncp_envelope::io::{DetachedSource, DetachedWriter};
/// # let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
/// # let sink = DetachedWriter::new(Vec::new(), Vec::new());
/// # let report = envelope.encrypt_stream(&b"hello"[..], sink, options)?;
/// # let (header, body) = report.sink.into_parts();
/// # #[derive(Debug)] struct Store(Vec<u8>);
/// # impl GetRange for Store {
/// #     type Bytes = Vec<u8>;
/// #     fn get_range(
/// #         &self,
/// #         range: std::ops::Range<u64>,
/// #     ) -> ncp_envelope::wrap::BoxFuture<'_, std::io::Result<Vec<u8>>> {
/// #         let range = range.start as usize..self.0.len().min(range.end as usize);
/// #         Box::pin(async move { Ok(self.0[range].to_vec()) })
/// #     }
/// #     fn len(&self) -> ncp_envelope::wrap::BoxFuture<'_, std::io::Result<u64>> {
/// #         Box::pin(async move { Ok(self.0.len() as u64) })
/// #     }
/// # }
/// # let header_len = header.len() as u64;
/// let source = DetachedSource::new(header, Store(body))?;
/// let both = ncp_envelope::blocking::wait(source.get_range(0..header_len + 1))??;
/// assert_eq!(both.as_ref().len() as u64, header_len + 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DetachedBytes<B>(Joined<B>);

enum Joined<B> {
    Body(B),
    Both(Vec<u8>),
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for DetachedBytes<B> {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Joined::Body(bytes) => bytes.as_ref(),
            Joined::Both(bytes) => bytes,
        }
    }
}

impl<B> fmt::Debug for DetachedBytes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DetachedBytes(..)")
    }
}

impl<S: GetRange> GetRange for DetachedSource<S> {
    type Bytes = DetachedBytes<S::Bytes>;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Self::Bytes>> {
        let header = self.header_len();
        let body = range.start.saturating_sub(header)..range.end.saturating_sub(header);
        Box::pin(async move {
            if range.start >= header {
                let bytes = self.body.get_range(body).await?;
                return Ok(DetachedBytes(Joined::Body(bytes)));
            }
            // Both ends are in it, and its length is that of a vector.
            let mut all =
                self.header[range.start as usize..range.end.min(header) as usize].to_vec();
            if !body.is_empty() {
                all.extend_from_slice(self.body.get_range(body).await?.as_ref());
            }
            Ok(DetachedBytes(Joined::Both(all)))
        })
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async move { Ok(self.body.len().await?.saturating_add(self.header_len())) })
    }
}

impl<S> fmt::Debug for DetachedSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachedSource")
            .field("header_len", &self.header.len())
            .finish_non_exhaustive()
    }
}
