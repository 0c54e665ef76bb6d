//! Region A, the bound header (`F-4` to `F-13`), and the two regions together as they stand in
//! front of a body.

use super::derive::PREAMBLE_LEN;
use super::magic::{MAGIC, check_magic};
use super::profile::{BLOCK_LEN, MAX_REGION_LEN, Profile};
use super::slots::{self, CopyState, SlotTable};
use crate::context::{EncryptionContext, MAX_CONTEXT_LEN, MAX_CONTEXT_PAIRS};
use crate::error::{Error, ErrorKind, Result};
use crate::suite::Suite;
use std::fmt;

/// Bytes of the fixed part of region A; they give the length of everything in front of the body.
pub const FIXED_LEN: usize = 24;

const VERSION: u16 = 1;
// F-7
const DURABLE: u16 = 1;
const DETACHED: u16 = 2;
const AAD_REQUIRED: u16 = 4;

/// Region A: what is fixed when a message is written and bound into its key derivation.
#[derive(Clone, PartialEq, Eq)]
pub struct BoundHeader {
    bytes: Vec<u8>,
    profile: Profile,
    detached: bool,
    aad_required: bool,
    context: EncryptionContext,
    copy_len: usize,
}

impl BoundHeader {
    /// The header of a new message with these slots. `aad_required` tells whether the message has
    /// associated data (`F-12`).
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if the slots do not fit region B.
    pub fn new(
        profile: Profile,
        context: &EncryptionContext,
        aad_required: bool,
        slots: &SlotTable,
    ) -> Result<Self> {
        let copy_len = slots.copy_len(profile)?;
        let mut bytes = vec![0; Self::encoded_len(profile, context)];
        Self::encode(&mut bytes, profile, context, false, aad_required, copy_len);
        Ok(Self {
            bytes,
            profile,
            detached: false,
            aad_required,
            context: context.clone(),
            copy_len,
        })
    }

    /// Reads exactly one region A.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Truncated`], [`ErrorKind::UnsupportedVersion`] or
    /// [`ErrorKind::LimitExceeded`], each saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let fixed = Fixed::decode(bytes)?;
        if bytes.len() < fixed.len {
            return Err(cut());
        }
        if bytes.len() > fixed.len {
            return Err(malformed("there are bytes after the bound header"));
        }
        let (context, end) = decode_pairs(bytes, fixed.pairs)?;
        // F-2, F-11: one encoding, so no length but this one and no padding but zeros.
        let padded = match fixed.profile {
            Profile::Compact => end,
            Profile::Durable => end.next_multiple_of(BLOCK_LEN),
        };
        if padded != fixed.len {
            return Err(malformed("its length does not match its content"));
        }
        if bytes[end..].iter().any(|byte| *byte != 0) {
            return Err(malformed("its padding is not zero"));
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            profile: fixed.profile,
            detached: fixed.detached,
            aad_required: fixed.aad_required,
            context,
            copy_len: fixed.copy_len,
        })
    }

    /// Bytes that [`encode`](Self::encode) writes.
    pub(super) fn encoded_len(profile: Profile, context: &EncryptionContext) -> usize {
        let content = FIXED_LEN + context.encoded_len();
        match profile {
            Profile::Compact => content,
            Profile::Durable => content.next_multiple_of(BLOCK_LEN),
        }
    }

    /// Writes region A over `out`, which is exactly as long as it.
    pub(super) fn encode(
        out: &mut [u8],
        profile: Profile,
        context: &EncryptionContext,
        detached: bool,
        aad_required: bool,
        copy_len: usize,
    ) {
        let flags = if profile == Profile::Durable { DURABLE } else { 0 }
            | if detached { DETACHED } else { 0 }
            | if aad_required { AAD_REQUIRED } else { 0 };
        let len = out.len();
        let mut at = 0;
        let mut put = |part: &[u8]| {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&MAGIC);
        put(&VERSION.to_be_bytes());
        put(&Suite::Cobblestone256.code().to_be_bytes());
        put(&flags.to_be_bytes());
        // The context's own caps (64 pairs, 8,192 bytes) keep all of these in range.
        put(&(context.len() as u16).to_be_bytes());
        put(&(len as u32).to_be_bytes());
        put(&(copy_len as u32).to_be_bytes());
        for (name, value) in context.iter() {
            put(&(name.len() as u16).to_be_bytes());
            put(&(value.len() as u16).to_be_bytes());
            put(name.as_bytes());
            put(value.as_bytes());
        }
        out[at..].fill(0);
    }

    /// Region A as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How the header is laid out.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        Suite::Cobblestone256
    }

    /// Whether the body is an object of its own (`F-13`).
    pub fn is_detached(&self) -> bool {
        self.detached
    }

    /// Whether a reader has to bring associated data (`F-12`).
    pub fn requires_aad(&self) -> bool {
        self.aad_required
    }

    /// The encryption context. Nothing of it is authenticated before a
    /// [`Decryptor`](super::Decryptor) was made for this header.
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// Length of one copy of region B in bytes.
    pub fn copy_len(&self) -> usize {
        self.copy_len
    }

    /// Where the body starts in the message, in bytes (`F-3`).
    pub fn body_offset(&self) -> usize {
        self.bytes.len() + self.profile.copies() * self.copy_len
    }

    /// `F-12`: the reader's associated data and the header's flag have to agree, before any key is
    /// asked for.
    pub(crate) fn check_aad(&self, aad: &[u8]) -> Result<()> {
        match (self.aad_required, aad.is_empty()) {
            (true, true) => Err(Error::new(
                ErrorKind::NotAccepted,
                "message was written with associated data: supply the same bytes to open it",
            )),
            (false, false) => Err(Error::new(
                ErrorKind::NotAccepted,
                "message was written without associated data: it cannot be checked against any",
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for BoundHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundHeader")
            .field("profile", &self.profile)
            .field("detached", &self.detached)
            .field("aad_required", &self.aad_required)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// Regions A and B of a message, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    bound: BoundHeader,
    slots: SlotTable,
    copies: Vec<CopyState>,
}

impl Header {
    /// How many bytes regions A and B take, from the first [`FIXED_LEN`] bytes of a message: read
    /// that many, then [`decode`](Self::decode) them. At most 196,608.
    ///
    /// Give it what there is when a message is shorter: what is wrong with it is then told as
    /// precisely as the bytes allow.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn len_from(prefix: &[u8]) -> Result<usize> {
        let fixed = Fixed::decode(prefix)?;
        Ok(fixed.len + fixed.profile.copies() * fixed.copy_len)
    }

    /// Reads regions A and B from the start of a message; what follows them is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Truncated`], [`ErrorKind::UnsupportedVersion`] or
    /// [`ErrorKind::LimitExceeded`], each saying what is wrong.
    pub fn decode(message: &[u8]) -> Result<Self> {
        let fixed = Fixed::decode(message)?;
        let regions =
            message.get(..fixed.len + fixed.profile.copies() * fixed.copy_len).ok_or_else(cut)?;
        let (region_a, region_b) = regions.split_at(fixed.len);
        let bound = BoundHeader::decode(region_a)?;
        let (slots, copies) = slots::decode_region(region_b, fixed.copy_len)?;
        Ok(Self { bound, slots, copies })
    }

    /// Region A.
    pub fn bound(&self) -> &BoundHeader {
        &self.bound
    }

    /// The key slots that count (`F-18`). Not authenticated by anything: a slot can make a message
    /// unreadable, never readable as another.
    pub fn slots(&self) -> &SlotTable {
        &self.slots
    }

    /// The state of each stored copy of the slots, in order.
    pub fn copies(&self) -> &[CopyState] {
        &self.copies
    }

    /// Bytes of a message that are not plaintext, given that there are `chunks` of them.
    pub fn overhead(&self, chunks: u64) -> u64 {
        chunks
            .saturating_mul(super::TAG_LEN as u64)
            .saturating_add((self.bound.body_offset() + PREAMBLE_LEN) as u64)
    }
}

struct Fixed {
    profile: Profile,
    detached: bool,
    aad_required: bool,
    pairs: usize,
    len: usize,
    copy_len: usize,
}

impl Fixed {
    fn decode(bytes: &[u8]) -> Result<Self> {
        check_magic(&bytes[..bytes.len().min(FIXED_LEN)])?;
        let bytes = bytes.get(..FIXED_LEN).ok_or_else(cut)?;
        let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };

        // F-5
        if u16_at(8) != VERSION {
            return Err(Error::new(
                ErrorKind::UnsupportedVersion,
                format!(
                    "message has format version {}, this release reads version {VERSION}",
                    u16_at(8)
                ),
            ));
        }
        // F-6
        if Suite::from_code(u16_at(10)).is_none() {
            return Err(Error::new(
                ErrorKind::UnsupportedVersion,
                format!(
                    "message has suite {:#06x}, this release reads {:#06x} ({}) only",
                    u16_at(10),
                    Suite::Cobblestone256.code(),
                    Suite::Cobblestone256
                ),
            ));
        }
        let flags = u16_at(12);
        if flags & !(DURABLE | DETACHED | AAD_REQUIRED) != 0 {
            return Err(malformed("it has unknown flags"));
        }
        let profile = if flags & DURABLE != 0 { Profile::Durable } else { Profile::Compact };
        let pairs = usize::from(u16_at(14));
        if pairs > MAX_CONTEXT_PAIRS {
            return Err(limit(format!(
                "it has {pairs} context pairs, {MAX_CONTEXT_PAIRS} are allowed"
            )));
        }
        // F-1: the caps come before anything is allocated or added up.
        let len = u32_at(16) as usize;
        if len > MAX_REGION_LEN {
            return Err(limit(format!("it claims {len} bytes, {MAX_REGION_LEN} are allowed")));
        }
        if len < FIXED_LEN {
            return Err(malformed("its length does not match its content"));
        }
        let copy_len = u32_at(20) as usize;
        if copy_len > MAX_REGION_LEN {
            return Err(limit(format!(
                "its key slots claim {copy_len} bytes, {MAX_REGION_LEN} are allowed"
            )));
        }
        if copy_len == 0 || !copy_len.is_multiple_of(profile.slot_alignment()) {
            return Err(malformed(
                "the length of its key slots is not a multiple of their alignment",
            ));
        }
        Ok(Self {
            profile,
            detached: flags & DETACHED != 0,
            aad_required: flags & AAD_REQUIRED != 0,
            pairs,
            len,
            copy_len,
        })
    }
}

fn decode_pairs(bytes: &[u8], count: usize) -> Result<(EncryptionContext, usize)> {
    let mut context = EncryptionContext::new();
    let mut at = FIXED_LEN;
    let mut last: Option<&str> = None;
    let mut take = |len: usize| {
        let part =
            bytes.get(at..at + len).ok_or_else(|| malformed("a context pair runs past its end"))?;
        at += len;
        if at - FIXED_LEN > MAX_CONTEXT_LEN {
            return Err(limit(format!("its context takes more than {MAX_CONTEXT_LEN} bytes")));
        }
        Ok(part)
    };
    let text =
        |bytes| std::str::from_utf8(bytes).map_err(|_| malformed("its context is not UTF-8"));
    for _ in 0..count {
        let lengths = take(4)?;
        let name_len = usize::from(u16::from_be_bytes([lengths[0], lengths[1]]));
        let value_len = usize::from(u16::from_be_bytes([lengths[2], lengths[3]]));
        let name = text(take(name_len)?)?;
        let value = text(take(value_len)?)?;
        if name.is_empty() {
            return Err(malformed("a context name is empty"));
        }
        if last.is_some_and(|last| last >= name) {
            return Err(malformed("its context names are not in ascending order"));
        }
        last = Some(name);
        context.insert(name, value)?;
    }
    Ok((context, at))
}

fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, format!("message header is malformed: {what}"))
}

fn limit(what: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("message header is over a limit: {what}"))
}

fn cut() -> Error {
    Error::new(ErrorKind::Truncated, "message is truncated: it ends within its header")
}
