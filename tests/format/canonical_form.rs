//! Regions A and B written a second time, from what the crate says it read: whatever it accepts has
//! to come out as it went in (F-2).
//!
//! Shared by the property tests and the fuzz targets. It uses public accessors only and none of the
//! crate's own encoding.

use ncp_envelope::WrappedKey;
use ncp_envelope::format::{BoundHeader, CopyState, Header, Profile};
use ncp_envelope::wrap::{Provider, ZoneHint};

/// Panics unless `header` is exactly what stands at the start of `message`.
pub(crate) fn check(message: &[u8], header: &Header) {
    let bound = header.bound();
    let region_a = region_a(bound);
    assert_eq!(
        bound.as_bytes(),
        region_a,
        "region A was kept in another form than the one that its fields give"
    );
    assert_eq!(message[..region_a.len()], region_a, "region A has a second encoding");

    let copies = header.copies();
    assert_eq!(copies.len(), bound.profile().copies());
    assert_eq!(
        bound.body_offset(),
        region_a.len() + copies.len() * bound.copy_len(),
        "the body is somewhere else"
    );
    let table = header.slots();
    let copy = copy(table.generation(), table.slots(), bound.copy_len());
    let mut found = 0;
    for (stored, state) in message[region_a.len()..].chunks_exact(bound.copy_len()).zip(copies) {
        // F-18: the latest counts, and of one generation the first.
        match state {
            CopyState::Valid { generation } if *generation == table.generation() => {
                assert!(found > 0 || stored == copy, "region B has a second encoding");
                found += 1;
            }
            CopyState::Valid { generation } => {
                let earlier = match (*generation, table.generation()) {
                    (u32::MAX, 1) => true,
                    (1, u32::MAX) => false,
                    (one, counts) => one < counts,
                };
                assert!(earlier, "a later copy was passed over")
            }
            _ => assert_ne!(stored, copy, "a copy was refused that is canonical"),
        }
    }
    assert!(found > 0, "the slots come from no stored copy");
}

/// F-4 to F-11.
pub(crate) fn region_a(bound: &BoundHeader) -> Vec<u8> {
    let durable = bound.profile() == Profile::Durable;
    let page = bound.profile() == Profile::Page;
    let mut pairs = Vec::new();
    for (name, value) in bound.context().iter() {
        pairs.extend(u16::try_from(name.len()).expect("F-10").to_be_bytes());
        pairs.extend(u16::try_from(value.len()).expect("F-10").to_be_bytes());
        pairs.extend(name.as_bytes());
        pairs.extend(value.as_bytes());
    }
    let content = 24 + pairs.len();
    let len = if durable { content.div_ceil(4_096) * 4_096 } else { content };
    let flags = u16::from(durable)
        + 2 * u16::from(bound.is_detached())
        + 4 * u16::from(bound.requires_aad())
        + 8 * u16::from(page);
    let mut out = b"\x8ENCP\r\n\x1A\n".to_vec();
    for field in
        [1, bound.suite().code(), flags, u16::try_from(bound.context().len()).expect("F-10")]
    {
        out.extend(field.to_be_bytes());
    }
    for field in [len, bound.copy_len()] {
        out.extend(u32::try_from(field).expect("F-8, F-9").to_be_bytes());
    }
    out.extend(pairs);
    out.resize(len, 0);
    out
}

/// F-16, F-17.
pub(crate) fn copy(generation: u32, slots: &[WrappedKey], len: usize) -> Vec<u8> {
    let mut out = generation.to_be_bytes().to_vec();
    out.extend([u8::try_from(slots.len()).expect("F-15"), 0, 0, 0]);
    for slot in slots {
        let (key, wrapped) = (slot.key_id(), slot.as_bytes());
        out.push(match key.provider() {
            Provider::NcpKms => 1,
            Provider::Local => 255,
            Provider::Other(code @ 128..=254) => code,
            other => panic!("{other:?} has no number in F-16"),
        });
        out.push(match key.zone() {
            ZoneHint::None => 0,
            ZoneHint::Global => 1,
            ZoneHint::Kr => 2,
            ZoneHint::Jp => 3,
            ZoneHint::Gov => 4,
            ZoneHint::Fin => 5,
            other => panic!("{other:?} has no number in F-16"),
        });
        out.push(u8::try_from(key.id().len()).expect("F-16"));
        out.extend(u16::try_from(wrapped.len()).expect("F-16").to_be_bytes());
        out.extend(key.id().as_bytes());
        out.extend(wrapped);
    }
    out.resize(len - 4, 0);
    out.extend(crc32c(&out).to_be_bytes());
    out
}

/// Puts the right checksum into every copy of region B that is whole, so that mutated slots are
/// looked at behind it.
pub(crate) fn repair_checksums(message: &mut [u8]) {
    let Some(fixed) = message.first_chunk::<24>() else { return };
    let u32_at = |at: usize| {
        u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]) as usize
    };
    let (start, len) = (u32_at(16), u32_at(20));
    let copies = 1 + usize::from(fixed[13] & 1);
    if !(5..=65_536).contains(&len) {
        return;
    }
    for copy in message.get_mut(start..).unwrap_or_default().chunks_exact_mut(len).take(copies) {
        let (body, crc) = copy.split_at_mut(len - 4);
        crc.copy_from_slice(&crc32c(body).to_be_bytes());
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 }
        })
    })
}
