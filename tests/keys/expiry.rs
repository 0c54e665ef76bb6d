//! When a key ends: refreshed and denied in the background, retired, forgotten.

use super::*;
use ncp_envelope::{KeyWrapper, PoolLimits, ReuseLimits};

const SOON: Duration = Duration::from_millis(200);

fn refreshing(key: &Key) -> Envelope {
    Envelope::builder(key.clone())
        .cache(CacheLimits::new(HOUR).with_refresh_after(SOON))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_use_is_refreshed_by_one_call_that_nobody_waits_for() {
    let emulator = emulator().await;
    let message: Arc<[u8]> = write(&key(&emulator), 1).await.remove(0).into();
    let envelope = refreshing(&key(&emulator));
    envelope.decrypt(&message, &policy()).await.unwrap();
    // No answer comes before all readers are done, so a reader that waited for it would never be.
    let silent = ncp_envelope::emulator::Fault::new(ncp_envelope::emulator::FaultKind::Silent);
    let silent = emulator.inject(silent).await.unwrap();
    // Past the age at which the next reader asks again, which is no later than that.
    tokio::time::sleep(SOON).await;
    let results = at_once(100, |_| {
        let (envelope, message) = (envelope.clone(), message.clone());
        async move { envelope.decrypt(&message, &policy()).await }
    })
    .await;
    assert!(results.into_iter().all(|result| *result.unwrap() == text(0)));
    let stats = envelope.stats();
    assert_eq!(
        (stats.cache.refreshes, stats.cache.hits, stats.cache.misses, stats.cache.joins),
        (1, 100, 1, 0),
        "{stats:?}"
    );
    emulator.clear_fault(silent).await;
}

#[tokio::test]
async fn a_refresh_that_is_denied_ends_the_key_and_one_that_succeeds_keeps_it() {
    let emulator = emulator().await;
    let message = write(&key(&emulator), 1).await.remove(0);
    let envelope = refreshing(&key(&emulator));
    envelope.decrypt(&message, &policy()).await.unwrap();
    until(async || {
        envelope.decrypt(&message, &policy()).await.unwrap();
        envelope.stats().unwrap.keys >= 3
    })
    .await;
    let stats = envelope.stats();
    // A refresh may still be in flight.
    assert_eq!(
        (stats.cache.misses, stats.recipients[0].asked),
        (1, stats.cache.refreshes + 1),
        "no reader ever asked itself: {stats:?}"
    );

    emulator.disable_key(emulator.key_tag()).await.unwrap();
    let mut denied = None;
    until(async || {
        denied = envelope.decrypt(&message, &policy()).await.err();
        denied.is_some()
    })
    .await;
    assert_eq!(denied.unwrap().kind(), ErrorKind::KeyUnusable);
    let stats = envelope.stats();
    assert_eq!((stats.cache.keys, stats.cache.denied), (0, 1), "{stats:?}");
}

#[tokio::test]
async fn a_refresh_that_came_to_nothing_is_asked_again() {
    use ncp_envelope::emulator::{Fault, FaultKind};
    let emulator = emulator().await;
    let message = write(&key(&emulator), 1).await.remove(0);
    let envelope = refreshing(&key(&emulator));
    envelope.decrypt(&message, &policy()).await.unwrap();
    emulator.inject(Fault::new(FaultKind::MissingField).once()).await.unwrap();
    until(async || {
        envelope.decrypt(&message, &policy()).await.unwrap();
        envelope.stats().unwrap.calls == 2
            && emulator.requests().iter().any(|request| request.fault.is_some())
    })
    .await;
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    let denied = until(async || envelope.decrypt(&message, &policy()).await.is_err());
    tokio::time::timeout(Duration::from_secs(60), denied)
        .await
        .expect("the key is asked for again");
}

#[tokio::test]
async fn one_false_answer_does_not_end_a_key_that_has_opened_a_message() {
    use ncp_envelope::emulator::{Fault, FaultKind};
    let emulator = emulator().await;
    let message = write(&key(&emulator), 1).await.remove(0);
    let envelope = refreshing(&key(&emulator));
    envelope.decrypt(&message, &policy()).await.unwrap();
    emulator.inject(Fault::new(FaultKind::OtherPlaintext).times(2)).await.unwrap();
    // Twice falsely, then rightly.
    until(async || {
        assert_eq!(*envelope.decrypt(&message, &policy()).await.unwrap(), text(0));
        envelope.stats().cache.refreshes >= 4
    })
    .await;
    assert_eq!((envelope.stats().cache.misses, envelope.stats().cache.denied), (1, 0));
    // A reader that needs a new answer gets the error, and the others are not affected.
    emulator.inject(Fault::new(FaultKind::OtherPlaintext)).await.unwrap();
    assert_eq!(
        kind(envelope.decrypt(&message, &policy().max_key_age(Duration::ZERO)).await),
        ErrorKind::Internal
    );
    envelope.decrypt(&message, &policy()).await.unwrap();
    // Where there is no such key, it is as ever.
    assert_eq!(
        kind(cached(&key(&emulator)).decrypt(&message, &policy()).await),
        ErrorKind::Authentication
    );
}

#[tokio::test]
async fn an_outage_while_refreshing_is_not_noticed() {
    let emulator = emulator().await;
    let key = client(&emulator).max_attempts(1).build().unwrap().key(emulator.key_tag()).unwrap();
    let message = write(&key, 1).await.remove(0);
    let envelope = refreshing(&key);
    envelope.decrypt(&message, &policy()).await.unwrap();
    emulator
        .inject(ncp_envelope::emulator::Fault::new(ncp_envelope::emulator::FaultKind::Refused))
        .await
        .unwrap();
    until(async || {
        envelope.decrypt(&message, &policy()).await.unwrap();
        envelope.stats().unwrap.failed_calls >= 2
    })
    .await;
    envelope.decrypt(&message, &policy()).await.unwrap();
    assert_eq!(envelope.stats().cache.misses, 1);
}

#[tokio::test]
async fn keys_under_a_retired_version_are_not_written_with_any_more() {
    let emulator = emulator().await;
    let tag = emulator.key_tag().to_owned();
    let builder = || Envelope::builder(key(&emulator));
    let probe = key(&emulator);
    let version = |message: &[u8]| probe.key_version(&slots(message)[0]);
    let pooled = builder().pool(PoolLimits::new(HOUR)).build().unwrap();
    let reused = builder().reuse(ReuseLimits::new(HOUR)).build().unwrap();
    for envelope in [&pooled, &reused] {
        assert_eq!(version(&envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap()), Some(1));
    }
    until(async || pooled.stats().pool.ready > 0).await;
    emulator.rotate_key(&tag).await.unwrap();
    // Without a word about it, what is there is used.
    for envelope in [&pooled, &reused] {
        assert_eq!(version(&envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap()), Some(1));
        envelope.retire_below("another tag", 2);
        assert_eq!(version(&envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap()), Some(1));
        envelope.retire_below(&tag, 2);
        for _ in 0..40 {
            let message = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
            assert_eq!(version(&message), Some(2));
            let many = envelope.encrypt_many(&[b"x", b"y"], EncryptOptions::new()).await.unwrap();
            assert!(many.iter().all(|message| version(message) == Some(2)));
        }
        assert!(envelope.stats().pool.forgotten > 0);
    }
    // A machine of the service that has not heard of the rotation: rather no message than one under
    // the retired version.
    emulator
        .inject(ncp_envelope::emulator::Fault::new(ncp_envelope::emulator::FaultKind::StaleVersion))
        .await
        .unwrap();
    for envelope in [
        builder().pool(PoolLimits::new(HOUR)).build().unwrap(),
        builder().reuse(ReuseLimits::new(HOUR)).build().unwrap(),
    ] {
        envelope.retire_below(&tag, 2);
        assert_eq!(
            kind(envelope.encrypt(b"x", EncryptOptions::new()).await),
            ErrorKind::KeyUnusable
        );
        assert_eq!(
            kind(envelope.encryptor(EncryptOptions::new()).await.map(drop)),
            ErrorKind::KeyUnusable
        );
    }
}

#[tokio::test]
async fn keys_under_a_retired_version_are_read_and_not_kept() {
    let emulator = emulator().await;
    let tag = emulator.key_tag().to_owned();
    let old = write(&key(&emulator), 1).await.remove(0);
    emulator.rotate_key(&tag).await.unwrap();
    let new = write(&key(&emulator), 1).await.remove(0);
    let envelope = cached(&key(&emulator));
    for message in [&old, &new] {
        envelope.decrypt(message, &policy()).await.unwrap();
    }
    assert_eq!(envelope.stats().cache.keys, 2);
    envelope.retire_below(&tag, 2);
    assert_eq!(envelope.stats().cache.keys, 1);
    let before = emulator.request_count();
    for _ in 0..2 {
        for message in [&old, &new] {
            envelope.decrypt(message, &policy()).await.unwrap();
        }
    }
    assert_eq!((emulator.request_count() - before, envelope.stats().cache.keys), (2, 1));
    // A lower number later takes nothing back.
    envelope.retire_below(&tag, 1);
    envelope.decrypt(&old, &policy()).await.unwrap();
    assert_eq!(emulator.request_count() - before, 3);
}

#[tokio::test]
async fn what_was_forgotten_while_it_was_asked_for_is_not_kept() {
    let emulator = emulator().await;
    let tag = emulator.key_tag().to_owned();
    let message: Arc<[u8]> = write(&key(&emulator), 1).await.remove(0).into();
    for forget in [0, 1] {
        let envelope = cached(&key(&emulator));
        emulator.set_latency(Duration::from_millis(500));
        let waiting = tokio::spawn({
            let (envelope, message) = (envelope.clone(), message.clone());
            async move { envelope.decrypt(&message, &policy()).await }
        });
        until(async || envelope.stats().cache.misses == 1).await;
        match forget {
            0 => envelope.forget_keys(),
            _ => envelope.invalidate(&tag),
        }
        // A new lookup does not join the unwrap that started before.
        envelope.decrypt(&message, &policy()).await.unwrap();
        assert_eq!(*waiting.await.unwrap().unwrap(), text(0));
        let stats = envelope.stats();
        assert_eq!(
            (stats.cache.keys, stats.cache.misses, stats.cache.joins, stats.unwrap.keys),
            (1, 2, 0, 2),
            "{stats:?}"
        );
        emulator.set_latency(Duration::ZERO);
    }
}

#[tokio::test]
async fn limits_of_nothing_keep_nothing() {
    let emulator = emulator().await;
    let builder = || Envelope::builder(key(&emulator));
    let cache = || CacheLimits::new(HOUR);
    for (what, builder) in [
        ("no time", builder().cache(CacheLimits::new(Duration::ZERO))),
        ("no keys", builder().cache(cache().with_max_keys(0))),
        ("no idle time", builder().cache(cache().with_idle(Duration::ZERO))),
        ("no pool time", builder().pool(PoolLimits::new(Duration::ZERO))),
        ("no pool", builder().pool(PoolLimits::new(HOUR).with_max_keys(0))),
        ("no messages", builder().reuse(ReuseLimits::new(HOUR).with_max_messages(0))),
        ("no bytes", builder().reuse(ReuseLimits::new(HOUR).with_max_bytes(0))),
        ("no reuse time", builder().reuse(ReuseLimits::new(Duration::ZERO))),
    ] {
        let envelope = builder.build().unwrap();
        let before = emulator.request_count();
        let mut written = Vec::new();
        for _ in 0..2 {
            written.push(envelope.encrypt(b"", EncryptOptions::new()).await.unwrap());
        }
        for _ in 0..2 {
            envelope.decrypt(&written[0], &policy()).await.unwrap();
        }
        assert_ne!(slots(&written[0]), slots(&written[1]), "{what}");
        assert_eq!(emulator.request_count() - before, 4, "{what}");
        let stats = envelope.stats();
        assert_eq!((stats.pool.ready, stats.pool.coming), (0, 0), "{what}");
    }
}
