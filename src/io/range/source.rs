//! Where messages are read from at an offset: memory, files, and stores that are read over a
//! network.

use crate::error::{Error, ErrorKind};
use crate::io::SourceFile;
use crate::io::source::read_at;
use crate::wrap::BoxFuture;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that can be read at any offset, by several threads at the same time.
///
/// Implemented for byte slices and vectors, for [`File`] and [`SourceFile`]; [`Seekable`] is for
/// everything else that can seek.
///
/// ```
/// use ncp_envelope::io::ReadAt;
/// let mut buf = [0; 3];
/// assert_eq!(b"hello".read_at(&mut buf, 3)?, 2);
/// assert_eq!(&buf[..2], b"lo");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ReadAt: Send + Sync {
    /// Reads some bytes at `offset`, as many as it likes; 0 only past the end, or for an empty
    /// `buf`.
    ///
    /// # Errors
    /// Those of the source. [`Interrupted`](io::ErrorKind::Interrupted) is tried again.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// Those of the source.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are none.
    ///
    /// # Errors
    /// Those of [`len`](Self::len).
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The `len` bytes at `offset`, from a source that has them in memory and saves a copy so.
    fn bytes_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let _ = (offset, len);
        None
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn bytes_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        self.get(usize::try_from(offset).ok()?..)?.get(..len)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self[..].read_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn bytes_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
        self[..].bytes_at(offset, len)
    }
}

macro_rules! passed_on {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
                (**self).read_at(buf, offset)
            }

            fn len(&self) -> io::Result<u64> {
                (**self).len()
            }

            fn bytes_at(&self, offset: u64, len: usize) -> Option<&[u8]> {
                (**self).bytes_at(offset, len)
            }
        }
    )*};
}

passed_on!(&T, Arc<T>, Box<T>);

/// Without a position on Unix; elsewhere the file's position moves, under a lock that all files
/// share.
impl ReadAt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(self, buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
}

/// From the position on that it was taken over at, with the length that it had then.
impl ReadAt for SourceFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        SourceFile::read_at(self, buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.len().ok_or_else(|| {
            let name = self.path().display();
            let text = format!("{name} is no regular file: ranges cannot be read from it");
            Error::new(ErrorKind::InvalidInput, text).into()
        })
    }
}

/// Makes a source of anything that can read and seek. Reads are serialized by a lock.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::io::Seekable;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let message = envelope.encrypt(b"hello", EncryptionContext::new())?;
/// let source = Seekable::new(std::io::Cursor::new(message));
/// let reader = envelope.range_reader(source, &DecryptPolicy::new())?;
/// assert_eq!(*reader.read_at(1, 3)?, b"ell");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct Seekable<T>(Mutex<T>);

impl<T: Read + Seek + Send> Seekable<T> {
    /// All of `inner` from its start, whatever its position.
    ///
    /// ```
    /// use ncp_envelope::io::{ReadAt, Seekable};
    /// use std::io::Cursor;
    /// let source = Seekable::new(Cursor::new(b"hello"));
    /// assert_eq!(source.len()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(inner: T) -> Self {
        Self(Mutex::new(inner))
    }

    /// The inner value, at an unspecified position.
    ///
    /// ```
    /// use ncp_envelope::io::Seekable;
    /// use std::io::Cursor;
    /// let source = Seekable::new(Cursor::new(b"hello"));
    /// assert_eq!(source.into_inner().into_inner(), b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Read + Seek + Send> ReadAt for Seekable<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.seek(SeekFrom::Start(offset))?;
        inner.read(buf)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seek(SeekFrom::End(0))
    }
}

impl<T> fmt::Debug for Seekable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seekable(..)")
    }
}

/// Bytes that are read over a network, such as an object in a store.
///
/// An object of it, `dyn GetRange<Bytes = Vec<u8>>`, is one as well.
///
/// ```
/// use ncp_envelope::io::GetRange;
/// use ncp_envelope::wrap::BoxFuture;
/// use std::io;
/// use std::ops::Range;
///
/// struct Memory(Vec<u8>);
///
/// impl GetRange for Memory {
///     type Bytes = Vec<u8>;
///
///     fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
///         Box::pin(async move {
///             let end = (range.end as usize).min(self.0.len());
///             Ok(self.0[range.start as usize..end].to_vec())
///         })
///     }
///
///     fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
///         Box::pin(async { Ok(self.0.len() as u64) })
///     }
/// }
///
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
/// let reader = envelope.async_range_reader(Memory(message), &DecryptPolicy::new()).await?;
/// assert_eq!(*reader.read_last(2).await?, b"lo");
/// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
/// ```
// A request that nobody needs: no message is empty.
#[allow(clippy::len_without_is_empty)]
pub trait GetRange: Send + Sync {
    /// What an answer comes in, so that it need not be copied.
    type Bytes: AsRef<[u8]> + Send;

    /// The bytes from `range.start` up to `range.end`; fewer only where there are no more. The
    /// start is never past the end, unless there are fewer bytes now than before.
    ///
    /// # Errors
    /// Those of the source. Nothing is tried again here.
    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Self::Bytes>>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// Those of the source.
    fn len(&self) -> BoxFuture<'_, io::Result<u64>>;
}

impl<T: GetRange + ?Sized> GetRange for Arc<T> {
    type Bytes = T::Bytes;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Self::Bytes>> {
        (**self).get_range(range)
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        (**self).len()
    }
}

impl<T: GetRange + ?Sized> GetRange for &T {
    type Bytes = T::Bytes;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Self::Bytes>> {
        (**self).get_range(range)
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        (**self).len()
    }
}

impl<T: GetRange + ?Sized> GetRange for Box<T> {
    type Bytes = T::Bytes;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Self::Bytes>> {
        (**self).get_range(range)
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        (**self).len()
    }
}
