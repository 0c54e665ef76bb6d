//! Calls whose futures were polled once and then are not: they hold up nobody.

use super::*;
use ncp_envelope::Result;
use ncp_envelope::kms::RateLimit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

type Begun<'a> = Pin<Box<dyn Future<Output = Result<String>> + Send + 'a>>;

/// Not a limit of time: far more than anything here takes when nobody is held up.
const PATIENCE: Duration = Duration::from_secs(20);

fn begin(key: &Key) -> Begun<'_> {
    let mut call: Begun<'_> = Box::pin(key.encrypt(b"x"));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    call
}

async fn ends<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("held up")
}

#[tokio::test]
async fn in_the_queue() {
    let server = Server::start(|_, _| encrypted()).await;
    let key = key_of(account(server.url()).rate_limit(RateLimit::PerSecond(4)));
    let unpolled: Vec<_> = (0..6).map(|_| begin(&key)).collect();
    for _ in 0..4 {
        ends(key.encrypt(b"x")).await.unwrap();
    }
    for call in unpolled {
        ends(call).await.unwrap();
    }
}

#[tokio::test]
async fn as_the_probe() {
    let server = Server::start(|_, index| if index < 15 { down() } else { encrypted() }).await;
    let key = key_of(account(server.url()).max_attempts(1));
    for _ in 0..15 {
        key.encrypt(b"x").await.unwrap_err();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let probe = begin(&key);
    ends(async {
        while key.encrypt(b"x").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    probe.await.unwrap();
}

#[tokio::test]
async fn as_the_one_that_refreshes_the_token() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let server = Server::start(move |request, _| {
        if request.path.ends_with("/access-token") {
            seen.fetch_add(1, Ordering::SeqCst);
            return success(json!({ "accessToken": "new" })).after(Duration::from_millis(100));
        }
        match request.header("x-ncp-ocapi-token") {
            Some("new") => encrypted(),
            _ => unauthorized(),
        }
    })
    .await;
    let credentials = Credentials::token("old", Some(REFRESH.into())).unwrap();
    let key = key_of(account(server.url()).credentials(credentials));
    let leader = begin(&key);
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ends(key.encrypt(b"x")).await.unwrap();
    leader.await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
