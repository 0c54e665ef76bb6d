//! Failover between recipients: wrappers that answer, fail, or never answer. A read that waits for
//! one that never answers would hang, and the test with it.

use super::told::Does;
use super::*;

fn two() -> [Told; 2] {
    ["first", "second"].map(Told::named)
}

fn for_both(told: &[Told; 2]) -> EnvelopeBuilder {
    Envelope::builder(told[0].clone()).and(told[1].clone())
}

async fn ours(told: &[Told; 2], count: usize) -> Vec<Vec<u8>> {
    written(&build(for_both(told)), count).await
}

#[tokio::test]
async fn one_is_asked_where_one_is_enough() {
    let told = two();
    let messages = ours(&told, 10).await;
    let envelope = build(for_both(&told).hedge_delay(HOUR));
    opens(&envelope, &messages).await;
    envelope.decrypt(&messages[0], &policy()).await.unwrap();
    assert_eq!((told[0].unwraps().1, told[1].unwraps()), (11, (0, 0)));
    let stats = recipient(&envelope, 0);
    assert_eq!((stats.asked, stats.opened, stats.outages, stats.denials), (11, 11, 0, 0));
    assert_eq!(recipient(&envelope, 1).asked, 0);
    assert_eq!(&stats.key, ncp_envelope::KeyWrapper::key_id(&told[0]));
}

#[tokio::test]
async fn one_that_never_answers_holds_up_one_read_and_no_other() {
    for delay in [None, Some(Duration::ZERO), Some(Duration::from_millis(1))] {
        let told = two();
        let messages = ours(&told, 30).await;
        told[0].does(Does::Hang);
        let builder = for_both(&told);
        let envelope = build(match delay {
            Some(delay) => builder.hedge_delay(delay),
            None => builder,
        });
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(*envelope.decrypt(message, &policy()).await.unwrap(), text(index));
        }
        assert_eq!(told[0].unwraps(), (1, 1), "asked once, and passed over then");
        assert_eq!(told[1].unwraps(), (30, 30));
        let [first, second] = [0, 1].map(|at| recipient(&envelope, at));
        assert_eq!((first.asked, first.opened, first.overtaken, first.passed_over), (1, 0, 1, 29));
        assert_eq!((second.asked, second.opened, second.overtaken), (30, 30, 0));
        assert_eq!(second.passed_over, 0);
    }
}

/// Streams, files and ranges ask in this way.
#[tokio::test]
async fn a_stream_is_not_held_up_either() {
    let told = two();
    let message = ours(&told, 1).await.remove(0);
    told[0].does(Does::Hang);
    let envelope = build(for_both(&told));
    let mut reader = envelope.reader(&message[..], &policy()).await.unwrap();
    let mut plaintext = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut plaintext).unwrap();
    assert_eq!((plaintext, told[0].unwraps(), told[1].unwraps()), (text(0), (1, 1), (1, 1)));
}

#[tokio::test]
async fn many_messages_move_on_together() {
    for does in
        [Does::Hang, Does::Fail(ErrorKind::Unavailable), Does::Fail(ErrorKind::AccessDenied)]
    {
        let told = two();
        let messages = ours(&told, 1_000).await;
        told[0].does(does);
        let envelope = build(for_both(&told));
        opens(&envelope, &messages).await;
        let (calls, keys) = told[1].unwraps();
        assert!(keys == 1_000 && calls <= 6, "{does:?}: {calls} calls for {keys} keys");
        let (calls, keys) = told[0].unwraps();
        assert!(keys <= 1_000 && calls <= 6, "{does:?}: {calls} calls for {keys} keys");
    }
}

#[tokio::test]
async fn one_that_fails_is_not_waited_for() {
    for failure in [
        ErrorKind::Unavailable,
        ErrorKind::Throttled,
        ErrorKind::AccessDenied,
        ErrorKind::KeyUnusable,
        ErrorKind::Credentials,
        ErrorKind::Authentication,
        ErrorKind::Internal,
    ] {
        let outage = matches!(failure, ErrorKind::Unavailable | ErrorKind::Throttled);
        let denial = !outage && !matches!(failure, ErrorKind::Authentication | ErrorKind::Internal);
        let told = two();
        let messages = ours(&told, 3).await;
        told[0].does(Does::Fail(failure));
        // A read that waited for the delay would never end.
        let envelope = build(for_both(&told).hedge_delay(HOUR));
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(*envelope.decrypt(message, &policy()).await.unwrap(), text(index));
        }
        let asked = if outage { 1 } else { 3 };
        assert_eq!((told[0].unwraps(), told[1].unwraps()), ((asked, asked), (3, 3)), "{failure:?}");
        let stats = recipient(&envelope, 0);
        let counted = (stats.outages, stats.denials, stats.passed_over, stats.overtaken);
        let wanted = match (outage, denial) {
            (true, _) => (1, 0, 2, 0),
            (_, true) => (0, 3, 0, 0),
            _ => (0, 0, 0, 0),
        };
        assert_eq!(counted, wanted, "{failure:?}");
    }
}

#[tokio::test]
async fn one_that_is_passed_over_is_asked_when_no_other_can_and_back_when_it_answers() {
    let told = two();
    let messages = ours(&told, 4).await;
    let envelope = build(for_both(&told).hedge_delay(HOUR));
    told[0].does(Does::Fail(ErrorKind::Unavailable));
    opens(&envelope, &messages[..1]).await;
    told[0].does(Does::Answer);
    opens(&envelope, &messages[..1]).await;
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (1, 2), "passed over for a while");
    told[1].does(Does::Fail(ErrorKind::AccessDenied));
    opens(&envelope, &messages[..1]).await;
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (2, 3));
    opens(&envelope, &messages[..1]).await;
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (3, 3), "it has answered");
    // A write that succeeds counts as much as a read.
    told[0].does(Does::Fail(ErrorKind::Throttled));
    told[1].does(Does::Answer);
    assert!(envelope.encrypt(b"x", EncryptOptions::new()).await.is_err());
    // Another one than those that the second has denied.
    envelope.decrypt(&messages[1], &policy()).await.unwrap();
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (3, 4), "after a write that failed");
    told[0].does(Does::Answer);
    envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    envelope.decrypt(&messages[1], &policy()).await.unwrap();
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (4, 4), "after a write that did not");
}

#[tokio::test]
async fn a_key_in_the_cache_is_used_whichever_slot_it_is_of() {
    let told = two();
    let messages = ours(&told, 2).await;
    let cached = build(for_both(&told).cache(CacheLimits::new(HOUR)).hedge_delay(HOUR));
    told[0].does(Does::Fail(ErrorKind::Unavailable));
    opens(&cached, &messages).await;
    told[0].does(Does::Answer);
    // So that the first would be called first again.
    cached.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    let before = [told[0].unwraps(), told[1].unwraps()];
    for _ in 0..3 {
        opens(&cached, &messages).await;
        cached.decrypt(&messages[0], &policy()).await.unwrap();
    }
    assert_eq!([told[0].unwraps(), told[1].unwraps()], before);
    // A key that is too old for this reader is unwrapped again.
    cached.decrypt(&messages[0], &policy().max_key_age(Duration::ZERO)).await.unwrap();
    assert_ne!([told[0].unwraps(), told[1].unwraps()], before);
}

#[tokio::test]
async fn a_denial_ends_the_keys_of_its_family_and_not_the_read() {
    let told = two();
    let messages = ours(&told, 10).await;
    let envelope = build(for_both(&told).cache(CacheLimits::new(HOUR)).hedge_delay(HOUR));
    opens(&envelope, &messages[..9]).await;
    assert_eq!(envelope.stats().cache.keys, 9);
    told[0].does(Does::Fail(ErrorKind::AccessDenied));
    assert_eq!(*envelope.decrypt(&messages[9], &policy()).await.unwrap(), text(9));
    let stats = envelope.stats();
    assert_eq!(
        (stats.cache.denied, stats.cache.keys),
        (9, 1),
        "those of the first, and not its own"
    );
    assert_eq!((stats.recipients[0].denials, stats.recipients[1].denials), (1, 0));
    // The second's opens it from the cache, and the others must be unwrapped.
    let before = told[1].unwraps();
    envelope.decrypt(&messages[9], &policy()).await.unwrap();
    assert_eq!(told[1].unwraps(), before);
    opens(&envelope, &messages).await;
    assert_eq!(envelope.stats().cache.keys, 10);
}

#[tokio::test]
async fn unwraps_are_bounded_by_the_policy_whoever_is_asked() {
    let told = two();
    let message = ours(&told, 1).await.remove(0);
    let envelope = build(for_both(&told).hedge_delay(Duration::ZERO));
    told[0].does(Does::Fail(ErrorKind::Unavailable));
    let one = policy().max_unwraps(1);
    assert_eq!(kind(envelope.decrypt(&message, &one).await), ErrorKind::Unavailable);
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (1, 0));
    // The other one is called first now, and no other beside it.
    envelope.decrypt(&message, &one).await.unwrap();
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (1, 1));
}

// F-33
#[tokio::test]
async fn when_nothing_opens_the_first_outage_in_the_order_of_slots_is_told() {
    use ErrorKind::{AccessDenied, Authentication, KeyUnusable, Throttled, Unavailable};
    let told = ["first", "second", "third"].map(Told::named);
    let [first, second, third] = told.clone();
    let all = build(Envelope::builder(first).and(second).and(third).hedge_delay(HOUR));
    let message = all.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    for (failures, wanted) in [
        ([AccessDenied, KeyUnusable, Authentication], AccessDenied),
        ([Authentication, Throttled, Unavailable], Throttled),
        ([AccessDenied, Authentication, Unavailable], Unavailable),
    ] {
        let [first, second, third] = told.clone();
        for delay in [HOUR, Duration::ZERO] {
            let all = Envelope::builder(first.clone()).and(second.clone()).and(third.clone());
            let all = build(all.hedge_delay(delay));
            told.iter().zip(failures).for_each(|(told, kind)| told.does(Does::Fail(kind)));
            // The second time they are called in another order.
            for _ in 0..2 {
                assert_eq!(kind(all.decrypt(&message, &policy()).await), wanted, "{failures:?}");
            }
        }
    }
}

// F-33
#[tokio::test]
async fn with_one_recipient_too_an_outage_is_told_before_what_trying_again_would_not_help() {
    let told = Told::named("only");
    let envelope = build(Envelope::builder(told.clone()));
    let [one, other] = [0, 1].map(|_| DataKey::generate().unwrap());
    let payloads = [common::payload(&one, ""), common::payload(&other, "")];
    let wrapped = ncp_envelope::KeyWrapper::wrap_keys(&told, &payloads).await.unwrap();
    let spoilt = WrappedKey::new(wrapped[0].key_id().clone(), [7; 60]).unwrap();
    // A service that is called for two keys one after the other becomes unreachable in between.
    let lost = Lost(told.clone());
    let envelope_lost = build(Envelope::builder(lost));
    let message = forged(vec![spoilt, wrapped[1].clone()]);
    assert_eq!(kind(envelope_lost.decrypt(&message, &policy()).await), ErrorKind::Unavailable);
    assert_eq!(kind(envelope.decrypt(&message, &policy()).await), ErrorKind::Authentication);
}

/// Goes away after the first call.
#[derive(Debug)]
struct Lost(Told);

impl ncp_envelope::KeyWrapper for Lost {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        keys: &'a [ncp_envelope::wrap::KeyPayload],
    ) -> ncp_envelope::wrap::BoxFuture<'a, Result<Vec<WrappedKey>, Error>> {
        self.0.wrap_keys(keys)
    }

    fn unwrap_keys<'a>(
        &'a self,
        keys: &'a [WrappedKey],
    ) -> ncp_envelope::wrap::BoxFuture<'a, Result<Vec<ncp_envelope::wrap::KeyPayload>, Error>> {
        let does =
            if self.0.unwraps().0 == 0 { Does::Answer } else { Does::Fail(ErrorKind::Unavailable) };
        self.0.does(does);
        Box::pin(async move {
            let result = self.0.unwrap_keys(keys).await;
            self.0.does(Does::Answer);
            result
        })
    }

    fn rewrap_keys<'a>(
        &'a self,
        keys: &'a [WrappedKey],
    ) -> ncp_envelope::wrap::BoxFuture<'a, Result<Vec<WrappedKey>, Error>> {
        self.0.rewrap_keys(keys)
    }
}

/// A slot under a key that the policy names and nobody has goes to those of its provider.
#[tokio::test]
async fn a_key_that_nobody_has_is_asked_of_those_of_its_provider() {
    let (ours, theirs) =
        (Told::named("ours"), Told::new(Provider::Other(201), ZoneHint::None, "y"));
    let both = || Envelope::builder(theirs.clone()).and(ours.clone()).hedge_delay(HOUR);
    let foreign = |provider| {
        let id = KeyId::new(provider, ZoneHint::None, "foreign").unwrap();
        (id.clone(), forged(vec![WrappedKey::new(id, [7; 60]).unwrap()]))
    };
    for (provider, wanted) in [
        (Provider::Other(200), (1, 0)),
        (Provider::Other(201), (0, 1)),
        // Who says what is refused.
        (Provider::Other(202), (1, 1)),
    ] {
        let before = (ours.unwraps().0, theirs.unwraps().0);
        let (id, message) = foreign(provider);
        let policy = policy().allow_key(id);
        assert!(build(both()).decrypt(&message, &policy).await.is_err());
        let asked = (ours.unwraps().0 - before.0, theirs.unwraps().0 - before.1);
        assert_eq!(asked, wanted, "{provider:?}");
    }
}

/// A cancelled caller leaves nothing behind, and the next one continues.
#[tokio::test]
async fn a_caller_who_gives_up_takes_nothing_from_the_next() {
    let told = two();
    let messages = ours(&told, 10).await;
    told[0].does(Does::Hang);
    let envelope = build(for_both(&told).hedge_delay(Duration::from_millis(50)));
    let policy = policy();
    for message in &messages {
        // The first poll starts the call; there is no second poll.
        let call = envelope.decrypt(message, &policy);
        assert!(tokio::time::timeout(Duration::ZERO, call).await.is_err());
    }
    assert_eq!((told[0].unwraps().0, told[1].unwraps().0), (1, 0));
    opens(&envelope, &messages).await;
}
