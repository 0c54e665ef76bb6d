//! A small cache of parsed headers.
//!
//! Messages under one data key with one context have the same header, byte for byte. To read it
//! anew is a fifth of what opening a small message costs (`cargo bench --bench small`). What is
//! kept is what the bytes say and nothing that was decided on them: no key, no verdict of a policy,
//! nothing authentic. Equal bytes parse equally, so an attacker's message can only evict an entry
//! and slow the next reader.

use crate::datakey::{Readers, Route};
use crate::error::Result;
use crate::format::Header;
use once_cell::race::OnceBox;
use std::sync::{Arc, Mutex};

/// Entries: few enough to cost little memory, and enough for a few writers whose messages come
/// interleaved.
const PLACES: usize = 64;
/// Longer headers cost more memory than they save time.
const MAX_LEN: usize = 2_048;

// Made by the first read: a service has an envelope for each of its tenants, and many only write.
// Nobody waits for it: in a forked child the thread that was making it may not exist.
pub(super) struct Recent(OnceBox<Places>);

type Places = [Mutex<Option<Arc<Read>>>; PLACES];

/// A header that was read.
pub(super) struct Read {
    bytes: Box<[u8]>,
    pub(super) header: Header,
    /// Which of the envelope's recipients can open its slots.
    pub(super) routes: Vec<Route>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self(OnceBox::new())
    }

    fn places(&self) -> &Places {
        self.0.get_or_init(|| Box::new(std::array::from_fn(|_| Mutex::default())))
    }

    /// The header at the start of `message`. An entry locked by another thread is skipped: parsing
    /// again takes no longer than waiting might, and in a forked child the other thread may not
    /// exist.
    ///
    /// # Errors
    /// As [`Header::decode`].
    pub(super) fn read(&self, message: &[u8], readers: &Readers) -> Result<Arc<Read>> {
        let place = match message.get(..Header::len_from(message)?) {
            Some(bytes) if bytes.len() <= MAX_LEN => Some((bytes, &self.places()[place(bytes)])),
            _ => None,
        };
        if let Some((bytes, place)) = place
            && let Ok(kept) = place.try_lock()
            && let Some(read) = &*kept
            && *read.bytes == *bytes
        {
            return Ok(read.clone());
        }
        let header = Header::decode(message)?;
        let routes = readers.routes(header.slots().slots());
        let bytes = place.map(|(bytes, _)| bytes).unwrap_or_default();
        let read = Arc::new(Read { bytes: bytes.into(), header, routes });
        if let Some((_, place)) = place
            && let Ok(mut kept) = place.try_lock()
        {
            *kept = Some(read.clone());
        }
        Ok(read)
    }
}

/// By the checksum at the end of the slots, which is there already.
fn place(bytes: &[u8]) -> usize {
    let checksum = bytes.last_chunk::<4>().map_or(0, |checksum| u32::from_be_bytes(*checksum));
    checksum as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_that_reads_nothing_has_no_places() {
        assert!(size_of::<Recent>() <= 16);
        assert!(Recent::new().0.get().is_none());
    }
}
