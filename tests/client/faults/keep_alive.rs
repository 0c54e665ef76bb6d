//! Connections that the server closes while they are idle, at the moment at which a request is on
//! its way.

use super::*;
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::RateLimit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers `good` requests of each connection and closes it when the next one has come, without an
/// answer.
async fn closing(good: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, good, Arc::clone(&seen)));
        }
    });
    (url, requests)
}

async fn serve(mut stream: TcpStream, good: usize, seen: Arc<AtomicUsize>) {
    let mut bytes = vec![0; 65_536];
    for index in 0.. {
        // Requests are small and come whole, or in two pieces of which the second ends with the
        // body's brace.
        let mut len = 0;
        while len == 0 || bytes[len - 1] != b'}' {
            match stream.read(&mut bytes[len..]).await {
                Ok(0) | Err(_) => return,
                Ok(more) => len += more,
            }
        }
        seen.fetch_add(1, Ordering::SeqCst);
        if index == good {
            return;
        }
        let body = r#"{"code":"SUCCESS","data":{"ciphertext":"ncpkms:v1:AAAA"}}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_dropped_idle_connection_costs_neither_quota_nor_an_attempt() {
    for attempts in [1, 3] {
        let (url, requests) = closing(1).await;
        let key = key_of(account(url).max_attempts(attempts));
        for _ in 0..60 {
            key.encrypt(b"x").await.unwrap();
        }
        let stats = key.client().stats();
        // Each call but the first finds the connection of the one before, and each of those is
        // closed under it.
        assert_eq!(
            (stats.dropped_connections, stats.retries, stats.breaker_opens),
            (59, 0, 0),
            "{stats:?}"
        );
        assert_eq!((requests.load(Ordering::SeqCst), stats.attempts), (119, 119));
    }
}

#[tokio::test]
async fn many_callers_and_dropped_connections_do_not_open_the_breaker() {
    let (url, _) = closing(3).await;
    let key = key_of(account(url).rate_limit(RateLimit::Off));
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                let mut failed = 0;
                for _ in 0..50 {
                    failed += usize::from(key.encrypt(b"x").await.is_err());
                }
                failed
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 0);
    }
    let stats = key.client().stats();
    assert!(stats.dropped_connections > 0 && stats.breaker_opens == 0, "{stats:?}");
}

#[tokio::test]
async fn a_new_connection_that_is_closed_is_a_failure_like_any_other() {
    let (url, requests) = closing(0).await;
    let key = key_of(account(url));
    assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Unavailable);
    let stats = key.client().stats();
    assert_eq!(
        (requests.load(Ordering::SeqCst), stats.dropped_connections, stats.retries),
        (3, 0, 2),
        "{stats:?}"
    );
}
