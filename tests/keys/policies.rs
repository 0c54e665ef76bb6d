//! Readers with different rules on one cache: none is served what it would have refused.

use super::*;
use common::payload;
use ncp_envelope::{EncryptionContext, KeyCache, KeyWrapper};

fn shared() -> KeyCache {
    KeyCache::new(CacheLimits::new(HOUR)).unwrap()
}

fn reader(key: &Key, scope: &str, cache: &KeyCache, partition: &str) -> Envelope {
    Envelope::builder(key.clone()).scope(scope).shared_cache(cache, partition).build().unwrap()
}

#[tokio::test]
async fn the_stricter_reader_on_a_shared_cache_is_never_served_what_it_refuses() {
    let emulator = emulator().await;
    let account = client(&emulator).build().unwrap();
    let key = account.key(emulator.key_tag()).unwrap();
    let other = account.key(emulator.create_key("other").await.unwrap()).unwrap();
    let cache = shared();
    let lax = reader(&key, "a", &cache, "one");
    let context = EncryptionContext::new().with("kind", "note").unwrap();
    let message = lax.encrypt(b"x", &context).await.unwrap();
    let foreign = Envelope::builder(other.clone())
        .scope("a")
        .build()
        .unwrap()
        .encrypt(b"y", &context)
        .await
        .unwrap();
    let any = policy().allow_key(key.id().clone()).allow_key(other.id().clone());
    for message in [&message, &foreign] {
        lax.decrypt(message, &any).await.unwrap();
        lax.decrypt(message, &any).await.unwrap();
    }
    assert_eq!((cache.stats().keys, cache.stats().hits), (2, 2));

    // Refused for what the message says: no question, no look into the cache.
    let same = reader(&key, "a", &cache, "one");
    let (requests, looks) = (emulator.request_count(), cache.stats());
    for (message, refusing, expected) in [
        (&message, policy().require("kind", "letter"), ErrorKind::NotAccepted),
        (&message, policy().require("owner", "me"), ErrorKind::NotAccepted),
        (&foreign, policy(), ErrorKind::KeyNotAllowed),
        (&message, policy().allow_key(other.id().clone()), ErrorKind::KeyNotAllowed),
        (&message, policy().max_slots(0), ErrorKind::LimitExceeded),
        (&message, policy().max_unwraps(0), ErrorKind::LimitExceeded),
        (&message, policy().aad("volume 7"), ErrorKind::NotAccepted),
    ] {
        let alone = same.decrypt(message, &refusing).await;
        let many = same.decrypt_many(&[message], &refusing).await.remove(0);
        let header = Header::decode(message).unwrap();
        assert_eq!(
            kind(same.admit(&header, &refusing)),
            kind(alone.as_ref().map(drop).map_err(Clone::clone))
        );
        assert_eq!(
            kind(same.reader(&message[..], &refusing).await.map(drop)),
            kind(many.as_ref().map(drop).map_err(Clone::clone))
        );
        let found = kind(alone);
        assert!(found == expected || found == ErrorKind::Authentication, "{refusing:?}: {found:?}");
        assert_eq!(kind(many), found);
    }
    assert_eq!((emulator.request_count(), cache.stats()), (requests, looks));

    // Refused for what the key is for: the cache has it, for another scope, and the answer is the
    // service's and not the cache's.
    let elsewhere = reader(&key, "b", &cache, "one");
    assert_eq!(kind(elsewhere.decrypt(&message, &policy()).await), ErrorKind::Authentication);
    assert_eq!(emulator.request_count(), requests + 1);
    assert_eq!(
        kind(lax.for_scope("c").unwrap().decrypt(&message, &policy()).await),
        ErrorKind::Authentication
    );
    assert_eq!(emulator.request_count(), requests + 2);
    // And the refusals do not reach readers in the partition of the key.
    lax.decrypt(&message, &policy()).await.unwrap();
    assert_eq!(emulator.request_count(), requests + 2);

    // Too old for this reader: unwrapped each time, and the result serves the others.
    for asked in 1..=3 {
        same.decrypt(&message, &policy().max_key_age(Duration::ZERO)).await.unwrap();
        same.decrypt(&message, &policy().max_key_age(HOUR)).await.unwrap();
        lax.decrypt(&message, &policy()).await.unwrap();
        assert_eq!(emulator.request_count(), requests + 2 + asked);
    }
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    lax.decrypt(&message, &policy()).await.unwrap();
    assert_eq!(
        kind(same.decrypt_many(&[&message], &policy().max_key_age(Duration::ZERO)).await.remove(0)),
        ErrorKind::KeyUnusable
    );
    // The service denied it, so no reader has it any more.
    assert_eq!(kind(lax.decrypt(&message, &policy()).await), ErrorKind::KeyUnusable);
    // The other key was not denied.
    lax.decrypt(&foreign, &any).await.unwrap();
}

#[tokio::test]
async fn a_message_with_more_slots_than_accepted_is_not_opened_by_a_cached_key() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let data = DataKey::generate().unwrap();
    let payloads: Vec<_> = (0..5).map(|_| payload(&data, "")).collect();
    let message = message_under(
        &data,
        &SlotTable::new(key.wrap_keys(&payloads).await.unwrap()).unwrap(),
        b"x",
    );
    let cache = shared();
    let lax = reader(&key, "", &cache, "one");
    lax.decrypt(&message, &policy().max_slots(5)).await.unwrap();
    assert_eq!(cache.stats().keys, 1);
    assert_eq!(
        kind(reader(&key, "", &cache, "one").decrypt(&message, &policy()).await),
        ErrorKind::LimitExceeded
    );
}

#[tokio::test]
async fn partitions_share_nothing() {
    let emulator = Emulator::builder()
        .unthrottled()
        .sub_account("writer", "secret-of-the-writer", &["Change/encrypt"])
        .start()
        .await
        .unwrap();
    let may = key(&emulator);
    let writer =
        client_as(&emulator, Credentials::account("writer", "secret-of-the-writer").unwrap())
            .build()
            .unwrap();
    let may_not = writer.key(emulator.key_tag()).unwrap();
    let cache = shared();
    let (one, two, stranger) = (
        reader(&may, "", &cache, "one"),
        reader(&may, "", &cache, "two"),
        reader(&may_not, "", &cache, "stranger"),
    );
    let message = one.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    let calls = || of(&emulator.requests(), "decrypt").len();
    one.decrypt(&message, &policy()).await.unwrap();
    one.decrypt(&message, &policy()).await.unwrap();
    assert_eq!(calls(), 1);
    two.decrypt(&message, &policy()).await.unwrap();
    assert_eq!(calls(), 2);
    // Has the key service's word that it may not, although two others have the key in the same
    // memory.
    assert_eq!(kind(stranger.decrypt(&message, &policy()).await), ErrorKind::AccessDenied);
    assert_eq!(calls(), 3);
    assert_eq!(cache.stats().keys, 2);
    // Its denial is its own: the others keep their keys, and are not refused without a question.
    for envelope in [&one, &two] {
        envelope.decrypt(&message, &policy()).await.unwrap();
    }
    assert_eq!(calls(), 3);
    // The same the other way round, at the same time: no unwrap is joined across partitions.
    cache.forget_keys();
    emulator.set_latency(Duration::from_millis(300));
    let message: Arc<[u8]> = message.into();
    let results = at_once(30, |index| {
        let (envelope, message) = ([&one, &two, &stranger][index % 3].clone(), message.clone());
        async move { envelope.decrypt(&message, &policy()).await.map(drop) }
    })
    .await;
    for (index, result) in results.into_iter().enumerate() {
        match index % 3 {
            2 => assert_eq!(kind(result), ErrorKind::AccessDenied),
            _ => result.unwrap(),
        }
    }
    assert_eq!(calls(), 6);
}

#[tokio::test]
async fn a_cache_of_its_own_is_nobody_elses() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let message = write(&key, 1).await.remove(0);
    let before = emulator.request_count();
    for envelope in [cached(&key), cached(&key), uncached(&key)] {
        envelope.decrypt(&message, &policy()).await.unwrap();
        envelope.clone().decrypt(&message, &policy()).await.unwrap();
    }
    assert_eq!(emulator.request_count() - before, 1 + 1 + 2);
}
