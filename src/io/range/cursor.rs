//! A cursor to read and seek in a plaintext.

use super::reader::RangeReader;
use super::source::ReadAt;
use crate::error::{Error, ErrorKind, Result};
use crate::format::CHUNK_LEN;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use zeroize::Zeroizing;

const CHUNK: u64 = CHUNK_LEN as u64;
/// The most that one read opens; a larger read returns fewer bytes.
const MOST: usize = 64 * CHUNK_LEN;

/// A position in a message's plaintext, to [`Read`] and [`Seek`] from. Independent of other cursors
/// over the same message.
///
/// Reads of less than a chunk (16 KiB) are served from a cached chunk, so that each is opened once
/// in sequential reads; longer ones go straight into the caller's buffer, up to 1 MiB at a time. A
/// seek relative to the end, and a read that reaches it, verify the end first. A read that failed
/// fails again; elsewhere the cursor keeps working.
///
/// ```
/// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
/// use std::io::{Read, Seek, SeekFrom};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt(b"any number of bytes", EncryptionContext::new())?;
/// let reader = envelope.range_reader(&message[..], &DecryptPolicy::new())?;
/// let mut cursor = reader.cursor();
/// cursor.seek(SeekFrom::End(-5))?;
/// let mut end = String::new();
/// cursor.read_to_string(&mut end)?;
/// assert_eq!(end, "bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RangeCursor<S> {
    reader: RangeReader<S>,
    at: u64,
    /// The number of a whole chunk, and its plaintext.
    kept: Option<(u64, Zeroizing<Vec<u8>>)>,
}

impl<S: ReadAt> RangeReader<S> {
    /// A cursor over the plaintext, at its start.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("any number of bytes", EncryptionContext::new())?;
    /// # let reader = envelope.range_reader(message, DecryptPolicy::new())?;
    /// use std::io::{Read, Seek, SeekFrom};
    /// let mut cursor = reader.cursor();
    /// cursor.seek(SeekFrom::Start(4))?;
    /// let mut word = [0; 6];
    /// cursor.read_exact(&mut word)?;
    /// assert_eq!(word, *b"number");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cursor(&self) -> RangeCursor<S> {
        RangeCursor { reader: self.clone(), at: 0, kept: None }
    }
}

impl<S: ReadAt> RangeCursor<S> {
    /// Some of the bytes here; none at the proven end.
    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize> {
        let whole_len = self.reader.whole_len();
        if self.at >= whole_len {
            return Ok(copy(self.reader.in_last(self.at)?, buf));
        }
        let (number, within) = (self.at / CHUNK, (self.at % CHUNK) as usize);
        if let Some((kept, bytes)) = &self.kept
            && *kept == number
        {
            return Ok(copy(&bytes[within..], buf));
        }
        let left = usize::try_from(whole_len - self.at).unwrap_or(usize::MAX);
        let whole = buf.len().min(left).min(MOST) / CHUNK_LEN * CHUNK_LEN;
        if within == 0 && whole > 0 {
            self.reader.read_into(&mut buf[..whole], self.at)?;
            return Ok(whole);
        }
        let (_, mut bytes) =
            self.kept.take().unwrap_or_else(|| (0, Zeroizing::new(vec![0; CHUNK_LEN])));
        self.reader.read_into(&mut bytes, number * CHUNK)?;
        let len = copy(&bytes[within..], buf);
        self.kept = Some((number, bytes));
        Ok(len)
    }
}

/// As much of `from` as there is and fits.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

impl<S: ReadAt> Read for RangeCursor<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let len = self.read_some(buf).map_err(|error| Error::from_below(error.into()))?;
        self.at += len as u64;
        Ok(len)
    }
}

impl<S: ReadAt> Seek for RangeCursor<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.reader.len()?.checked_add_signed(by),
        };
        let before = || Error::new(ErrorKind::InvalidInput, "there is nothing before the start");
        self.at = at.ok_or_else(before)?;
        Ok(self.at)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.at)
    }
}

impl<S> fmt::Debug for RangeCursor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeCursor").field("at", &self.at).finish_non_exhaustive()
    }
}
