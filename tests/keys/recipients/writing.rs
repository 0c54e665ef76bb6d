//! What is written for several, and what is not written because one of them is missing.

use super::told::Does;
use super::*;
use ncp_envelope::{PoolLimits, ReuseLimits};

/// A name, and what it adds to a builder.
type Way = (&'static str, fn(EnvelopeBuilder) -> EnvelopeBuilder);

/// Every way to have keys for writing.
fn ways() -> [Way; 4] {
    [
        ("each its own", |builder| builder),
        ("verified", |builder| builder.verify_wrapped(true)),
        ("pool", |builder| builder.pool(PoolLimits::new(HOUR).with_max_keys(64))),
        ("reuse", |builder| builder.reuse(ReuseLimits::new(HOUR).with_max_messages(50))),
    ]
}

/// Each alone, in either order, and together.
async fn each_opens(services: &[Service; 2], messages: &[Vec<u8>]) {
    // Through clients that have not seen what went before.
    let [a, b] = services.each_ref().map(|service| key(&service.emulator));
    let pair = |a: &Key, b: &Key| build(Envelope::builder(a.clone()).and(b.clone()));
    for reader in [uncached(&a), uncached(&b), pair(&a, &b), pair(&b, &a)] {
        opens(&reader, messages).await;
    }
}

#[tokio::test]
async fn what_is_written_for_two_is_read_by_each_alone() {
    let services = Service::two().await;
    let [a, b] = &services;
    for (name, way) in ways() {
        let envelope = build(way(both(a, b)));
        assert_eq!(envelope.key_ids(), [a.id().clone(), b.id().clone()]);
        let mut messages = written(&envelope, 100).await;
        messages.push(envelope.encrypt(&text(100), EncryptOptions::new()).await.unwrap());
        let mut writer = envelope.writer(Vec::new(), EncryptOptions::new()).await.unwrap();
        std::io::Write::write_all(&mut writer, &text(101)).unwrap();
        messages.push(writer.finish().unwrap());
        for message in &messages {
            let keys: Vec<_> = slots(message).iter().map(|slot| slot.key_id().clone()).collect();
            assert_eq!(keys, envelope.key_ids(), "{name}");
        }
        each_opens(&services, &messages).await;
        let scoped = envelope.for_scope("tenant").unwrap();
        let message = scoped.encrypt(b"x", EncryptOptions::new()).await.unwrap();
        for key in [&a.key, &b.key] {
            let reader = Envelope::builder(key.clone()).scope("tenant").build().unwrap();
            assert_eq!(reader.decrypt(&message, &policy()).await.unwrap(), b"x");
        }
    }
}

/// One call to each service wraps for all waiters.
#[tokio::test]
async fn each_service_is_asked_for_all_keys_in_a_few_calls() {
    let services = Service::two().await;
    let [a, b] = &services;
    let envelope = build(both(a, b));
    written(&envelope, 1_000).await;
    for service in [a, b] {
        let requests = service.emulator.requests();
        let calls = of(&requests, "encrypt");
        assert_eq!(calls.iter().map(|call| call.items).sum::<usize>(), 1_000);
        assert!(calls.len() <= 5, "{} calls", calls.len());
    }
    assert_eq!(envelope.stats().wrap.keys, 2_000);
}

#[tokio::test]
async fn nothing_is_written_that_one_of_two_cannot_read() {
    for (name, way) in ways() {
        for down in [0, 1] {
            let services = Service::two().await;
            let envelope = build(way(both(&services[0], &services[1])));
            let mut messages: Vec<Vec<u8>> = Vec::new();
            let (mut failed, mut fault) = (0, None);
            for n in 0..1_000 {
                if n == 20 {
                    fault = Some(services[down].down().await);
                }
                match envelope.encrypt(&text(messages.len()), EncryptOptions::new()).await {
                    Ok(message) => messages.push(message),
                    Err(error) => {
                        failed += 1;
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: {error}");
                        let missing = format!("without the key {}", services[down].id());
                        assert!(error.to_string().contains(&missing), "{name}: {error}");
                    }
                }
            }
            // What was ready or in use when it went down, and no more.
            let most = match name {
                "pool" => 20 + 64 + 1,
                "reuse" => 50 * 4,
                _ => 20,
            };
            assert!((20..=most).contains(&messages.len()), "{name}: {}", messages.len());
            assert_eq!(messages.len() + failed, 1_000);
            services[down].emulator.clear_fault(fault.unwrap()).await;
            each_opens(&services, &messages).await;
            until(async || envelope.encrypt(b"x", EncryptOptions::new()).await.is_ok()).await;
        }
    }
}

#[tokio::test]
async fn a_denial_of_one_ends_what_was_kept_for_writing_by_all_who_share_it() {
    for (name, way) in ways() {
        let services = Service::two().await;
        let [a, b] = &services;
        let cache = ncp_envelope::KeyCache::new(CacheLimits::new(HOUR)).unwrap();
        let envelope = build(way(both(a, b)).shared_cache(&cache, "p"));
        let other = build(way(both(b, a)).shared_cache(&cache, "p"));
        for envelope in [&envelope, &other] {
            envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
            until(async || envelope.stats().pool.coming == 0).await;
        }
        b.emulator.disable_key(b.emulator.key_tag()).await.unwrap();
        // Which asks, whatever is ready.
        let asks = build(both(a, b).shared_cache(&cache, "p"));
        let error = asks.encrypt(b"x", EncryptOptions::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyUnusable);
        assert!(error.to_string().contains(&format!("without the key {}", b.id())), "{error}");
        for envelope in [&envelope, &other] {
            assert_eq!(envelope.stats().pool.ready, 0, "{name}");
            let written = envelope.encrypt(b"x", EncryptOptions::new()).await;
            assert_eq!(kind(written), ErrorKind::KeyUnusable, "{name}");
        }
    }
}

#[tokio::test]
async fn a_version_that_was_retired_for_one_is_not_written_under() {
    let services = Service::two().await;
    let [a, b] = &services;
    for (name, way) in ways() {
        let envelope = build(way(both(a, b)));
        envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
        let version = ncp_envelope::KeyWrapper::key_version(&b.key, &slots_of_one(&envelope).await);
        let version = version.unwrap();
        envelope.retire_below(b.id().id(), version + 1);
        let error = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyUnusable, "{name}");
        assert!(error.to_string().contains(b.id().id()), "{error}");
        b.emulator.rotate_key(b.emulator.key_tag()).await.unwrap();
        until(async || envelope.encrypt(b"x", EncryptOptions::new()).await.is_ok()).await;
        let slot = slots_of_one(&envelope).await;
        let newest = ncp_envelope::KeyWrapper::key_version(&b.key, &slot);
        assert_eq!(newest, Some(version + 1), "{name}");
    }
}

/// The second slot of what an envelope writes now.
async fn slots_of_one(envelope: &Envelope) -> WrappedKey {
    slots(&envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap()).remove(1)
}

#[tokio::test]
async fn the_first_failure_is_told_and_nobody_waits_for_the_others() {
    let [hangs, fails] = ["hangs", "fails"].map(Told::named);
    hangs.does(Does::Hang);
    fails.does(Does::Fail(ErrorKind::Throttled));
    for (name, way) in ways() {
        let envelope = build(way(Envelope::builder(hangs.clone()).and(fails.clone())));
        let error = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled, "{name}");
        assert!(error.to_string().contains("without the key fails (other-200)"), "{error}");
    }
}

#[tokio::test]
async fn keys_are_rewrapped_by_whoever_has_their_key() {
    let services = Service::two().await;
    let [a, b] = &services;
    let recovery = LocalKeyWrapper::new("recovery", &DataKey::generate().unwrap()).unwrap();
    let envelope = build(both(a, b).and(recovery));
    let message = envelope.encrypt(&text(0), EncryptOptions::new()).await.unwrap();
    let mut keys = slots(&message);
    let foreign = KeyId::new(Provider::NcpKms, ZoneHint::None, "foreign").unwrap();
    keys.insert(1, WrappedKey::new(foreign, *b"ncpkms:v1:AAAA").unwrap());
    let mut rewrapped = envelope.rewrap_keys(&keys).await;
    let refused = rewrapped.remove(1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyNotAllowed);
    assert!(refused.to_string().contains("foreign (ncp-kms)"), "{refused}");
    let rewrapped: Vec<_> = rewrapped.into_iter().map(Result::unwrap).collect();
    keys.remove(1);
    for (old, new) in keys.iter().zip(&rewrapped) {
        assert!(old.key_id() == new.key_id() && old != new);
    }
    for service in [a, b] {
        let requests = service.emulator.requests();
        assert_eq!(of(&requests, "re-encrypt").len(), 1);
        assert!(of(&requests, "decrypt").is_empty());
    }
}

#[test]
fn sixteen_recipients_and_no_two_of_one_name() {
    let many = |count: usize| {
        let first = Envelope::builder(Told::named("recipient-0"));
        (1..count).fold(first, |builder, n| builder.and(Told::named(&format!("recipient-{n}"))))
    };
    assert_eq!(build(many(16)).key_ids().len(), 16);
    let error = many(17).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "an envelope has at most 16 recipients, not 17");
    // The zone is no part of a key's name.
    let told = |zone| Told::new(Provider::Other(200), zone, "twice");
    let error = Envelope::builder(told(ZoneHint::Kr)).and(told(ZoneHint::Jp)).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("same key twice (other-200)"), "{error}");
    let local = LocalKeyWrapper::new("twice", &DataKey::generate().unwrap()).unwrap();
    assert!(Envelope::builder(told(ZoneHint::Kr)).and(local).build().is_ok());
}

/// What an envelope writes it reads, by its own default policy.
#[tokio::test]
async fn what_is_written_for_sixteen_is_read_by_their_envelope_and_by_each_who_accepts_it() {
    let told: Vec<_> = (0..16).map(|n| Told::named(&format!("recipient-{n:02}"))).collect();
    let first = Envelope::builder(told[0].clone());
    let all = told[1..].iter().fold(first, |builder, told| builder.and(told.clone()));
    let all = build(all);
    let messages = written(&all, 3).await;
    opens(&all, &messages).await;
    for told in &told {
        let alone = build(Envelope::builder(told.clone()));
        assert_eq!(kind(alone.decrypt(&messages[0], &policy()).await), ErrorKind::LimitExceeded);
        let more = policy().max_slots(16);
        assert_eq!(*alone.decrypt(&messages[0], &more).await.unwrap(), text(0));
    }
    // The last one, after all others have failed.
    for told in &told[..15] {
        told.does(Does::Fail(ErrorKind::Unavailable));
    }
    opens(&all, &messages).await;
    assert_eq!(
        kind(all.decrypt(&messages[0], &policy().max_unwraps(0)).await),
        ErrorKind::LimitExceeded
    );
}
