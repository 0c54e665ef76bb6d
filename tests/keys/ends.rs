//! Invalidation: in every envelope that shares the cache, and of calls in flight.

use super::*;
use ncp_envelope::emulator::{Fault, FaultKind};
use ncp_envelope::{KeyCache, PoolLimits};

/// Ends the keys under the emulator's key; the message is for a read that is denied.
type End = for<'a> fn(
    &'a Emulator,
    &'a Envelope,
    &'a [u8],
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

fn every_end() -> [(&'static str, End); 4] {
    [
        ("denial", |emulator, envelope, other| {
            Box::pin(async move {
                emulator.disable_key(emulator.key_tag()).await.unwrap();
                let denied = envelope.decrypt(other, &policy()).await;
                assert_eq!(kind(denied), ErrorKind::KeyUnusable);
                emulator.enable_key(emulator.key_tag()).await.unwrap();
            })
        }),
        ("invalidate", |emulator, envelope, _| {
            envelope.invalidate(emulator.key_tag());
            Box::pin(async {})
        }),
        ("forget_keys", |_, envelope, _| {
            envelope.forget_keys();
            Box::pin(async {})
        }),
        ("retire_below", |emulator, envelope, _| {
            envelope.retire_below(emulator.key_tag(), 2);
            Box::pin(async {})
        }),
    ]
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_an_end_serves_nobody_after_it() {
    for (name, end) in every_end() {
        let emulator = emulator().await;
        let (key, cache) = (key(&emulator), KeyCache::new(CacheLimits::new(HOUR)).unwrap());
        let reader = || Envelope::builder(key.clone()).shared_cache(&cache, "p").build().unwrap();
        let (slow, other) = (reader(), reader());
        let messages = write(&key, 2).await;
        // The service has said yes, and its answer takes a while to come.
        let late = Fault::new(FaultKind::SlowBody(Duration::from_millis(50)));
        emulator.inject(late.on_action("decrypt").once()).await.unwrap();
        let before = of(&emulator.requests(), "decrypt").len();
        let reading = {
            let (slow, message) = (slow.clone(), messages[0].clone());
            tokio::spawn(async move { slow.decrypt(&message, &policy()).await.map(drop) })
        };
        until(async || of(&emulator.requests(), "decrypt").len() > before).await;
        end(&emulator, &other, &messages[1]).await;
        assert!(!reading.is_finished(), "{name}: too early to say anything");
        reading.await.unwrap().unwrap();
        let asked = emulator.request_count();
        for envelope in [&slow, &other] {
            envelope.decrypt(&messages[0], &policy()).await.unwrap();
        }
        // What is retired is not kept again; the others are.
        let expected = if name == "retire_below" { 2 } else { 1 };
        assert_eq!(emulator.request_count() - asked, expected, "{name}: a key from before serves");
    }
}

#[tokio::test]
async fn an_end_reaches_what_every_envelope_of_the_cache_keeps_for_writing() {
    for (name, end) in every_end() {
        let emulator = emulator().await;
        let (key, cache) = (key(&emulator), KeyCache::new(CacheLimits::new(HOUR)).unwrap());
        let pooled = || {
            Envelope::builder(key.clone())
                .shared_cache(&cache, "p")
                .pool(PoolLimits::new(HOUR))
                .build()
                .unwrap()
        };
        let root = pooled();
        let others = [
            root.clone(),
            root.for_scope("a").unwrap(),
            root.for_scope("b").unwrap(),
            pooled(),
            pooled().for_scope("c").unwrap(),
        ];
        for envelope in &others {
            envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
            until(async || envelope.stats().pool.ready > 0 && envelope.stats().pool.coming == 0)
                .await;
        }
        let message = write(&key, 1).await.remove(0);
        // By a sibling, too.
        end(&emulator, &others[2], &message).await;
        if name == "retire_below" {
            emulator.rotate_key(emulator.key_tag()).await.unwrap();
        }
        for (at, envelope) in others.iter().enumerate() {
            assert_eq!(envelope.stats().pool.ready, 0, "{name} leaves keys in envelope {at}");
            let before = of(&emulator.requests(), "encrypt").len();
            envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
            assert!(of(&emulator.requests(), "encrypt").len() > before, "{name}: envelope {at}");
        }
    }
}

#[tokio::test]
async fn a_denial_of_writing_ends_what_others_keep_too() {
    let emulator = emulator().await;
    let (key, cache) = (key(&emulator), KeyCache::new(CacheLimits::new(HOUR)).unwrap());
    let of_partition = |partition| {
        Envelope::builder(key.clone())
            .shared_cache(&cache, partition)
            .pool(PoolLimits::new(HOUR))
            .build()
            .unwrap()
    };
    let (full, stranger) = (of_partition("p"), of_partition("q"));
    let text = EncryptOptions::new;
    let message = full.encrypt(b"x", text()).await.unwrap();
    full.decrypt(&message, &policy()).await.unwrap();
    stranger.encrypt(b"x", text()).await.unwrap();
    let empty = full.for_scope("empty").unwrap();
    emulator.disable_key(emulator.key_tag()).await.unwrap();
    full.encrypt(b"nobody has asked the service yet", text()).await.unwrap();
    assert_eq!(kind(empty.encrypt(b"x", text()).await), ErrorKind::KeyUnusable);
    assert_eq!(kind(full.encrypt(b"x", text()).await), ErrorKind::KeyUnusable);
    assert_eq!(kind(full.decrypt(&message, &policy()).await), ErrorKind::KeyUnusable);
    // Another partition must get the denial from the service itself.
    stranger.encrypt(b"x", text()).await.unwrap();
}

#[tokio::test]
async fn envelopes_that_come_and_go_take_no_call_from_the_one_who_waits() {
    let emulator = emulator().await;
    let (key, cache) = (key(&emulator), KeyCache::new(CacheLimits::new(HOUR)).unwrap());
    let reader = || Envelope::builder(key.clone()).shared_cache(&cache, "p").build().unwrap();
    let message = write(&key, 1).await.remove(0);
    emulator.set_latency(Duration::from_millis(200));
    let before = emulator.request_count();
    let begin = |envelope: Envelope| {
        let message = message.clone();
        let mut reading = Box::pin(async move { envelope.decrypt(&message, &policy()).await });
        let poll =
            reading.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(poll.is_pending());
    };
    begin(reader());
    let waits = reader();
    let waiting = {
        let message = message.clone();
        tokio::spawn(async move { waits.decrypt(&message, &policy()).await.map(drop) })
    };
    for _ in 0..40 {
        begin(reader());
        tokio::task::yield_now().await;
    }
    waiting.await.unwrap().unwrap();
    assert_eq!(emulator.request_count(), before + 1);
}

/// More than may wait for the service at once.
#[test]
fn large_batches_go_through_in_parts() {
    const MANY: usize = (1 << 18) + 1_000;
    let wrapper = common::Counting::new("local", [7; 32]);
    let envelope = Envelope::builder(wrapper.clone()).build().unwrap();
    let texts: Vec<_> = (0..MANY as u32).map(u32::to_be_bytes).collect();
    let messages = common::block_on(envelope.encrypt_many(&texts, EncryptOptions::new())).unwrap();
    assert_eq!(wrapper.calls(), MANY.div_ceil(256));
    let keys: Vec<_> = messages.iter().map(|message| slots(message).remove(0)).collect();
    let rewrapped = common::block_on(envelope.rewrap_keys(&keys));
    assert_eq!(rewrapped.iter().filter(|key| key.is_ok()).count(), MANY);
    let opened = common::block_on(envelope.decrypt_many(&messages, &policy()));
    for (text, opened) in texts.iter().zip(opened) {
        assert_eq!(opened.unwrap(), text);
    }
}
