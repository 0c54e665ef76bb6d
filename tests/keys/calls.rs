//! How many calls to the key service the keys of many messages cost.

use super::*;
use common::payload;
use ncp_envelope::KeyWrapper;
use std::collections::HashSet;

#[test]
fn a_thousand_readers_of_one_cold_key_make_one_call() {
    on_both_runtimes(|| async {
        for with_cache in [true, false] {
            let emulator = emulator().await;
            let key = key(&emulator);
            let message: Arc<[u8]> = write(&key, 1).await.remove(0).into();
            let envelope = if with_cache { cached(&key) } else { uncached(&key) };
            // Long enough that all of them are there before the answer is.
            emulator.set_latency(Duration::from_millis(1_500));
            let before = emulator.request_count();
            let results = at_once(1_000, |_| {
                let (envelope, message) = (envelope.clone(), message.clone());
                async move { envelope.decrypt(&message, &policy()).await }
            })
            .await;
            assert!(results.into_iter().all(|result| *result.unwrap() == text(0)));
            let stats = envelope.stats();
            assert_eq!(
                (emulator.request_count() - before, stats.unwrap.calls, stats.unwrap.keys),
                (1, 1, 1),
                "{stats:?}"
            );
            assert_eq!(
                (stats.cache.misses, stats.cache.joins, stats.cache.hits),
                (1, 999, 0),
                "{stats:?}"
            );
            assert_eq!(stats.cache.keys, u64::from(with_cache));
            emulator.set_latency(Duration::ZERO);
            envelope.decrypt(&message, &policy()).await.unwrap();
            assert_eq!(envelope.stats().unwrap.calls, if with_cache { 1 } else { 2 });
        }
    });
}

#[test]
fn a_thousand_different_keys_share_a_few_calls() {
    on_both_runtimes(|| async {
        for with_cache in [true, false] {
            let emulator = emulator().await;
            let key = key(&emulator);
            let messages = Arc::new(write(&key, 1_000).await);
            let envelope = if with_cache { cached(&key) } else { uncached(&key) };
            emulator.set_latency(Duration::from_millis(1_500));
            let before = emulator.request_count();
            let results = at_once(1_000, |index| {
                let (envelope, messages) = (envelope.clone(), messages.clone());
                async move { envelope.decrypt(&messages[index], &policy()).await }
            })
            .await;
            for (index, result) in results.into_iter().enumerate() {
                assert_eq!(*result.unwrap(), text(index));
            }
            let (calls, stats) = (emulator.request_count() - before, envelope.stats());
            assert!(calls <= 8 && calls == stats.unwrap.calls, "{calls} calls: {stats:?}");
            assert_eq!(stats.unwrap.keys, 1_000);
            assert!(
                stats.unwrap.largest <= 256
                    && emulator.requests().iter().all(|request| request.items <= 256)
            );
        }
    });
}

#[test]
fn a_thousand_writers_share_a_few_calls_and_no_key() {
    on_both_runtimes(|| async {
        let emulator = emulator().await;
        let key = key(&emulator);
        let envelope = uncached(&key);
        emulator.set_latency(Duration::from_millis(1_500));
        let messages = at_once(1_000, |index| {
            let envelope = envelope.clone();
            async move { envelope.encrypt(&text(index), EncryptOptions::new()).await.unwrap() }
        })
        .await;
        let calls = emulator.request_count();
        assert!(
            calls <= 8 && calls == envelope.stats().wrap.calls,
            "{calls} calls: {:?}",
            envelope.stats()
        );
        emulator.set_latency(Duration::ZERO);
        for (index, plaintext) in
            envelope.decrypt_many(&messages, &policy()).await.into_iter().enumerate()
        {
            assert_eq!(*plaintext.unwrap(), text(index));
        }
        let wrapped: Vec<_> = messages.iter().map(|message| slots(message).remove(0)).collect();
        let payloads = key.unwrap_keys(&wrapped).await.unwrap();
        let different: HashSet<_> =
            payloads.iter().map(|payload| payload.expose_secret()).collect();
        assert_eq!(different.len(), 1_000);
        assert!(different.iter().all(|payload| payload.len() == 80));
    });
}

#[tokio::test]
async fn many_messages_cost_a_call_for_256_of_them_and_a_bad_one_fails_alone() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let texts: Vec<_> = (0..300).map(text).collect();
    let writer = uncached(&key);
    let mut messages = writer.encrypt_many(&texts, EncryptOptions::new()).await.unwrap();
    assert_eq!(
        (emulator.request_count(), writer.stats().wrap.calls, writer.stats().wrap.largest),
        (2, 2, 256)
    );
    let all = uncached(&key).decrypt_many(&messages, &policy()).await;
    assert!(all.into_iter().enumerate().all(|(index, result)| *result.unwrap() == text(index)));
    assert_eq!(emulator.request_count(), 4);

    let bad = forged(vec![spoilt(&slots(&messages[123])[0])]);
    let good = std::mem::replace(&mut messages[123], bad);
    let reader = cached(&key);
    let results = reader.decrypt_many(&messages, &policy()).await;
    for (index, result) in results.into_iter().enumerate() {
        match index {
            123 => assert_eq!(kind(result), ErrorKind::Authentication),
            _ => assert_eq!(*result.unwrap(), text(index)),
        }
    }
    // The whole one, then both halves of a half each time: 256 is halved eight times.
    let stats = reader.stats();
    assert!(stats.unwrap.calls <= 2 + 2 * 8 && stats.unwrap.splits == 8, "{stats:?}");
    assert_eq!(stats.cache.keys, 299);
    // Refused for a moment without another call, and later messages are not affected.
    let before = emulator.request_count();
    assert_eq!(kind(reader.decrypt(&messages[123], &policy()).await), ErrorKind::Authentication);
    assert_eq!(*reader.decrypt(&good, &policy()).await.unwrap(), text(123));
    assert_eq!((emulator.request_count() - before, reader.stats().cache.refused_again), (1, 1));
}

#[tokio::test]
async fn each_refused_message_has_its_own_kind() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let messages = write(&key, 4).await;
    let local = common::envelope().encrypt(b"x", EncryptOptions::new()).await.unwrap();
    let mut cut = messages[1].clone();
    cut.pop();
    let mut odd = messages[2].clone();
    odd[0] ^= 1;
    let other = emulator.create_key("other").await.unwrap();
    let other = write(&client(&emulator).build().unwrap().key(&other).unwrap(), 1).await.remove(0);
    let list = [&messages[0], &cut, &odd, &local, &other, &messages[3]];
    let before = emulator.request_count();
    let results = uncached(&key).decrypt_many(&list, &policy()).await;
    let kinds: Vec<_> =
        results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    use ErrorKind::{Authentication, KeyNotAllowed, Malformed, Truncated};
    assert!(matches!(
        kinds[..],
        [
            None,
            Some(Authentication | Truncated),
            Some(Malformed | Authentication),
            Some(KeyNotAllowed),
            Some(KeyNotAllowed),
            None
        ]
    ));
    assert_eq!(emulator.request_count() - before, 1);
}

#[tokio::test]
async fn the_first_slot_that_fits_is_used_and_each_one_tried_costs_a_call() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let (mine, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
    let wrapped = key
        .wrap_keys(&[payload(&other, ""), payload(&mine, ""), payload(&mine, "tenant")])
        .await
        .unwrap();
    let [others, good, scoped] = <[WrappedKey; 3]>::try_from(wrapped).unwrap();
    let message = |slots: &[&WrappedKey]| {
        message_under(
            &mine,
            &SlotTable::new(slots.iter().map(|slot| (*slot).clone()).collect()).unwrap(),
            b"several",
        )
    };
    let bad = spoilt(&good);
    for (slots, calls) in [
        (vec![&others, &good], 2),
        (vec![&bad, &scoped, &others, &good], 4),
        (vec![&good, &bad], 1),
    ] {
        let message = message(&slots);
        let envelope = cached(&key);
        let before = emulator.request_count();
        assert_eq!(
            envelope.decrypt_many(&[&message], &policy()).await.remove(0).unwrap(),
            b"several"
        );
        assert_eq!(emulator.request_count() - before, calls);
        assert_eq!(envelope.decrypt(&message, &policy()).await.unwrap(), b"several");
    }
    // None of them fits: what the first one came to is what is said, and a limit on the questions
    // holds in a list, too.
    let envelope = uncached(&key);
    let hopeless = message(&[&others, &bad]);
    assert_eq!(
        kind(envelope.decrypt_many(&[hopeless], &policy()).await.remove(0)),
        ErrorKind::Authentication
    );
    let (late, envelope) = (message(&[&others, &bad, &good]), uncached(&key));
    let before = emulator.request_count();
    assert_eq!(
        kind(envelope.decrypt_many(&[&late], &policy().max_unwraps(2)).await.remove(0)),
        ErrorKind::Authentication
    );
    assert_eq!(emulator.request_count() - before, 2);
}

#[tokio::test]
async fn empty_lists_and_empty_messages() {
    let emulator = emulator().await;
    let envelope = cached(&key(&emulator));
    let none: [&[u8]; 0] = [];
    assert!(envelope.encrypt_many(&none, EncryptOptions::new()).await.unwrap().is_empty());
    assert!(envelope.decrypt_many(&none, &policy()).await.is_empty());
    assert!(envelope.rewrap_keys(&[]).await.is_empty());
    assert_eq!(emulator.request_count(), 0);
    let messages = envelope.encrypt_many(&[b"", b""], EncryptOptions::new()).await.unwrap();
    let results = envelope.decrypt_many(&messages, &policy()).await;
    assert!(results.into_iter().all(|result| result.unwrap().is_empty()));
    assert_eq!(
        kind(envelope.decrypt_many(&[b""], &policy()).await.remove(0)),
        ErrorKind::Truncated
    );
    assert_eq!(emulator.request_count(), 2);
}

#[tokio::test]
async fn buffers_are_used_again_and_hold_nothing_after_a_failure() {
    let emulator = emulator().await;
    let envelope = cached(&key(&emulator));
    let options = EncryptOptions::new().aad("volume 7");
    let reading = policy().aad("volume 7");
    let (mut message, mut plaintext) = (b"rubbish".repeat(1_000), b"old".repeat(9_000));
    for len in [0, 70_000, 1, 16_384, 16_385, 100_000, 5] {
        let content = common::sample(len);
        envelope.encrypt_into(&content, &options, &mut message).await.unwrap();
        assert_eq!(
            message.len() as u64,
            Header::decode(&message).unwrap().overhead(len as u64 / 16_384 + 1) + len as u64
        );
        envelope.decrypt_into(&message, &reading, &mut plaintext).await.unwrap();
        assert!(plaintext == content, "{len}");
        // The same format, whoever writes and reads.
        let mut streamed = Vec::new();
        std::io::Read::read_to_end(
            &mut envelope.reader(&message[..], &reading).await.unwrap(),
            &mut streamed,
        )
        .unwrap();
        assert!(streamed == content, "{len}");
    }
    // A failure at each stage empties the buffer: shape, policy, commitment, last chunk, key
    // service.
    envelope.encrypt_into(&common::sample(40_000), &options, &mut message).await.unwrap();
    let mut odd = message.clone();
    odd[0] ^= 1;
    let mut changed = message.clone();
    *changed.last_mut().unwrap() ^= 1;
    let denied = forged(vec![spoilt(&slots(&message)[0])]);
    let wrong_aad = policy().aad("volume 8");
    for (message, policy) in [
        (&odd, &reading),
        (&message, &policy()),
        (&message, &wrong_aad),
        (&changed, &reading),
        (&denied, &policy()),
    ] {
        plaintext = b"secret of before".repeat(10_000);
        assert!(envelope.decrypt_into(message, policy, &mut plaintext).await.is_err());
        assert!(plaintext.is_empty());
    }
    let mut sealed = b"message of before".to_vec();
    emulator
        .inject(ncp_envelope::emulator::Fault::new(ncp_envelope::emulator::FaultKind::NotJson))
        .await
        .unwrap();
    assert!(envelope.encrypt_into(b"x", &options, &mut sealed).await.is_err());
    assert!(sealed.is_empty());
}

#[tokio::test]
async fn keys_are_rewrapped_256_to_a_call_and_a_bad_one_fails_alone() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let messages = write(&key, 600).await;
    let wrapped: Vec<_> = messages.iter().map(|message| slots(message).remove(0)).collect();
    assert_eq!(emulator.rotate_key(emulator.key_tag()).await.unwrap(), 2);
    let envelope = uncached(&key);
    let before = emulator.request_count();
    let rewrapped: Vec<_> =
        envelope.rewrap_keys(&wrapped).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        (
            emulator.request_count() - before,
            envelope.stats().rewrap.calls,
            envelope.stats().rewrap.keys
        ),
        (3, 3, 600)
    );
    assert!(
        wrapped
            .iter()
            .zip(&rewrapped)
            .all(|(old, new)| (key.key_version(old), key.key_version(new)) == (Some(1), Some(2)))
    );
    let (old, new) =
        (key.unwrap_keys(&wrapped).await.unwrap(), key.unwrap_keys(&rewrapped).await.unwrap());
    assert!(old.iter().zip(&new).all(|(old, new)| old.expose_secret() == new.expose_secret()));

    let mut some = wrapped.clone();
    some[299] = spoilt(&some[299]);
    for (index, result) in envelope.rewrap_keys(&some).await.into_iter().enumerate() {
        match index {
            299 => assert_eq!(kind(result), ErrorKind::Authentication),
            _ => assert_eq!(key.key_version(&result.unwrap()), Some(2)),
        }
    }
}

#[tokio::test]
async fn what_only_one_version_is_denied_does_not_touch_the_others() {
    let emulator = emulator().await;
    let key = key(&emulator);
    let old = write(&key, 20).await;
    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    let new = write(&key, 20).await;
    emulator.disable_key_version(emulator.key_tag(), 1).await.unwrap();
    let reader = cached(&key);
    let mixed: Vec<_> = old.iter().zip(&new).flat_map(|(old, new)| [old, new]).collect();
    for _ in 0..2 {
        for (index, result) in reader.decrypt_many(&mixed, &policy()).await.into_iter().enumerate()
        {
            match index % 2 {
                0 => assert_eq!(kind(result), ErrorKind::KeyUnusable),
                _ => assert_eq!(*result.unwrap(), text(index / 2)),
            }
        }
    }
}
