//! Headers that were read a moment ago.
//!
//! Messages under one data key with one context have the same header, byte for byte, and reading it
//! anew would be a third of what a small message costs. What is kept is what the bytes say and
//! nothing that was decided on them: no key, no verdict of a policy, nothing authentic. Equal bytes
//! are read equally, so a message can do nothing here but make the next one take longer.

use crate::datakey::{Readers, Route};
use crate::error::Result;
use crate::format::Header;
use std::sync::{Arc, Mutex};

/// Places, each for one header: little enough to be of no weight, and enough for a few writers
/// whose messages come mixed.
const PLACES: usize = 64;
/// Longer headers cost more memory than they save time.
const MAX_LEN: usize = 2_048;

pub(super) struct Recent([Mutex<Option<Arc<Read>>>; PLACES]);

/// A header that was read.
pub(super) struct Read {
    bytes: Box<[u8]>,
    pub(super) header: Header,
    /// Who of the envelope's recipients may open its slots.
    pub(super) routes: Vec<Route>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// The header at the start of `message`. A place that is in use by another thread is passed
    /// over: reading anew takes no longer than waiting might, and in a process that was forked off
    /// the other thread may not be there.
    ///
    /// # Errors
    /// As [`Header::decode`].
    pub(super) fn read(&self, message: &[u8], readers: &Readers) -> Result<Arc<Read>> {
        let place = match message.get(..Header::len_from(message)?) {
            Some(bytes) if bytes.len() <= MAX_LEN => Some((bytes, &self.0[place(bytes)])),
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
