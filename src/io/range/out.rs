//! Where the plaintext of a range goes.

use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use zeroize::{Zeroize, Zeroizing};

/// Filled from its start to its end.
pub(super) enum Out<'a> {
    New(Zeroizing<Vec<u8>>),
    Given { buf: &'a mut [u8], filled: usize },
}

impl<'a> Out<'a> {
    /// A new buffer, with room for `len` bytes: it does not move and leave plaintext behind.
    pub(super) fn new(len: u64) -> Result<Self> {
        let mut bytes = Vec::new();
        let room = usize::try_from(len).ok().and_then(|len| memory::reserve(&mut bytes, len).ok());
        room.map(|()| Self::New(Zeroizing::new(bytes))).ok_or_else(|| {
            Error::new(
                ErrorKind::LimitExceeded,
                format!("a range of {len} bytes does not fit this machine's memory"),
            )
        })
    }

    pub(super) fn given(buf: &'a mut [u8]) -> Self {
        Self::Given { buf, filled: 0 }
    }

    /// The next `len` bytes.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        match self {
            Self::New(bytes) => {
                let at = bytes.len();
                bytes.resize(at + len, 0);
                &mut bytes[at..]
            }
            Self::Given { buf, filled } => {
                let at = *filled;
                *filled += len;
                &mut buf[at..at + len]
            }
        }
    }

    /// Leaves nothing of what was opened.
    pub(super) fn wipe(&mut self) {
        match self {
            Self::New(bytes) => bytes.zeroize(),
            Self::Given { buf, .. } => buf.zeroize(),
        }
    }

    /// The new buffer; an empty one in place of the caller's.
    pub(super) fn into_new(self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::New(bytes) => bytes,
            Self::Given { .. } => Zeroizing::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_no_memory_is_an_error_and_nothing_stays_of_what_failed() {
        let error = Out::new(u64::MAX).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        let mut buf = [7; 4];
        let mut given = Out::given(&mut buf);
        given.room(3).copy_from_slice(b"abc");
        given.wipe();
        assert_eq!(buf, [0; 4]);
        let mut new = Out::new(4).unwrap();
        new.room(3).copy_from_slice(b"abc");
        new.room(1).copy_from_slice(b"d");
        assert_eq!(**new.into_new(), *b"abcd");
    }
}
