//! When to call again, as far as the service, the circuit breaker or the rate limit knows.

use super::*;
use ncp_envelope::kms::RateLimit;
use ncp_envelope::{Envelope, Error, ErrorKind};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn refused(key: &Key) -> Error {
    key.encrypt(b"x").await.unwrap_err()
}

fn answered(status: u16, headers: &[(&str, &str)]) -> Reply {
    let reply = Reply::new(status, "text/plain", "");
    headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
}

#[tokio::test]
async fn errors_carry_what_the_service_asks_for() {
    const DATE: (&str, &str) = ("Date", "Sun, 06 Nov 1994 08:49:30 GMT");
    for (status, headers, expected) in [
        (429, &[("Retry-After", "7")][..], Some(7)),
        (503, &[("Retry-After", "7")], Some(7)),
        (503, &[], None),
        (503, &[("Retry-After", "soon")], None),
        // By the clock that named the time.
        (429, &[DATE, ("Retry-After", "Sun, 06 Nov 1994 08:50:00 GMT")], Some(30)),
        (429, &[("Retry-After", "99999999999999999999999")], Some(24 * 3_600)),
        // To call again would not help.
        (403, &[("Retry-After", "7")], None),
    ] {
        let server = Server::start(move |_, _| answered(status, headers)).await;
        let key = key_of(account(server.url()).max_attempts(1));
        let error = refused(&key).await;
        assert_eq!(error.retry_after(), expected.map(Duration::from_secs), "{status} {headers:?}");
        assert_eq!(error.is_retryable(), status != 403);
    }
    // Also through what the call was made for.
    let server = Server::start(|_, _| answered(429, &[("Retry-After", "7")])).await;
    let key = key_of(account(server.url()).max_attempts(1));
    let envelope = Envelope::builder(key).build().unwrap();
    let error = envelope.encrypt("x", ncp_envelope::EncryptOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(7 * SECOND)));
}

#[tokio::test]
async fn calls_that_are_not_sent_say_when_they_could_be() {
    // The service asks for an hour, and the next turn is when that is over.
    let server = Server::start(|_, _| answered(429, &[("Retry-After", "3600")])).await;
    let key = key_of(account(server.url()).call_timeout(SECOND));
    assert_eq!(refused(&key).await.retry_after(), Some(3_600 * SECOND));
    let error = refused(&key).await;
    assert!(error.to_string().contains("its turn under the rate limit"), "{error}");
    // One call finds out after 10 s whether the service still means it.
    let after = error.retry_after().unwrap();
    assert!(after > 5 * SECOND && after <= 3_600 * SECOND, "{after:?}");

    let server = Server::start(|_, _| encrypted()).await;
    let slow = account(server.url()).rate_limit(RateLimit::PerSecond(1));
    let key = key_of(slow.call_timeout(SECOND / 4));
    key.encrypt(b"x").await.unwrap();
    let after = refused(&key).await.retry_after().unwrap();
    assert!(after > Duration::ZERO && after < 2 * SECOND, "{after:?}");
}

#[tokio::test]
async fn an_open_circuit_breaker_says_when_it_lets_a_call_through() {
    let server = Server::start(|_, _| down()).await;
    let key = key_of(account(server.url()).max_attempts(1));
    let error = loop {
        let error = refused(&key).await;
        if error.status().is_none() {
            break error;
        }
        assert_eq!(error.retry_after(), None);
    };
    assert!(error.to_string().contains("failed many times in a row"), "{error}");
    let after = error.retry_after().unwrap();
    assert!(after > Duration::ZERO && after <= SECOND / 2, "{after:?}");
}
