//! Calls that are dropped, at each stage: they give back what they held.

use super::*;
use ncp_envelope::kms::RateLimit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Begins a call and drops it after `time`.
async fn abandon(key: &Key, time: Duration) {
    assert!(timeout(time, key.encrypt(b"x")).await.is_err(), "ended in time");
    // What it held is given back by the thread that it ran on.
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn in_the_queue() {
    let server = Server::start(|_, _| encrypted()).await;
    let key = key_of(account(server.url()).rate_limit(RateLimit::PerSecond(1)).queue_limit(1));
    key.encrypt(b"x").await.unwrap();
    for _ in 0..5 {
        tokio::join!(
            abandon(&key, Duration::from_millis(20)),
            abandon(&key, Duration::from_millis(20))
        );
    }
    // The queue is free again, although it has two places only.
    let (a, b) = tokio::join!(key.encrypt(b"x"), key.encrypt(b"x"));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn under_way() {
    let server = Server::start(|_, index| {
        if index < 3 { encrypted().after(Duration::from_secs(60)) } else { encrypted() }
    })
    .await;
    let key = key_of(account(server.url()).rate_limit(RateLimit::PerSecond(4)));
    for _ in 0..3 {
        abandon(&key, Duration::from_millis(300)).await;
    }
    for _ in 0..3 {
        key.encrypt(b"x").await.unwrap();
    }
    assert_eq!(key.client().stats().breaker_opens, 0);
}

#[tokio::test]
async fn in_the_pause_before_a_repetition() {
    let server = Server::start(|_, _| down().header("Retry-After", "20")).await;
    let key = key_of(account(server.url()).circuit_breaker(false).rate_limit(RateLimit::Off));
    // Each of them has a repetition of the 20 that there are, and gives it back.
    for _ in 0..30 {
        abandon(&key, Duration::from_millis(30)).await;
    }
    let stats = key.client().stats();
    assert_eq!((stats.retries, stats.retries_denied), (0, 0), "{stats:?}");
}

#[tokio::test]
async fn as_the_probe() {
    let server = Server::start(|_, index| match index {
        0..15 => down(),
        15..18 => encrypted().after(Duration::from_secs(60)),
        _ => encrypted(),
    })
    .await;
    let key = key_of(account(server.url()).max_attempts(1));
    for _ in 0..15 {
        key.encrypt(b"x").await.unwrap_err();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    for probe in 16..19 {
        abandon(&key, Duration::from_millis(500)).await;
        assert_eq!(server.requests().len(), probe);
    }
    key.encrypt(b"x").await.unwrap();
    assert_eq!(key.client().stats().breaker_closes, 1);
}

#[tokio::test]
async fn as_the_one_that_refreshes_the_token() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let server = Server::start(move |request, _| {
        if !request.path.ends_with("/access-token") {
            return if request.header("x-ncp-ocapi-token") == Some("new") {
                encrypted()
            } else {
                unauthorized()
            };
        }
        let issued = success(json!({ "accessToken": "new" }));
        if seen.fetch_add(1, Ordering::SeqCst) == 0 {
            issued.after(Duration::from_secs(60))
        } else {
            issued
        }
    })
    .await;
    let credentials = Credentials::token("old", Some(REFRESH.into())).unwrap();
    let key = key_of(account(server.url()).credentials(credentials));
    let leader = {
        let key = key.clone();
        tokio::spawn(async move { key.encrypt(b"x").await })
    };
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let others: Vec<_> = (0..20)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move { key.encrypt(b"x").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    leader.abort();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
