//! The rate limit: the client keeps under it, waits in order, and gives way when it is refused.

use super::*;
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::{Api, RateLimit};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Refuses what goes beyond `limit` in any second that ends now.
fn strict(limit: usize) -> impl Fn(&Request, usize) -> Reply + Send + Sync + 'static {
    let seen = Mutex::new(VecDeque::new());
    move |_, _| {
        let (mut seen, now) = (seen.lock().unwrap(), Instant::now());
        while seen.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
            seen.pop_front();
        }
        seen.push_back(now);
        if seen.len() > limit { busy() } else { encrypted() }
    }
}

async fn press(key: &Key, callers: usize, time: Duration) -> u64 {
    let end = Instant::now() + time;
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                while Instant::now() < end {
                    key.encrypt(b"x").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    key.client().stats().calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_nothing_is_refused_and_most_of_the_limit_is_used() {
    for (api, limit) in [(Api::V2, 300), (Api::V1, 200)] {
        let server = Server::start(strict(limit)).await;
        let client = account(server.url()).api(api).build().unwrap();
        let key = client.key("tag").unwrap();
        let calls = press(&key, 50, Duration::from_secs(4)).await;
        let stats = client.stats();
        assert_eq!((stats.throttled, stats.failed_calls, stats.retries), (0, 0, 0), "{stats:?}");
        assert!(stats.queue_waits > 0 && calls > limit as u64 * 2, "{stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_is_one_for_each_key_with_api_2_and_one_for_all_with_api_1() {
    for (api, least, most) in [(Api::V2, 70, 160), (Api::V1, 25, 90)] {
        let server = Server::start(|_, _| encrypted()).await;
        let client =
            account(server.url()).api(api).rate_limit(RateLimit::PerSecond(40)).build().unwrap();
        let (a, b) = (client.key("a").unwrap(), client.key("b").unwrap());
        tokio::join!(press(&a, 8, Duration::from_secs(1)), press(&b, 8, Duration::from_secs(1)));
        let calls = client.stats().calls;
        assert!((least..=most).contains(&calls), "{calls}");
    }
}

#[tokio::test]
async fn a_full_queue_and_a_turn_that_comes_too_late_are_throttled_without_a_request() {
    let server = Server::start(|_, _| encrypted()).await;
    let builder = account(server.url())
        .rate_limit(RateLimit::PerSecond(1))
        .queue_limit(2)
        .call_timeout(Duration::from_secs(20));
    let key = key_of(builder);
    key.encrypt(b"x").await.unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move { key.encrypt(b"x").await.err() })
        })
        .collect();
    let mut refused = 0;
    for call in calls {
        if let Some(error) = call.await.unwrap() {
            assert_eq!(error.kind(), ErrorKind::Throttled);
            assert!(error.to_string().contains("too many calls wait"), "{error}");
            refused += 1;
        }
    }
    assert_eq!((refused, server.requests().len()), (17, 4));

    let key = key_of(
        account(server.url())
            .rate_limit(RateLimit::PerSecond(1))
            .call_timeout(Duration::from_millis(300)),
    );
    key.encrypt(b"x").await.unwrap();
    let before = server.requests().len();
    let error = key.encrypt(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.to_string().contains("does not come within 300ms"), "{error}");
    assert_eq!((server.requests().len(), key.client().stats().queue_refusals), (before, 1));
}

#[tokio::test]
async fn what_the_service_asks_to_wait_holds_for_all_calls_with_the_key() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let server = Server::start(move |_, index| {
        seen.lock().unwrap().push(Instant::now());
        if index == 0 { busy().header("Retry-After", "1") } else { encrypted() }
    })
    .await;
    let key = key_of(account(server.url()));
    let first = {
        let key = key.clone();
        tokio::spawn(async move { key.encrypt(b"x").await })
    };
    while key.client().stats().throttled == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    key.encrypt(b"y").await.unwrap();
    first.await.unwrap().unwrap();
    let times = times.lock().unwrap();
    assert!(
        times.len() == 3 && times[1..].iter().all(|at| *at - times[0] >= Duration::from_secs(1)),
        "{times:?}"
    );
}

/// A service that asks for an hour is probed within seconds, by one call.
#[tokio::test]
async fn a_key_is_not_stopped_for_as_long_as_one_answer_says() {
    let server = Server::start(move |_, index| match index {
        0 => busy().header("Retry-After", "3600"),
        _ => encrypted(),
    })
    .await;
    let key = key_of(account(server.url()));
    let begun = Instant::now();
    assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Throttled);
    // The first call waits to probe; those that come meanwhile fail at once.
    let probe = {
        let key = key.clone();
        tokio::spawn(async move { key.encrypt(b"x").await })
    };
    while key.client().stats().calls < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..20 {
        assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Throttled);
    }
    assert_eq!(server.requests().len(), 1);
    probe.await.unwrap().unwrap();
    all_succeed(&key, 20).await;
    assert_eq!(server.requests().len(), 22);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_know_the_limit_finds_it() {
    // The service allows a third of what the client believes, as if others used the rest.
    let server = Server::start(strict(100)).await;
    let key = key_of(account(server.url()).max_attempts(10).call_timeout(Duration::from_secs(20)));
    let end = Instant::now() + Duration::from_secs(4);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                let mut succeeded = 0;
                while Instant::now() < end {
                    match key.encrypt(b"x").await {
                        Ok(_) => succeeded += 1,
                        // With nothing left of the quota.
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Throttled),
                    }
                }
                succeeded
            })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        succeeded += task.await.unwrap();
    }
    let stats = key.client().stats();
    // Without slowing down at least two thirds of 1,100 attempts would be refused.
    assert!(stats.throttled < stats.attempts / 2 && succeeded > 150, "{succeeded} {stats:?}");
}
