//! Regions A and B together, as they stand in front of a body.

use super::bound::{BoundHeader, Fixed, cut, malformed};
use super::derive::PREAMBLE_LEN;
use super::slots::{self, CopyState, Replacement, SlotTable};
use crate::error::Result;
use crate::wrap::WrappedKey;

/// Regions A and B of a message, as read.
///
/// ```
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let message = envelope.encrypt("hello", [("kind", "note")])?;
/// use ncp_envelope::format::Header;
/// let header = Header::decode(&message)?;
/// assert_eq!(header.bound().context().get("kind"), Some("note"));
/// assert_eq!(header.slots().slots()[0].key_id().id(), "k");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    bound: BoundHeader,
    slots: SlotTable,
    copies: Vec<CopyState>,
    /// The copy that the slots are from.
    counting: usize,
}

impl Header {
    /// How many bytes regions A and B take, from the first 24 bytes of a message
    /// ([`FIXED_LEN`](super::FIXED_LEN)): read that many, then [`decode`](Self::decode) them. At
    /// most 196,608.
    ///
    /// Pass what there is if the message is shorter: the error then says what is wrong as precisely
    /// as the bytes allow.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::{FIXED_LEN, Header};
    /// let len = Header::len_from(&message[..FIXED_LEN])?;
    /// assert_eq!(Header::decode(&message[..len])?.bound().body_offset(), len);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn len_from(prefix: &[u8]) -> Result<usize> {
        let fixed = Fixed::decode(prefix)?;
        Ok(fixed.regions_len())
    }

    /// Reads regions A and B from the start of a message; what follows them is ignored.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::Header;
    /// assert_eq!(Header::decode(&message)?.slots().slots().len(), 1);
    /// let error = Header::decode(&message[..100]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Truncated);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`BoundHeader::decode`], each saying what is wrong.
    pub fn decode(message: &[u8]) -> Result<Self> {
        let fixed = Fixed::decode(message)?;
        let regions = message.get(..fixed.regions_len()).ok_or_else(cut)?;
        let (region_a, region_b) = regions.split_at(fixed.len);
        let bound = BoundHeader::decode(region_a)?;
        let (slots, copies, counting) = slots::decode_region(region_b, fixed.copy_len)?;
        Ok(Self { bound, slots, copies, counting })
    }

    /// Reads the header of a message whose body is an object of its own (`F-13`): regions A and B,
    /// and nothing behind them.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// use ncp_envelope::format::{Header, Layout, Profile};
    /// let options = EncryptOptions::new().layout(Layout::from(Profile::Compact).detached(true));
    /// let message = envelope.encrypt("hello", options)?;
    /// let (header, _body) = message.split_at(Header::len_from(&message)?);
    /// assert!(Header::decode_detached(header)?.bound().is_detached());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode); [`NotAccepted`](crate::ErrorKind::NotAccepted) for the header
    /// of a message whose body is behind it.
    pub fn decode_detached(object: &[u8]) -> Result<Self> {
        let header = Self::decode(object)?;
        header.bound.check_detached(true)?;
        if object.len() > header.bound.body_offset() {
            return Err(malformed("there are bytes behind the header of a detached body"));
        }
        Ok(header)
    }

    /// What to write, and where, to give the stored message these slots in place of the ones that
    /// count (`F-34`). Nothing but that changes.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::format::Header;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let mut message = envelope.encrypt(b"hello", EncryptionContext::new()).await?;
    /// let header = Header::decode(&message)?;
    /// let mut slots = Vec::new();
    /// for slot in envelope.rewrap_keys(header.slots().slots()).await {
    ///     slots.push(slot?);
    /// }
    /// let replacement = header.replace_slots(slots)?;
    /// let end = replacement.offset + replacement.bytes.len();
    /// message[replacement.offset..end].copy_from_slice(&replacement.bytes);
    /// assert_eq!(Header::decode(&message)?.slots().generation(), 2);
    /// # Ok::<(), ncp_envelope::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) unless there are 1 to 16 slots that fit
    /// the room this message has for them.
    pub fn replace_slots(&self, slots: Vec<WrappedKey>) -> Result<Replacement> {
        let copy_len = self.bound.copy_len();
        // The one that does not count; the only one, where there is one.
        let copy = (self.counting + 1) % self.copies.len();
        let offset = self.bound.as_bytes().len() + copy * copy_len;
        self.slots.next(slots)?.encode_replacement(offset, copy_len)
    }

    /// Region A.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::Header;
    /// let header = Header::decode(&message)?;
    /// assert!(message.starts_with(header.bound().as_bytes()));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn bound(&self) -> &BoundHeader {
        &self.bound
    }

    /// The key slots that count (`F-18`). Not authenticated by anything: a slot can make a message
    /// unreadable, never readable as another.
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
    pub fn slots(&self) -> &SlotTable {
        &self.slots
    }

    /// The state of each stored copy of the slots, in order.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// use ncp_envelope::format::{CopyState, Header, Profile};
    /// let message = envelope.encrypt("hello", EncryptOptions::new().layout(Profile::Durable))?;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(header.copies().len(), 2);
    /// assert!(matches!(header.copies()[0], CopyState::Valid { generation: 1, .. }));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn copies(&self) -> &[CopyState] {
        &self.copies
    }

    /// Bytes of a message that are not plaintext, given that there are `chunks` of them.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// use ncp_envelope::format::Header;
    /// let header = Header::decode(&message)?;
    /// assert_eq!(message.len() as u64, "hello".len() as u64 + header.overhead(1));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn overhead(&self, chunks: u64) -> u64 {
        chunks
            .saturating_mul(super::TAG_LEN as u64)
            .saturating_add((self.bound.body_offset() + PREAMBLE_LEN) as u64)
    }
}
