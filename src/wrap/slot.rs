//! One slot as it is stored (`F-16`): a wrapped key, and which key-encryption key it is under.
//! Messages and key rings have the same ones.

use super::key_id::{KeyId, Provider, ZoneHint};
use super::wrapped::{MAX_WRAPPED_LEN, WrappedKey};

/// Most slots in one place: of a message (`F-15`), of an entry of a key ring (`R-5`).
pub(crate) const MAX_SLOTS: usize = 16;

const HEAD_LEN: usize = 5;

/// Why bytes are no slot. Whoever reads them says where they are.
pub(crate) enum SlotFault {
    /// They end within it.
    Cut,
    Malformed(&'static str),
    LimitExceeded(String),
}

/// The length of a slot in bytes.
pub(crate) fn encoded_len(slot: &WrappedKey) -> usize {
    HEAD_LEN + slot.key_id().id().len() + slot.as_bytes().len()
}

/// Hands the parts of a slot to `put`, in their order.
pub(crate) fn encode(slot: &WrappedKey, mut put: impl FnMut(&[u8])) {
    let (id, wrapped) = (slot.key_id(), slot.as_bytes());
    // The types' own caps (255 and 1,024 bytes) keep both lengths in range.
    put(&[id.provider().code(), zone_code(id.zone()), id.id().len() as u8]);
    put(&(wrapped.len() as u16).to_be_bytes());
    put(id.id().as_bytes());
    put(wrapped);
}

/// Reads a slot from the front of `bytes`, and moves them behind it.
pub(crate) fn decode(bytes: &mut &[u8]) -> Result<WrappedKey, SlotFault> {
    let mut take = |len: usize| {
        let (part, rest) = bytes.split_at_checked(len).ok_or(SlotFault::Cut)?;
        *bytes = rest;
        Ok::<_, SlotFault>(part)
    };
    let head = take(HEAD_LEN)?;
    let provider = Provider::from_code(head[0])
        .ok_or(SlotFault::Malformed("a slot names an unknown provider"))?;
    let zone = zone_from(head[1]).ok_or(SlotFault::Malformed("a slot names an unknown zone"))?;
    let id_len = usize::from(head[2]);
    let wrapped_len = usize::from(u16::from_be_bytes([head[3], head[4]]));
    if id_len == 0 || wrapped_len == 0 {
        return Err(SlotFault::Malformed("a slot is empty"));
    }
    if wrapped_len > MAX_WRAPPED_LEN {
        return Err(SlotFault::LimitExceeded(format!(
            "a slot claims a wrapped key of {wrapped_len} bytes, {MAX_WRAPPED_LEN} are allowed"
        )));
    }
    let not_ascii = SlotFault::Malformed("a key id is not printable ASCII");
    let Ok(id) = std::str::from_utf8(take(id_len)?) else { return Err(not_ascii) };
    let Ok(id) = KeyId::new(provider, zone, id) else { return Err(not_ascii) };
    // Both ends of its range were checked.
    WrappedKey::new(id, take(wrapped_len)?).map_err(|_| SlotFault::Malformed("a slot is empty"))
}

fn zone_code(zone: ZoneHint) -> u8 {
    match zone {
        ZoneHint::None => 0,
        ZoneHint::Global => 1,
        ZoneHint::Kr => 2,
        ZoneHint::Jp => 3,
        ZoneHint::Gov => 4,
        ZoneHint::Fin => 5,
    }
}

fn zone_from(code: u8) -> Option<ZoneHint> {
    Some(match code {
        0 => ZoneHint::None,
        1 => ZoneHint::Global,
        2 => ZoneHint::Kr,
        3 => ZoneHint::Jp,
        4 => ZoneHint::Gov,
        5 => ZoneHint::Fin,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(provider: Provider, zone: ZoneHint, id: usize, wrapped: usize) -> WrappedKey {
        let id = KeyId::new(provider, zone, "k".repeat(id)).unwrap();
        WrappedKey::new(id, vec![7; wrapped]).unwrap()
    }

    fn bytes(slot: &WrappedKey) -> Vec<u8> {
        let mut out = Vec::new();
        encode(slot, |part| out.extend_from_slice(part));
        out
    }

    // F-16
    #[test]
    fn a_slot_is_read_as_it_was_written_and_what_is_behind_it_is_left() {
        use ZoneHint::*;
        for zone in [None, Global, Kr, Jp, Gov, Fin] {
            for (id, wrapped) in [(1, 1), (255, 1_024), (8, 110)] {
                let slot = slot(Provider::Other(200), zone, id, wrapped);
                let mut encoded = bytes(&slot);
                assert_eq!(encoded.len(), encoded_len(&slot));
                encoded.extend_from_slice(b"behind");
                let mut rest = &encoded[..];
                let read = decode(&mut rest).ok().unwrap();
                assert_eq!((&read, read.key_id().zone()), (&slot, zone));
                assert_eq!(rest, b"behind");
            }
        }
    }

    // F-16
    #[test]
    fn each_fault_is_told() {
        let good = bytes(&slot(Provider::Local, ZoneHint::None, 3, 4));
        let fault = |bytes: &[u8]| match decode(&mut &bytes[..]) {
            Ok(_) => "none".to_owned(),
            Err(SlotFault::Cut) => "cut".to_owned(),
            Err(SlotFault::Malformed(what)) => what.to_owned(),
            Err(SlotFault::LimitExceeded(what)) => format!("limit: {what}"),
        };
        for len in 0..good.len() {
            assert_eq!(fault(&good[..len]), "cut", "{len}");
        }
        for (at, value, expected) in [
            (0, 2, "unknown provider"),
            (0, 0, "unknown provider"),
            (1, 6, "unknown zone"),
            (2, 0, "empty"),
            (4, 0, "empty"),
            (3, 5, "limit: a slot claims a wrapped key of 1284 bytes"),
            (5, b' ', "not printable"),
            (6, 0x7f, "not printable"),
            (7, 0xff, "not printable"),
        ] {
            let mut changed = good.clone();
            changed[at] = value;
            assert!(fault(&changed).contains(expected), "{at}: {}", fault(&changed));
        }
    }
}
