//! A clock that is wrong, and a service that says what time it is.

use super::*;
use ncp_envelope::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// The time on a clock that is `ahead` seconds ahead of this machine's.
fn date(ahead: i64) -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UNIX_EPOCH + Duration::from_secs(now.checked_add_signed(ahead).unwrap())
}

/// Says `ahead` seconds more than this machine, tells the time, and refuses timestamps that are 5
/// minutes off.
fn elsewhere(ahead: i64) -> impl Fn(&Request, usize) -> Reply + Send + Sync + 'static {
    move |request, _| {
        let now = date(ahead);
        let signed: u64 = request.header("x-ncp-apigw-timestamp").unwrap().parse().unwrap();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let accepted = seconds.abs_diff(signed / 1_000) < 300;
        let reply = if accepted { encrypted() } else { unauthorized() };
        reply.header("Date", &httpdate::fmt_http_date(now))
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
    let date = |seconds: i64| httpdate::fmt_http_date(date(seconds));
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

/// A refusal of something on the way has a date as well, and knows nothing of timestamps.
#[tokio::test]
async fn only_the_gateways_own_error_moves_the_clock() {
    let gateway =
        |status: u16, code: &str| Reply::json(status, &json!({ "error": { "errorCode": code } }));
    for (reply, learns) in [
        (Reply::new(403, "text/html", "<html>Forbidden</html>"), false),
        (Reply::new(401, "text/html", "<html>Proxy</html>"), false),
        (Reply::new(400, "text/plain", ""), false),
        (Reply::json(401, &json!({ "status": "login" })), false),
        (Reply::json(403, &json!({ "code": "FORBIDDEN", "msg": "Forbidden" })), false),
        (Reply::json(400, &json!({ "code": "INVALID_REQUEST", "msg": "x" })), false),
        (Reply::json(401, &json!({ "errorCode": 200, "message": "x" })), false),
        (gateway(401, "210"), false),
        (gateway(403, "200"), false),
        (Reply::json(401, &json!({ "code": "UNAUTHORIZED", "msg": "Unauthorized" })), true),
        (gateway(401, "200"), true),
        (gateway(400, "100"), true),
    ] {
        let server = Server::start(move |_, index| match index {
            0 => reply.clone().header("Date", &httpdate::fmt_http_date(date(47 * 3_600))),
            _ => encrypted(),
        })
        .await;
        let key = key_of(account(server.url()).max_attempts(1));
        assert_eq!(key.encrypt(b"x").await.is_ok(), learns);
        key.encrypt(b"x").await.unwrap();
        let stats = key.client().stats();
        assert_eq!(stats.clock_corrections, u64::from(learns));
        // Without a correction the time that is sent is this machine's.
        let last = server.requests().pop().unwrap();
        let signed: u64 = last.header("x-ncp-apigw-timestamp").unwrap().parse().unwrap();
        let here = date(0).duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(here.abs_diff(signed / 1_000) > 3_600, learns);
    }
}

/// The time to come back is named by the service's clock, which is not this machine's.
#[tokio::test]
async fn a_date_to_come_back_is_by_the_services_clock() {
    for (ahead, dated) in [(DAY, true), (-DAY, true), (DAY, false), (-DAY, false)] {
        let clock = elsewhere(ahead);
        let server = Server::start(move |request, index| {
            if index != 2 {
                return clock(request, index);
            }
            let reply = busy().header("Retry-After", &httpdate::fmt_http_date(date(ahead + 3)));
            match dated {
                true => reply.header("Date", &httpdate::fmt_http_date(date(ahead))),
                false => reply,
            }
        })
        .await;
        let key = key_of(account(server.url()));
        key.encrypt(b"x").await.unwrap();
        key.encrypt(b"x").await.unwrap();
        let times: Vec<u64> = server
            .requests()
            .iter()
            .map(|request| request.header("x-ncp-apigw-timestamp").unwrap().parse().unwrap())
            .collect();
        assert_eq!(times.len(), 4, "{ahead} {dated}");
        // Dates have whole seconds, and without one beside it the clock in use is as exact.
        assert!(times[3] - times[2] >= 1_000, "{ahead} {dated}: {times:?}");
    }
}
