//! Region A, the bound header (`F-4` to `F-13`): fixed when a message is written, and bound into
//! its key derivation.

use super::magic::{MAGIC, check_magic};
use super::profile::{Layout, MAX_REGION_LEN, Profile};
use super::slots::{self, SlotTable};
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
const PAGE: u16 = 8;

/// Region A: what is fixed when a message is written and bound into its key derivation.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let message = envelope.encrypt("hello", [("kind", "note")])?;
/// use ncp_envelope::format::{BoundHeader, Header};
/// let header = Header::decode(&message)?;
/// let region_a = header.bound().as_bytes();
/// assert_eq!(BoundHeader::decode(region_a)?, *header.bound());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BoundHeader {
    bytes: Vec<u8>,
    layout: Layout,
    aad_required: bool,
    context: EncryptionContext,
    copy_len: usize,
}

impl BoundHeader {
    /// The header of a new message with these slots. `aad_required` tells whether the message has
    /// associated data (`F-12`).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// use ncp_envelope::format::{BoundHeader, Header, Profile};
    /// # let message = envelope.encrypt("", EncryptionContext::new())?;
    /// # let slots = Header::decode(&message)?.slots().clone();
    /// let context = EncryptionContext::new().with("kind", "note")?;
    /// let bound = BoundHeader::new(Profile::Page, &context, false, &slots)?;
    /// assert_eq!(bound.body_offset(), 4_096);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if the slots do not fit region B.
    pub fn new(
        layout: impl Into<Layout>,
        context: &EncryptionContext,
        aad_required: bool,
        slots: &SlotTable,
    ) -> Result<Self> {
        let layout = layout.into();
        let mut bytes = vec![0; Self::encoded_len(layout.profile, context)];
        let copy_len = slots::copy_len(slots.slots(), layout.profile, bytes.len())?;
        Self::encode(&mut bytes, layout, context, aad_required, copy_len);
        Ok(Self { bytes, layout, aad_required, context: context.clone(), copy_len })
    }

    /// Reads exactly one region A.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::{BoundHeader, Header};
    /// # let header = Header::decode(&message)?;
    /// let mut region_a = header.bound().as_bytes().to_vec();
    /// assert!(BoundHeader::decode(&region_a).is_ok());
    /// region_a.push(0);
    /// let error = BoundHeader::decode(&region_a).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Malformed);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
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
        if fixed.layout.profile.region_a_len(end) != fixed.len {
            return Err(malformed("its length does not match its content"));
        }
        if bytes[end..].iter().any(|byte| *byte != 0) {
            return Err(malformed("its padding is not zero"));
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            layout: fixed.layout,
            aad_required: fixed.aad_required,
            context,
            copy_len: fixed.copy_len,
        })
    }

    /// Bytes that [`encode`](Self::encode) writes.
    pub(super) fn encoded_len(profile: Profile, context: &EncryptionContext) -> usize {
        profile.region_a_len(FIXED_LEN + context.encoded_len())
    }

    /// Writes region A over `out`, which is exactly as long as it.
    pub(super) fn encode(
        out: &mut [u8],
        layout: Layout,
        context: &EncryptionContext,
        aad_required: bool,
        copy_len: usize,
    ) {
        let profile = match layout.profile {
            Profile::Compact => 0,
            Profile::Durable => DURABLE,
            Profile::Page => PAGE,
        };
        let flags = profile
            | if layout.detached { DETACHED } else { 0 }
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
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// assert!(message.starts_with(header.bound().as_bytes()));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How the header is laid out.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(header.bound().profile(), Profile::Compact);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn profile(&self) -> Profile {
        self.layout.profile
    }

    /// The profile, and where the body is.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(header.bound().layout(), Profile::Compact.into());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The suite.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(header.bound().suite().to_string(), "Cobblestone-256");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn suite(&self) -> Suite {
        Suite::Cobblestone256
    }

    /// Whether the body is an object of its own (`F-13`).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// assert!(!header.bound().is_detached());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn is_detached(&self) -> bool {
        self.layout.detached
    }

    /// Whether a reader must supply associated data (`F-12`).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::Header;
    /// let message = envelope.encrypt("hello", EncryptOptions::new().aad("volume 7"))?;
    /// assert!(Header::decode(&message)?.bound().requires_aad());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn requires_aad(&self) -> bool {
        self.aad_required
    }

    /// The encryption context. It is authenticated only once a [`Decryptor`](super::Decryptor) was
    /// made for this header.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(header.bound().context().get("kind"), Some("note"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// Length of one copy of region B in bytes.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// let region_a = header.bound().as_bytes().len();
    /// assert_eq!(header.bound().body_offset(), region_a + header.bound().copy_len());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn copy_len(&self) -> usize {
        self.copy_len
    }

    /// Length of regions A and B in bytes: where the body starts, unless it is
    /// [detached](Self::is_detached) (`F-3`).
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// # use ncp_envelope::format::*;
    /// let header = Header::decode(&message)?;
    /// let body = &message[header.bound().body_offset()..];
    /// assert_eq!(body.len() as u64, range::body_len(5)?);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn body_offset(&self) -> usize {
        self.bytes.len() + self.profile().copies() * self.copy_len
    }

    /// `F-13`: the layout, attached or detached, must be the one that the reader expects.
    pub(crate) fn check_detached(&self, expected: bool) -> Result<()> {
        let text = match (self.layout.detached, expected) {
            (true, false) => {
                "message is a detached header: its body is an object of its own and is not behind \
                 it"
            }
            (false, true) => {
                "message has its body behind its header, where a detached body was expected"
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::NotAccepted, text))
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
            .field("layout", &self.layout)
            .field("aad_required", &self.aad_required)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// The fixed fields, each within its caps.
pub(super) struct Fixed {
    layout: Layout,
    aad_required: bool,
    pairs: usize,
    pub(super) len: usize,
    pub(super) copy_len: usize,
}

impl Fixed {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
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
        // F-7
        if flags & !(DURABLE | DETACHED | AAD_REQUIRED | PAGE) != 0 {
            return Err(malformed("it has unknown flags"));
        }
        let profile = match flags & (DURABLE | PAGE) {
            0 => Profile::Compact,
            DURABLE => Profile::Durable,
            PAGE => Profile::Page,
            _ => return Err(malformed("it has the flags of two profiles")),
        };
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
        if !profile.aligns(len, copy_len) {
            return Err(malformed("the length of its key slots does not fit their alignment"));
        }
        Ok(Self {
            layout: Layout::from(profile).detached(flags & DETACHED != 0),
            aad_required: flags & AAD_REQUIRED != 0,
            pairs,
            len,
            copy_len,
        })
    }

    pub(super) fn regions_len(&self) -> usize {
        self.len + self.layout.profile.copies() * self.copy_len
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

pub(super) fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, format!("message header is malformed: {what}"))
}

fn limit(what: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("message header is over a limit: {what}"))
}

pub(super) fn cut() -> Error {
    Error::new(ErrorKind::Truncated, "message is truncated: it ends within its header")
}
