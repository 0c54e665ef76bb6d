//! The key service unreachable: what keeps working, for how long, and what ends it.

use super::*;
use ncp_envelope::emulator::{Fault, FaultKind, FaultShape};
use ncp_envelope::{PoolLimits, ReuseLimits};

const TTL: Duration = Duration::from_millis(300);

/// A client that does not try for long.
fn impatient(emulator: &Emulator) -> Key {
    let client = client(emulator)
        .max_attempts(1)
        .attempt_timeout(Duration::from_secs(1))
        .call_timeout(Duration::from_secs(2));
    client.build().unwrap().key(emulator.key_tag()).unwrap()
}

fn reader(key: &Key, limits: CacheLimits) -> Envelope {
    Envelope::builder(key.clone()).cache(limits).build().unwrap()
}

async fn all_open(envelope: &Envelope, messages: &[Vec<u8>]) {
    for (index, result) in envelope.decrypt_many(messages, &policy()).await.into_iter().enumerate()
    {
        assert_eq!(*result.unwrap(), text(index));
    }
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(*envelope.decrypt(message, &policy()).await.unwrap(), text(index));
    }
}

fn kinds_of_outage() -> Vec<Fault> {
    let status = |status, shape| Fault::new(FaultKind::Status { status, shape, retry_after: None });
    vec![
        Fault::new(FaultKind::Refused),
        Fault::new(FaultKind::ResetBefore),
        Fault::new(FaultKind::ResetAfter),
        Fault::new(FaultKind::CutBody),
        Fault::new(FaultKind::NotJson),
        Fault::new(FaultKind::Silent),
        status(503, FaultShape::Html),
        status(500, FaultShape::Service),
        status(429, FaultShape::Gateway),
    ]
}

#[tokio::test]
async fn within_the_stale_window_every_key_opens_through_every_kind_of_outage_until_a_denial() {
    let emulator = emulator().await;
    let messages = write(&key(&emulator), 40).await;
    for fault in kinds_of_outage() {
        let envelope = reader(&impatient(&emulator), CacheLimits::new(TTL).with_stale_window(HOUR));
        all_open(&envelope, &messages).await;
        let name = format!("{fault:?}");
        let fault = emulator.inject(fault).await.unwrap();
        // Past the time of every key, and for more than one question of each.
        until(async || {
            all_open(&envelope, &messages).await;
            let stats = envelope.stats();
            stats.cache.stale_hits >= 500 && stats.unwrap.failed_calls >= 2
        })
        .await;
        assert_eq!(envelope.stats().cache.keys, 40, "{name}");
        // A reader that does not accept stale keys has none.
        assert_eq!(
            kind(envelope.decrypt(&messages[0], &policy().max_key_age(TTL)).await),
            match &name {
                name if name.contains("429") => ErrorKind::Throttled,
                _ => ErrorKind::Unavailable,
            }
        );
        emulator.clear_fault(fault).await;
        emulator.disable_key(emulator.key_tag()).await.unwrap();
        // The first answer is about one of them, and ends all.
        until(async || envelope.decrypt(&messages[7], &policy()).await.is_err()).await;
        assert_eq!((envelope.stats().cache.keys, envelope.stats().cache.denied), (0, 40), "{name}");
        let fault = emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
        for result in envelope.decrypt_many(&messages, &policy()).await {
            assert!(
                matches!(kind(result), ErrorKind::KeyUnusable | ErrorKind::Unavailable),
                "{name}"
            );
        }
        emulator.clear_fault(fault).await;
        emulator.enable_key(emulator.key_tag()).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_window_an_outage_is_said_clearly_once_the_key_is_over() {
    let emulator = emulator().await;
    let message = write(&key(&emulator), 1).await.remove(0);
    let envelope = reader(&impatient(&emulator), CacheLimits::new(TTL));
    envelope.decrypt(&message, &policy()).await.unwrap();
    emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    let mut error = None;
    until(async || {
        error = envelope.decrypt(&message, &policy()).await.err();
        error.is_some()
    })
    .await;
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot connect to the key service"), "{error}");
    assert_eq!((envelope.stats().cache.stale_hits, envelope.stats().cache.keys), (0, 0));
}

#[tokio::test]
async fn the_stale_window_ends() {
    let emulator = emulator().await;
    let message = write(&key(&emulator), 1).await.remove(0);
    let envelope = reader(&impatient(&emulator), CacheLimits::new(TTL).with_stale_window(TTL));
    envelope.decrypt(&message, &policy()).await.unwrap();
    emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    until(async || envelope.decrypt(&message, &policy()).await.is_err()).await;
    assert_eq!(kind(envelope.decrypt(&message, &policy()).await), ErrorKind::Unavailable);
    assert!(envelope.stats().cache.keys == 0 && envelope.stats().cache.expired == 1);
}

#[tokio::test]
async fn after_the_outage_keys_are_asked_for_again() {
    let emulator = emulator().await;
    let messages = write(&key(&emulator), 10).await;
    let envelope = reader(&impatient(&emulator), CacheLimits::new(TTL).with_stale_window(HOUR));
    all_open(&envelope, &messages).await;
    let fault = emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    until(async || {
        all_open(&envelope, &messages).await;
        envelope.stats().cache.stale_hits > 100
    })
    .await;
    emulator.clear_fault(fault).await;
    let before = envelope.stats().unwrap.keys;
    until(async || {
        all_open(&envelope, &messages).await;
        envelope.stats().unwrap.keys >= before + 10
    })
    .await;
}

#[tokio::test]
async fn a_pool_goes_on_through_an_outage_while_it_has_keys_and_they_are_young() {
    let emulator = emulator().await;
    let key = impatient(&emulator);
    let envelope = Envelope::builder(key.clone())
        .pool(PoolLimits::new(HOUR).with_max_keys(20))
        .build()
        .unwrap();
    let mut messages = vec![envelope.encrypt(&text(0), EncryptOptions::new()).await.unwrap()];
    until(async || envelope.stats().pool.ready > 0 && envelope.stats().pool.coming == 0).await;
    let fault = emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    let ready = envelope.stats().pool.ready as usize;
    let error = loop {
        match envelope.encrypt(&text(messages.len()), EncryptOptions::new()).await {
            Ok(message) => messages.push(message),
            Err(error) => break error,
        }
    };
    assert_eq!((messages.len() - 1, error.kind()), (ready, ErrorKind::Unavailable), "{error}");
    assert_eq!(kind(envelope.encrypt(b"x", EncryptOptions::new()).await), ErrorKind::Unavailable);
    emulator.clear_fault(fault).await;
    // And the first that works again is the first that is tried, breaker or not.
    until(async || envelope.encrypt(b"x", EncryptOptions::new()).await.is_ok()).await;
    let results = uncached(&super::key(&emulator)).decrypt_many(&messages, &policy()).await;
    assert!(results.into_iter().enumerate().all(|(index, result)| *result.unwrap() == text(index)));

    // Too old is as good as not there.
    let envelope =
        Envelope::builder(key).pool(PoolLimits::new(TTL).with_max_keys(20)).build().unwrap();
    until(async || {
        envelope.encrypt(b"x", EncryptOptions::new()).await.is_ok()
            && envelope.stats().pool.ready > 0
    })
    .await;
    emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    until(async || envelope.stats().pool.ready == 0).await;
    assert!(envelope.stats().pool.too_old > 0);
    assert_eq!(kind(envelope.encrypt(b"x", EncryptOptions::new()).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn nothing_is_written_with_a_key_that_was_read_with() {
    let emulator = emulator().await;
    let message = write(&key(&emulator), 1).await.remove(0);
    let limits = CacheLimits::new(TTL).with_stale_window(HOUR);
    let plain = Envelope::builder(impatient(&emulator)).cache(limits.clone()).build().unwrap();
    let reusing = Envelope::builder(impatient(&emulator))
        .cache(limits)
        .reuse(ReuseLimits::new(HOUR))
        .build()
        .unwrap();
    for envelope in [&plain, &reusing] {
        envelope.decrypt(&message, &policy()).await.unwrap();
        let own = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
        assert_ne!(slots(&own), slots(&message));
        // The keys of written messages are not cached either: a read calls the service.
        let misses = envelope.stats().cache.misses;
        envelope.decrypt(&own, &policy()).await.unwrap();
        assert_eq!(envelope.stats().cache.misses, misses + 1);
    }
    let reused = slots(&reusing.encrypt(b"x", EncryptOptions::new()).await.unwrap());
    emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap();
    until(async || {
        plain.decrypt(&message, &policy()).await.unwrap();
        plain.stats().cache.stale_hits > 0
    })
    .await;
    assert_eq!(kind(plain.encrypt(b"x", EncryptOptions::new()).await), ErrorKind::Unavailable);
    assert_eq!(
        kind(plain.encrypt_many(&[b"x"], EncryptOptions::new()).await),
        ErrorKind::Unavailable
    );
    assert_eq!(
        kind(plain.encryptor(EncryptOptions::new()).await.map(drop)),
        ErrorKind::Unavailable
    );
    // Its own key for writing, within its limits, and no other; a stream never uses it.
    assert_eq!(slots(&reusing.encrypt(b"x", EncryptOptions::new()).await.unwrap()), reused);
    assert_eq!(
        kind(reusing.encryptor(EncryptOptions::new()).await.map(drop)),
        ErrorKind::Unavailable
    );
}
