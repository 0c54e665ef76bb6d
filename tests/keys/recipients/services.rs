//! Two services over HTTP: one of them down, silent, slow, denying, or with an open breaker.

use super::*;

#[tokio::test]
async fn a_service_that_is_down_costs_the_reader_one_question() {
    let [a, b] = Service::two().await;
    let messages = written(&build(both(&a, &b)), 20).await;
    let envelope = build(both(&a, &b));
    a.down().await;
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(*envelope.decrypt(message, &policy()).await.unwrap(), text(index));
    }
    assert_eq!(b.unwraps(), (20, 20), "what it would be asked if it were alone");
    let stats = recipient(&envelope, 0);
    assert_eq!((stats.asked, stats.outages, stats.passed_over), (1, 1, 19));
}

#[tokio::test]
async fn a_service_that_never_answers_is_overtaken() {
    for order in [[0, 1], [1, 0]] {
        let services = Service::two().await;
        let [a, b] = order.map(|at| &services[at]);
        let messages = written(&build(both(&services[0], &services[1])), 20).await;
        a.emulator.inject(Fault::new(FaultKind::Silent)).await.unwrap();
        // Slots in the order of the writer, and called in that order.
        let envelope = build(both(a, b));
        opens(&envelope, &messages).await;
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(*envelope.decrypt(message, &policy()).await.unwrap(), text(index));
        }
        let calls = b.unwraps();
        assert!(calls.1 == 40 && calls.0 <= 23, "{calls:?}");
        let silent = a.unwraps();
        assert!(silent.0 <= 2, "{silent:?}");
    }
}

#[tokio::test]
async fn a_service_that_is_slow_is_back_when_it_has_answered() {
    let [a, b] = Service::two().await;
    let messages = written(&build(both(&a, &b)), 3).await;
    let envelope = build(both(&a, &b).hedge_delay(Duration::from_millis(1)));
    a.emulator.set_latency(Duration::from_millis(300));
    assert_eq!(*envelope.decrypt(&messages[0], &policy()).await.unwrap(), text(0));
    assert_eq!(recipient(&envelope, 0).overtaken, 1);
    a.emulator.set_latency(Duration::ZERO);
    // Its answer is still handled, without a waiter.
    until(async || recipient(&envelope, 0).opened == 1).await;
    let patient = build(both(&a, &b).hedge_delay(HOUR));
    opens(&patient, &messages).await;
    assert_eq!(recipient(&patient, 1).asked, 0);
    envelope.decrypt(&messages[1], &policy()).await.unwrap();
    assert_eq!(recipient(&envelope, 0).asked, 2, "asked first again");
}

#[tokio::test]
async fn a_service_that_denies_is_counted_and_read_around() {
    let [a, b] = Service::two().await;
    let messages = written(&build(both(&a, &b)), 10).await;
    let envelope = build(both(&a, &b).cache(CacheLimits::new(HOUR)));
    opens(&envelope, &messages[..5]).await;
    a.emulator.disable_key(a.emulator.key_tag()).await.unwrap();
    assert_eq!(*envelope.decrypt(&messages[5], &policy()).await.unwrap(), text(5));
    let stats = envelope.stats();
    assert_eq!((stats.cache.denied, stats.recipients[0].denials), (5, 1));
    opens(&envelope, &messages).await;
    // Alone it would say so.
    assert_eq!(
        kind(uncached(&a.key).decrypt(&messages[0], &policy()).await),
        ErrorKind::KeyUnusable
    );
    b.emulator.disable_key(b.emulator.key_tag()).await.unwrap();
    assert_eq!(
        kind(build(both(&a, &b)).decrypt(&messages[0], &policy()).await),
        ErrorKind::KeyUnusable
    );
}

#[tokio::test]
async fn a_service_whose_breaker_is_open_is_passed_over_without_a_call() {
    let [a, b] = Service::two().await;
    let messages = written(&build(both(&a, &b)), 20).await;
    let fault = a.emulator.inject(Fault::new(FaultKind::ResetBefore)).await.unwrap();
    let alone = uncached(&a.key);
    until(async || {
        let error = alone.decrypt(&messages[0], &policy()).await.unwrap_err();
        error.to_string().contains("no call is sent")
    })
    .await;
    let before = a.emulator.request_count();
    let envelope = build(both(&a, &b).hedge_delay(HOUR));
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(*envelope.decrypt(message, &policy()).await.unwrap(), text(index));
    }
    assert_eq!((a.emulator.request_count(), b.unwraps().0), (before, 20));
    let stats = recipient(&envelope, 0);
    assert_eq!((stats.asked, stats.outages, stats.passed_over), (1, 1, 19));
    a.emulator.clear_fault(fault).await;
}

/// A key of operations, and one in a safe.
#[tokio::test]
async fn an_offline_recovery_key_reads_what_a_service_wrote() {
    let service = Service::start().await;
    let key = DataKey::generate().unwrap();
    let recovery = || LocalKeyWrapper::new("recovery", &key).unwrap();
    let envelope = build(Envelope::builder(service.key.clone()).and(recovery()));
    let messages = written(&envelope, 50).await;
    opens(&uncached(&service.key), &messages).await;
    service.down().await;
    let before = service.emulator.request_count();
    opens(&build(Envelope::builder(recovery())), &messages).await;
    // A reader with both keys needs no service if the recovery key is first.
    opens(&build(Envelope::builder(recovery()).and(service.key.clone())), &messages).await;
    assert_eq!(service.emulator.request_count(), before);
    // And where it stands second, one question.
    opens(&envelope, &messages).await;
    assert_eq!(kind(envelope.encrypt(b"x", EncryptOptions::new()).await), ErrorKind::Unavailable);
    let other = LocalKeyWrapper::new("recovery", &DataKey::generate().unwrap()).unwrap();
    let wrong = build(Envelope::builder(other));
    assert_eq!(kind(wrong.decrypt(&messages[0], &policy()).await), ErrorKind::Authentication);
}

/// Keys of one provider in two zones: each with a cache entry of its own.
#[tokio::test]
async fn two_zones_of_one_provider_are_two_recipients() {
    let kr = Told::new(Provider::NcpKms, ZoneHint::Kr, "key-in-korea");
    let jp = Told::new(Provider::NcpKms, ZoneHint::Jp, "key-in-japan");
    let envelope = build(Envelope::builder(kr.clone()).and(jp.clone()));
    let messages = written(&envelope, 10).await;
    for zone in [&kr, &jp] {
        let alone = Envelope::builder(zone.clone()).cache(CacheLimits::new(HOUR));
        opens(&build(alone), &messages).await;
    }
    kr.does(told::Does::Fail(ErrorKind::Unavailable));
    opens(&envelope, &messages).await;
    jp.does(told::Does::Fail(ErrorKind::Unavailable));
    assert_eq!(kind(envelope.decrypt(&messages[0], &policy()).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn one_cold_key_is_asked_for_once_by_all_who_read_at_the_same_time() {
    let [a, b] = Service::two().await;
    let message: Arc<[u8]> = written(&build(both(&a, &b)), 1).await.remove(0).into();
    a.down().await;
    let envelope = build(both(&a, &b).cache(CacheLimits::new(HOUR)));
    b.emulator.set_latency(Duration::from_millis(500));
    let results = at_once(200, |_| {
        let (envelope, message) = (envelope.clone(), message.clone());
        async move { envelope.decrypt(&message, &policy()).await }
    })
    .await;
    assert!(results.into_iter().all(|result| *result.unwrap() == text(0)));
    assert_eq!(b.unwraps(), (1, 1));
}
