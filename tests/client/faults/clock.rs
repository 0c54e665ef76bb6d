//! A clock that is wrong, and a service that says what time it is.

use super::*;
use ncp_envelope::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// Says `ahead` seconds more than this machine, tells the time, and refuses timestamps that are 5
/// minutes off.
fn elsewhere(ahead: i64) -> impl Fn(&Request, usize) -> Reply + Send + Sync + 'static {
    move |request, _| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            .checked_add_signed(ahead)
            .unwrap();
        let signed: u64 = request.header("x-ncp-apigw-timestamp").unwrap().parse().unwrap();
        let reply = if now.abs_diff(signed / 1_000) >= 300 { unauthorized() } else { encrypted() };
        reply.header("Date", &httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now)))
    }
}

#[tokio::test]
async fn a_clock_that_is_a_day_wrong_costs_one_request() {
    for ahead in [DAY, -DAY, 2 * DAY - 60, 400, -400] {
        let server = Server::start(elsewhere(ahead)).await;
        let key = key_of(account(server.url()).max_attempts(1));
        key.encrypt(b"x").await.unwrap();
        assert_eq!(server.requests().len(), 2, "{ahead}");
        for _ in 0..5 {
            key.encrypt(b"x").await.unwrap();
        }
        assert_eq!(server.requests().len(), 7, "{ahead}");
        let stats = key.client().stats();
        assert_eq!((stats.clock_corrections, stats.retries, stats.failed_calls), (1, 0, 0));
    }
}

#[tokio::test]
async fn callers_at_the_same_time_all_recover() {
    let server = Server::start(elsewhere(-DAY)).await;
    let key = key_of(account(server.url()));
    all_succeed(&key, 30).await;
    assert!(server.requests().len() <= 60);
}

#[tokio::test]
async fn a_clock_off_by_less_or_by_more_than_is_sane_changes_nothing() {
    for ahead in [290, -290] {
        let server = Server::start(elsewhere(ahead)).await;
        key_of(account(server.url())).encrypt(b"x").await.unwrap();
        assert_eq!(server.requests().len(), 1);
    }
    for ahead in [3 * DAY, -3 * DAY] {
        let server = Server::start(elsewhere(ahead)).await;
        let error = key_of(account(server.url())).encrypt(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.to_string().contains("clock"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_once_whatever_the_date_says() {
    let date = |seconds: i64| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            .checked_add_signed(seconds)
            .unwrap();
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now))
    };
    for (header, requests) in
        [(None, 1), (Some(date(0)), 1), (Some("soon".to_owned()), 1), (Some(date(DAY)), 2)]
    {
        let server = Server::start(move |_, _| match &header {
            Some(date) => unauthorized().header("Date", date),
            None => unauthorized(),
        })
        .await;
        let key = key_of(account(server.url()));
        for _ in 0..2 {
            assert_eq!(key.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Credentials);
        }
        // With a wrong date and a wrong secret the second request is all that is ever added.
        assert_eq!(server.requests().len(), requests + 1);
    }
}
