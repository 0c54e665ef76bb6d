//! Outages, whole and partial: what they cost the service and the caller.

use super::*;
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::RateLimit;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LONGEST_PAUSE: Duration = Duration::from_secs(11);

/// Requests for each body, the most of any one first.
fn by_body(server: &Server) -> Vec<usize> {
    let mut counts = HashMap::new();
    for request in server.requests() {
        *counts.entry(request.body).or_insert(0) += 1;
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_by_key(|count| std::cmp::Reverse(*count));
    counts
}

#[tokio::test]
async fn an_outage_costs_little_with_and_without_the_circuit_breaker() {
    for (reply, breaker, concurrent) in [
        (Reply::hang_up(), true, 1),
        (down(), true, 20),
        (Reply::hang_up(), false, 20),
        (down(), false, 100),
    ] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let key = key_of(account(server.url()).circuit_breaker(breaker).rate_limit(RateLimit::Off));
        let calls = 300_u32;
        let mut tasks = Vec::new();
        for task in 0..concurrent {
            let key = key.clone();
            tasks.push(tokio::spawn(async move {
                for call in 0..calls / concurrent {
                    let error =
                        key.encrypt(&(task * calls + call).to_le_bytes()).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let requests = server.requests().len();
        assert!(requests as f64 <= 1.2 * f64::from(calls), "{requests} requests for {calls} calls");
        assert!(by_body(&server)[0] <= 3);
        let stats = key.client().stats();
        assert_eq!((stats.calls, stats.failed_calls, stats.attempts), (300, 300, requests as u64));
        if breaker {
            assert!(stats.breaker_opens >= 1 && requests < 150, "{stats:?}");
        } else {
            assert!(
                stats.breaker_opens == 0 && stats.retries <= 20 && stats.retries_denied > 0,
                "{stats:?}"
            );
        }
    }
}

#[tokio::test]
async fn with_the_breaker_open_no_request_is_made_until_one_probe_is_answered() {
    let healthy = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&healthy);
    let server = Server::start(move |_, _| match seen.load(Ordering::SeqCst) {
        true => encrypted().after(Duration::from_millis(300)),
        false => down(),
    })
    .await;
    let key = key_of(account(server.url()).max_attempts(1));
    for _ in 0..15 {
        key.encrypt(b"x").await.unwrap_err();
    }
    assert_eq!((server.requests().len(), key.client().stats().breaker_opens), (15, 1));
    let error = key.encrypt(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .starts_with("encrypt with key tag: the key service failed many times in a row"),
        "{error}"
    );
    for _ in 0..200 {
        assert!(key.encrypt(b"x").await.is_err());
    }
    let refused = key.client().stats().breaker_refusals;
    assert_eq!(
        server.requests().len() as u64,
        216 - refused,
        "every call was refused or was a probe"
    );

    // The service is back. Twenty callers at once: one of them is the probe, and the others do not
    // wait for it.
    healthy.store(true, Ordering::SeqCst);
    let before = loop {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let before = server.requests().len();
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let key = key.clone();
                tokio::spawn(async move { key.encrypt(b"x").await.is_ok() })
            })
            .collect();
        let mut succeeded = 0;
        for call in calls {
            succeeded += usize::from(call.await.unwrap());
        }
        assert!(succeeded <= 1, "{succeeded}");
        if succeeded == 1 {
            break before;
        }
    };
    assert_eq!(server.requests().len(), before + 1);
    assert_eq!(key.client().stats().breaker_closes, 1);
    key.encrypt(b"x").await.unwrap();
}

#[tokio::test]
async fn one_key_that_fails_does_not_stop_the_others() {
    let server = Server::start(
        |request, _| if request.path.contains("/bad/") { down() } else { encrypted() },
    )
    .await;
    let client = account(server.url()).max_attempts(1).build().unwrap();
    let (good, bad) = (client.key("good").unwrap(), client.key("bad").unwrap());
    for _ in 0..30 {
        bad.encrypt(b"x").await.unwrap_err();
        good.encrypt(b"x").await.unwrap();
    }
    let requests = count(&server, |request| request.path.contains("/bad/"));
    assert!((15..20).contains(&requests), "{requests}");
}

#[tokio::test]
async fn denials_and_throttling_never_open_the_breaker() {
    for (status, code) in [
        (403, "FORBIDDEN"),
        (404, "NOT_FOUND"),
        (400, "INVALID_REQUEST"),
        (401, "UNAUTHORIZED"),
        (429, "410"),
    ] {
        let server = Server::start(move |_, _| Reply::json(status, &json!({ "code": code }))).await;
        let key = key_of(account(server.url()).max_attempts(1).rate_limit(RateLimit::Off));
        for _ in 0..40 {
            key.encrypt(b"x").await.unwrap_err();
        }
        assert_eq!(server.requests().len(), 40);
        assert_eq!(key.client().stats().breaker_opens, 0);
    }
}

/// Whether an attempt fails depends on the call and the attempt's number only, so that it is known
/// which calls can succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_30_percent_random_failures_callers_see_less_than_3() {
    const CALLS: u64 = 4_000;
    const SEED: u64 = 2;
    let fails = |call: u64, attempt: u64| draw(SEED, call * 3 + attempt) % 100 < 30;
    let hopeless = (0..CALLS).filter(|call| (0..3).all(|attempt| fails(*call, attempt))).count();
    let attempts = std::sync::Mutex::new(HashMap::<String, u64>::new());
    let server = Server::start(move |request, _| {
        let attempt = {
            let mut attempts = attempts.lock().unwrap();
            let count = attempts.entry(request.body.clone()).or_insert(0);
            *count += 1;
            *count - 1
        };
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            body["plaintext"].as_str().unwrap(),
        )
        .unwrap();
        let call = u64::from_le_bytes(bytes.try_into().unwrap());
        match (fails(call, attempt), call % 3) {
            (false, _) => encrypted(),
            (true, 0) => Reply::hang_up(),
            (true, _) => down(),
        }
    })
    .await;
    let key = key_of(account(server.url()).rate_limit(RateLimit::Off));
    let tasks: Vec<_> = (0..40)
        .map(|task| {
            let key = key.clone();
            tokio::spawn(async move {
                let mut failed = 0;
                for call in (task..CALLS).step_by(40) {
                    failed += usize::from(key.encrypt(&call.to_le_bytes()).await.is_err());
                }
                failed
            })
        })
        .collect();
    let mut failed = 0;
    for task in tasks {
        failed += task.await.unwrap();
    }
    let stats = key.client().stats();
    assert!(
        failed * 100 <= CALLS as usize * 3,
        "{failed} of {CALLS} failed, {hopeless} had to: {stats:?}"
    );
    // Nothing but bad luck failed a call, or the purse that all calls share, which a run of it can
    // empty for a moment.
    assert!(
        failed >= hopeless && failed as u64 <= hopeless as u64 + stats.retries_denied,
        "{hopeless} had to: {stats:?}"
    );
    assert_eq!(stats.breaker_opens, 0, "{stats:?}");
}

#[tokio::test]
async fn a_client_without_luck_recovers_when_the_service_does() {
    let healthy = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&healthy);
    let server =
        Server::start(
            move |_, _| if seen.load(Ordering::SeqCst) { encrypted() } else { Reply::hang_up() },
        )
        .await;
    let key = key_of(account(server.url()));
    for _ in 0..20 {
        key.encrypt(b"x").await.unwrap_err();
    }
    healthy.store(true, Ordering::SeqCst);
    let recovered = async {
        while key.encrypt(b"x").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONGEST_PAUSE, recovered).await.unwrap();
}
