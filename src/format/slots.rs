//! Region B, the key slots (`F-14` to `F-19`): replaceable, and covered by nothing that comes from
//! the data key.

use super::profile::{MAX_REGION_LEN, Profile};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::WrappedKey;
use crate::wrap::slot::{self, SlotFault};

/// Most slots a message may have (`F-15`).
pub const MAX_SLOTS: usize = slot::MAX_SLOTS;
/// Most slots a reader accepts unless its policy says otherwise (`F-15`).
pub const DEFAULT_MAX_SLOTS: usize = 4;

const HEAD_LEN: usize = 8;
const CRC_LEN: usize = 4;
const SPARE_LEN: usize = 16;

/// The wrapped data key of a message, once for each key it can be opened with.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let message = envelope.encrypt("hello", [("kind", "note")])?;
/// use ncp_envelope::format::Header;
/// let slots = Header::decode(&message)?.slots().clone();
/// assert_eq!((slots.generation(), slots.slots().len()), (1, 1));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTable {
    generation: u32,
    slots: Vec<WrappedKey>,
}

/// New slots for a stored message, and where they go; see
/// [`Header::replace_slots`](super::Header::replace_slots).
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let message = envelope.encrypt("hello", [("kind", "note")])?;
/// use ncp_envelope::format::Header;
/// let header = Header::decode(&message)?;
/// let again = header.replace_slots(header.slots().slots().to_vec())?;
/// assert_eq!(again.generation, 2);
/// assert_eq!(again.offset, header.bound().as_bytes().len());
/// assert_eq!(again.bytes.len(), header.bound().copy_len());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replacement {
    /// Where to write, in bytes from the start of the header.
    pub offset: usize,
    /// What to write: one copy of region B.
    pub bytes: Vec<u8>,
    /// Its generation.
    pub generation: u32,
}

/// The state of one stored copy of the slots.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// use ncp_envelope::format::{CopyState, Header, Profile};
/// let durable = EncryptOptions::new().layout(Profile::Durable);
/// let mut message = envelope.encrypt("hello", durable)?;
/// message[4_100] ^= 1; // As a torn write leaves the first copy.
/// let header = Header::decode(&message)?;
/// assert!(matches!(header.copies()[0], CopyState::Invalid { .. }));
/// assert!(matches!(header.copies()[1], CopyState::Valid { .. }));
/// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyState {
    /// Valid, of this generation.
    Valid {
        /// Counts the replacements of the slots, from 1.
        generation: u32,
    },
    /// Not valid; the text says why. A torn write looks like this, and the other copy stands in.
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
}

impl SlotTable {
    /// The first generation of slots.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::{Header, SlotTable};
    /// let slots = Header::decode(&message)?.slots().slots().to_vec();
    /// assert_eq!(SlotTable::new(slots)?.generation(), 1);
    /// assert!(SlotTable::new(Vec::new()).is_err(), "nobody could read it");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] unless there are 1 to 16.
    pub fn new(slots: Vec<WrappedKey>) -> Result<Self> {
        if slots.is_empty() || slots.len() > MAX_SLOTS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("a message has 1 to {MAX_SLOTS} key slots, not {}", slots.len()),
            ));
        }
        Ok(Self { generation: FIRST_GENERATION, slots })
    }

    /// Counts the replacements of the slots, from 1.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::Header;
    /// assert_eq!(Header::decode(&message)?.slots().generation(), 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The slots in their order.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::Header;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(header.slots().slots()[0].key_id(), envelope.key_id());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn slots(&self) -> &[WrappedKey] {
        &self.slots
    }

    /// `slots` in place of these: the next generation (`F-34`).
    pub(super) fn next(&self, slots: Vec<WrappedKey>) -> Result<Self> {
        let next = Self::new(slots)?;
        Ok(Self { generation: after(self.generation), ..next })
    }

    /// One copy of `copy_len` bytes, for `offset`.
    pub(super) fn encode_replacement(&self, offset: usize, copy_len: usize) -> Result<Replacement> {
        let mut bytes = Vec::new();
        self.encode_region(1, copy_len, &mut bytes)?;
        Ok(Replacement { offset, bytes, generation: self.generation })
    }

    /// Appends `copies` copies of `copy_len` bytes each.
    pub(super) fn encode_region(
        &self,
        copies: usize,
        copy_len: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        out.resize(start + copies * copy_len, 0);
        encode_copies(self.generation, &self.slots, &mut out[start..], copy_len)
    }

    fn decode_copy(copy: &[u8]) -> Result<Self> {
        let (body, crc) =
            copy.split_at_checked(copy.len().saturating_sub(CRC_LEN)).unwrap_or((copy, &[]));
        // F-17
        if crc != crc32c::crc32c(body).to_be_bytes() {
            return Err(malformed("their checksum does not match (a torn write or damage)"));
        }
        let (head, mut rest) =
            body.split_at_checked(HEAD_LEN).ok_or_else(|| at_fault(SlotFault::Cut))?;
        let generation = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let count = usize::from(head[4]);
        if generation == 0 {
            return Err(malformed("their generation is zero"));
        }
        if count == 0 {
            return Err(malformed("there are none"));
        }
        if count > MAX_SLOTS {
            return Err(limit(format!("there are {count}, {MAX_SLOTS} are allowed")));
        }
        if head[5..] != [0; 3] {
            return Err(malformed("a reserved byte is not zero"));
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            slots.push(slot::decode(&mut rest).map_err(at_fault)?);
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(malformed("their padding is not zero"));
        }
        Ok(Self { generation, slots })
    }
}

/// The generation of slots that were never replaced.
pub(super) const FIRST_GENERATION: u32 = 1;

/// `F-18`
fn after(generation: u32) -> u32 {
    generation.checked_add(1).unwrap_or(FIRST_GENERATION)
}

/// Whether a copy of generation `a` counts before one of generation `b` (`F-18`).
fn is_later(a: u32, b: u32) -> bool {
    match (a, b) {
        (FIRST_GENERATION, u32::MAX) => true,
        (u32::MAX, FIRST_GENERATION) => false,
        _ => a > b,
    }
}

fn content_len(slots: &[WrappedKey]) -> usize {
    HEAD_LEN + slots.iter().map(slot::encoded_len).sum::<usize>() + CRC_LEN
}

/// `F-19`: room for the slots and a little more, behind a region A of `region_a` bytes.
pub(super) fn copy_len(slots: &[WrappedKey], profile: Profile, region_a: usize) -> Result<usize> {
    let len = profile.copy_len(region_a, content_len(slots) + SPARE_LEN);
    if len > MAX_REGION_LEN { Err(too_long(len)) } else { Ok(len) }
}

/// Writes copies of `len` bytes over all of `region`.
pub(super) fn encode_copies(
    generation: u32,
    slots: &[WrappedKey],
    region: &mut [u8],
    len: usize,
) -> Result<()> {
    let content = content_len(slots);
    if content > len {
        let what =
            format!("the key slots take {content} bytes and this message has room for {len}");
        return Err(Error::new(ErrorKind::LimitExceeded, what));
    }
    let (copy, others) = region.split_at_mut(len);
    encode_copy(generation, slots, copy);
    others.chunks_exact_mut(len).for_each(|other| other.copy_from_slice(copy));
    Ok(())
}

fn encode_copy(generation: u32, slots: &[WrappedKey], out: &mut [u8]) {
    let (body, crc) = out.split_at_mut(out.len() - CRC_LEN);
    let mut at = 0;
    let mut put = |part: &[u8]| {
        body[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    put(&generation.to_be_bytes());
    put(&[slots.len() as u8, 0, 0, 0]);
    slots.iter().for_each(|slot| slot::encode(slot, &mut put));
    body[at..].fill(0);
    crc.copy_from_slice(&crc32c::crc32c(body).to_be_bytes());
}

/// Reads every copy in `region` and settles which one counts (`F-18`): its slots, the states of
/// all, and its place among them.
pub(super) fn decode_region(
    region: &[u8],
    copy_len: usize,
) -> Result<(SlotTable, Vec<CopyState>, usize)> {
    let mut best: Option<(SlotTable, usize)> = None;
    let mut first_error = None;
    let mut states = Vec::new();
    for (at, copy) in region.chunks_exact(copy_len).enumerate() {
        match SlotTable::decode_copy(copy) {
            Ok(table) => {
                states.push(CopyState::Valid { generation: table.generation });
                let held = best.as_ref().map(|(held, _)| held.generation);
                if held.is_none_or(|held| is_later(table.generation, held)) {
                    best = Some((table, at));
                }
            }
            Err(error) => {
                states.push(CopyState::Invalid { reason: error.to_string() });
                first_error.get_or_insert(error);
            }
        }
    }
    match (best, first_error) {
        (Some((table, at)), _) => Ok((table, states, at)),
        (None, Some(error)) => Err(error),
        (None, None) => Err(malformed("there are none")),
    }
}

fn at_fault(fault: SlotFault) -> Error {
    match fault {
        SlotFault::Cut => malformed("a slot runs past their end"),
        SlotFault::Malformed(what) => malformed(what),
        SlotFault::LimitExceeded(what) => limit(what),
    }
}

fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, format!("key slots are malformed: {what}"))
}

fn limit(what: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("key slots are over a limit: {what}"))
}

fn too_long(len: usize) -> Error {
    limit(format!("they take {len} bytes, {MAX_REGION_LEN} are allowed"))
}
