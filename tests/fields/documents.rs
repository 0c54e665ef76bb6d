//! Rings as they are stored: what must not be exchanged between rings and messages, and which
//! documents a ring in use takes.

use ncp_envelope::blocking::wait;
use ncp_envelope::fields::{KeyRing, RingDocument};
use ncp_envelope::format::Header;
use ncp_envelope::{DataKey, EncryptionContext, Envelope, ErrorKind, LocalKeyWrapper, WrappedKey};
use proptest::prelude::*;

fn envelope() -> Envelope {
    let wrapper = LocalKeyWrapper::new("test-key", &DataKey::copy_from(&[7; 32])).unwrap();
    Envelope::builder(wrapper).build().unwrap()
}

fn create(envelope: &Envelope) -> KeyRing {
    wait(KeyRing::create(envelope)).unwrap().unwrap()
}

fn with_crc(mut ring: Vec<u8>) -> Vec<u8> {
    let body = ring.len() - 4;
    let crc = crc32c::crc32c(&ring[..body]);
    ring[body..].copy_from_slice(&crc.to_be_bytes());
    ring
}

/// The ring with `new` in place of the wrapped key `old`.
fn exchanged(ring: &[u8], old: &WrappedKey, new: &WrappedKey) -> Vec<u8> {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    assert_eq!(old.len(), new.len());
    let at = ring.windows(old.len()).position(|window| window == old).unwrap();
    let mut ring = ring.to_vec();
    ring[at..at + new.len()].copy_from_slice(new);
    with_crc(ring)
}

//
#[test]
fn no_key_is_exchanged_between_a_ring_and_a_message() {
    let envelope = envelope();
    let ring = create(&envelope).document();
    let mut message = wait(envelope.encrypt("hello", EncryptionContext::new())).unwrap().unwrap();
    let of_message = Header::decode(&message).unwrap().slots().slots()[0].clone();
    for entry in ring.entries() {
        let slot = &entry.slots()[0];
        let bytes = exchanged(&ring.to_bytes(), slot, &of_message);
        let refused = wait(KeyRing::open(bytes, &envelope)).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Authentication);

        let header = Header::decode(&message).unwrap();
        let new = header.replace_slots(vec![slot.clone()]).unwrap();
        message[new.offset..new.offset + new.bytes.len()].copy_from_slice(&new.bytes);
        let refused =
            wait(envelope.decrypt(&message, EncryptionContext::new())).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Authentication);
    }
    // Each where it belongs, in the same way.
    let header = Header::decode(&message).unwrap();
    let new = header.replace_slots(vec![of_message]).unwrap();
    message[new.offset..new.offset + new.bytes.len()].copy_from_slice(&new.bytes);
    assert_eq!(
        wait(envelope.decrypt(&message, EncryptionContext::new())).unwrap().unwrap(),
        "hello"
    );
    let slot = &ring.entries()[0].slots()[0];
    let same = exchanged(&ring.to_bytes(), slot, slot);
    assert!(wait(KeyRing::open(same, &envelope)).unwrap().is_ok());
}

//
#[test]
fn no_key_is_exchanged_between_rings_or_within_one() {
    let envelope = envelope();
    let rings = [create(&envelope).document(), create(&envelope).document()];
    let slot = |ring: usize, at: usize| rings[ring].entries()[at].slots()[0].clone();
    for (at, ring, from) in [(0, 1, 0), (1, 1, 1), (0, 0, 1), (1, 0, 0)] {
        let bytes = exchanged(&rings[0].to_bytes(), &slot(0, at), &slot(ring, from));
        let refused = wait(KeyRing::open(bytes, &envelope)).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Authentication, "{at} {ring} {from}");
    }
}

//
#[test]
fn each_reader_names_what_the_other_reads() {
    let envelope = envelope();
    let message = wait(envelope.encrypt("hello", EncryptionContext::new())).unwrap().unwrap();
    let ring = create(&envelope).to_bytes();
    let refused = RingDocument::decode(&message).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Malformed);
    assert!(refused.to_string().contains("is a message and not a key ring"), "{refused}");
    let refused = wait(envelope.decrypt(&ring, EncryptionContext::new())).unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Malformed);
    assert!(refused.to_string().contains("is a key ring and not a message"), "{refused}");
}

//
#[test]
fn a_rewrap_replaces_the_wrapped_keys_of_the_envelope_and_nothing_else() {
    let wrapper =
        |id: &str, kek: u8| LocalKeyWrapper::new(id, &DataKey::copy_from(&[kek; 32])).unwrap();
    let alone = |id: &str, kek| Envelope::builder(wrapper(id, kek)).build().unwrap();
    let (theirs, ours) = (alone("theirs", 1), alone("ours", 2));
    let both = Envelope::builder(wrapper("theirs", 1)).and(wrapper("ours", 2)).build().unwrap();
    // Keys 1 and 2 are wrapped under both, key 3 under theirs only.
    let shared = create(&both).to_bytes();
    let ring = wait(KeyRing::open(shared, &theirs)).unwrap().unwrap();
    let ring = wait(ring.rotate()).unwrap().unwrap();

    let new = wait(ring.rewrap(&ours)).unwrap().unwrap();
    let calls = ours.stats().rewrap;
    assert_eq!((calls.calls, calls.keys), (1, 2), "all keys go through one call");
    assert_eq!(ours.stats().unwrap.calls + ours.stats().wrap.calls, 0, "no key was seen");
    assert_eq!((new.id(), new.highest()), (ring.id(), ring.highest()));
    let mut replaced = 0;
    for (old, new) in ring.entries().iter().zip(new.entries()) {
        assert_eq!((old.number(), old.role()), (new.number(), new.role()));
        assert_eq!(old.created(), new.created());
        for (old, new) in old.slots().iter().zip(new.slots()) {
            assert_eq!(old.key_id(), new.key_id());
            assert_eq!(old != new, old.key_id().id() == "ours");
            replaced += usize::from(old != new);
        }
    }
    assert_eq!(replaced, 2);
    assert!(wait(KeyRing::open(new.to_bytes(), &theirs)).unwrap().is_ok());

    let refused = wait(ring.rewrap(&alone("none", 2))).unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyNotAllowed);
    assert!(refused.to_string().contains("under none: they are under ours, theirs"), "{refused}");
    // One that fails is the answer for all.
    let refused = wait(ring.rewrap(&alone("ours", 3))).unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Authentication);
    assert!(refused.to_string().starts_with("key 1 of the ring: "), "{refused}");
}

//
#[test]
fn a_ring_in_use_takes_no_older_document_and_none_of_another_ring() {
    let envelope = envelope();
    let ring = create(&envelope);
    let old = ring.document();
    let rotate = || wait(ring.rotate()).unwrap().unwrap();
    let adopt = |document: &RingDocument| wait(ring.adopt(document)).unwrap();
    let (newer, rival) = (rotate(), rotate());
    adopt(&newer).unwrap();
    adopt(&newer).unwrap();
    // Whoever can write a ring can write any number as its highest.
    let mut raised = old.to_bytes();
    raised[28..32].copy_from_slice(&9_u32.to_be_bytes());
    let raised = RingDocument::decode(&with_crc(raised)).unwrap();
    assert_eq!((raised.highest(), raised.value_key()), (9, 1));
    for (refused, told) in [
        (&old, "older"),
        (&raised, "older"),
        (&rival, "key 3 of the document is another one"),
        (&create(&envelope).document(), "of the ring"),
    ] {
        let error = adopt(refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(ring.document(), newer);
    }
    adopt(&newer.retire(1).unwrap()).unwrap();
    adopt(&wait(ring.rewrap()).unwrap().unwrap()).unwrap();
}

//
proptest! {
    #[test]
    fn what_is_decoded_is_encoded_to_the_same_bytes(
        at in 8..310_usize,
        new in prop::collection::vec(any::<u8>(), 1..24),
        cut in 0..2_usize,
    ) {
        let mut ring = include_bytes!("../vectors/fields/index-key-first.ring").to_vec();
        let end = (at + new.len()).min(ring.len());
        let at = at.min(ring.len());
        ring.splice(at..end, new.iter().copied().skip(cut));
        let ring = with_crc(ring);
        if let Ok(document) = RingDocument::decode(&ring) {
            prop_assert_eq!(document.to_bytes(), ring);
        }
    }
}
