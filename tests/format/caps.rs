//! The caps of a policy, through every call that reads: how many slots, how many unwraps, how old a
//! key.

use crate::common::{Counting, KEK, KEY_ID, block_on, message_under, payload, slots};
use ncp_envelope::format::{Header, SlotTable};
use ncp_envelope::wrap::{Provider, ZoneHint};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, Envelope, Error, ErrorKind, KeyId,
    KeyWrapper, WrappedKey,
};
use std::time::Duration;

/// What each way to read comes to.
fn every_way(
    envelope: &Envelope,
    message: &[u8],
    policy: &DecryptPolicy,
) -> Vec<Result<(), ErrorKind>> {
    let kind = |error: Error| error.kind();
    let header = Header::decode(message).unwrap();
    let preamble = message[header.bound().body_offset()..].first_chunk().unwrap();
    let source = std::io::Cursor::new(message.to_vec());
    block_on(async {
        vec![
            envelope.decrypt(message, policy).await.map(drop).map_err(kind),
            envelope.decrypt_into(message, policy, &mut Vec::new()).await.map(drop).map_err(kind),
            envelope.decrypt_many(&[message], policy).await.remove(0).map(drop).map_err(kind),
            envelope.decryptor(&header, preamble, policy).await.map(drop).map_err(kind),
            envelope.reader(message, policy).await.map(drop).map_err(kind),
            #[cfg(feature = "tokio")]
            envelope.async_reader(message, policy).await.map(drop).map_err(kind),
            envelope.decrypt_stream(source, Vec::new(), policy).await.map(drop).map_err(kind),
        ]
    })
}

const WAYS: usize = 6 + if cfg!(feature = "tokio") { 1 } else { 0 };

fn all(results: Vec<Result<(), ErrorKind>>, wanted: Result<(), ErrorKind>) {
    assert!(results.len() == WAYS && results.iter().all(|result| *result == wanted), "{results:?}");
}

fn rig() -> (Envelope, Counting) {
    let wrapper = Counting::new(KEY_ID, KEK);
    (Envelope::builder(wrapper.clone()).build().unwrap(), wrapper)
}

// F-15
#[test]
fn a_message_has_no_more_slots_than_the_policy_says() {
    let (envelope, wrapper) = rig();
    let key = DataKey::generate().unwrap();
    for count in [1, 4, 5, 16] {
        let message = message_under(&key, &slots(&key, count), b"x");
        for most in [0, 1, 3, 4, 5, 15, 16, 17, usize::MAX] {
            let before = wrapper.calls();
            let policy = DecryptPolicy::new().max_slots(most);
            let header = Header::decode(&message).unwrap();
            assert_eq!(envelope.admit(&header, &policy).is_ok(), count <= most);
            if count <= most {
                all(every_way(&envelope, &message, &policy), Ok(()));
            } else {
                all(every_way(&envelope, &message, &policy), Err(ErrorKind::LimitExceeded));
                assert_eq!(wrapper.calls(), before, "a key was asked for");
            }
        }
    }
}

/// Slots under the test's key: of other data keys, and then of `key`.
fn late(key: &DataKey, others: usize) -> Vec<WrappedKey> {
    let mut payloads: Vec<_> =
        (0..others).map(|_| payload(&DataKey::generate().unwrap(), "")).collect();
    payloads.push(payload(key, ""));
    block_on(Counting::new(KEY_ID, KEK).wrap_keys(&payloads)).unwrap()
}

// F-33
#[test]
fn no_more_unwraps_are_asked_for_than_the_policy_says() {
    let (envelope, wrapper) = rig();
    let key = DataKey::generate().unwrap();
    let message = message_under(&key, &SlotTable::new(late(&key, 3)).unwrap(), b"x");
    for most in 0..6 {
        let before = wrapper.calls();
        let policy = DecryptPolicy::new().max_unwraps(most);
        let wanted = match most {
            0 => Err(ErrorKind::LimitExceeded),
            1..4 => Err(ErrorKind::Authentication),
            _ => Ok(()),
        };
        all(every_way(&envelope, &message, &policy), wanted);
        assert_eq!(wrapper.calls() - before, WAYS * most.min(4));
    }
    // Those from a cache count as well.
    let limits = CacheLimits::new(Duration::from_secs(300));
    let cached = Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
    all(every_way(&cached, &message, &DecryptPolicy::new()), Ok(()));
    all(
        every_way(&cached, &message, &DecryptPolicy::new().max_unwraps(3)),
        Err(ErrorKind::Authentication),
    );
}

#[test]
fn slots_of_keys_that_are_not_allowed_are_no_unwraps() {
    let (envelope, wrapper) = rig();
    let key = DataKey::generate().unwrap();
    let foreign = KeyId::new(Provider::NcpKms, ZoneHint::Global, "foreign").unwrap();
    let mut table = vec![WrappedKey::new(foreign.clone(), [7; 60]).unwrap()];
    table.extend(late(&key, 0));
    let message = message_under(&key, &SlotTable::new(table).unwrap(), b"x");
    let before = wrapper.calls();
    all(every_way(&envelope, &message, &DecryptPolicy::new().max_unwraps(1)), Ok(()));
    assert_eq!(wrapper.calls() - before, WAYS);
    // Once it is allowed it takes its turn, and of the failures the first is told.
    let both = DecryptPolicy::new().allow_key(foreign).allow_key(wrapper.key_id().clone());
    all(every_way(&envelope, &message, &both), Ok(()));
    all(every_way(&envelope, &message, &both.max_unwraps(1)), Err(ErrorKind::KeyNotAllowed));
}

// F-33: the writer's order is the one in which it counts.
#[test]
fn of_several_slots_that_fail_the_first_one_is_told() {
    let (envelope, wrapper) = rig();
    let (key, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
    let foreign = KeyId::new(Provider::NcpKms, ZoneHint::Global, "foreign").unwrap();
    let allowed =
        DecryptPolicy::new().allow_key(foreign.clone()).allow_key(wrapper.key_id().clone());
    let foreign = WrappedKey::new(foreign, [7; 60]).unwrap();
    let wrong = late(&other, 0).remove(0);
    for (slots, kind) in [
        ([foreign.clone(), wrong.clone()], ErrorKind::KeyNotAllowed),
        ([wrong, foreign], ErrorKind::Authentication),
    ] {
        let message = message_under(&key, &SlotTable::new(slots.to_vec()).unwrap(), b"x");
        all(every_way(&envelope, &message, &allowed), Err(kind));
    }
}

#[test]
fn a_key_older_than_the_policy_says_is_asked_for_again() {
    let wrapper = Counting::new(KEY_ID, KEK);
    let limits = CacheLimits::new(Duration::from_secs(300));
    let envelope = Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
    let message = block_on(envelope.encrypt(b"x", EncryptOptions::new())).unwrap();
    let policy = DecryptPolicy::new();
    let calls = |policy: &DecryptPolicy| {
        let before = wrapper.calls();
        all(every_way(&envelope, &message, policy), Ok(()));
        wrapper.calls() - before
    };
    assert_eq!(calls(&policy), 1);
    assert_eq!(calls(&policy), 0);
    assert_eq!(calls(&policy.clone().max_key_age(Duration::from_secs(300))), 0);
    assert_eq!(calls(&policy.max_key_age(Duration::ZERO)), WAYS);
}
