//! Account keys that a client is given while it runs, those of a Server Role among them.

use super::*;
use ncp_envelope::kms::{CredentialSource, RateLimit, ServerRole, Timestamp};
use ncp_envelope::wrap::BoxFuture;
use ncp_envelope::{Error, ErrorKind, Result};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The metadata service's answer to a request for keys named `name` that end at `end`.
fn keys(name: &str, end: SystemTime) -> Reply {
    Reply::json(
        200,
        &json!({ "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "NCP-HMAC",
            "AccessKeyId": name, "SecretAccessKey": "CANARYsecret", "Token": "",
            "Expiration": Timestamp::from(end).to_string() }),
    )
}

fn text(body: &str) -> Reply {
    Reply::new(200, "text/plain", body)
}

/// A metadata service of version 2 that gives the keys that `give` does, numbered.
async fn metadata(give: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Server {
    let given = AtomicUsize::new(0);
    Server::start(move |request, _| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token") => text("CANARYmetadata"),
        ("GET", ROLES) => text("my role\nother\n"),
        ("GET", _) => give(given.fetch_add(1, Ordering::Relaxed)),
        _ => Reply::new(405, "text/plain", ""),
    })
    .await
}

fn fetches(server: &Server) -> usize {
    count(server, |request| request.method == "GET" && request.path != ROLES)
}

fn with_source(url: String, source: impl CredentialSource + 'static) -> ClientBuilder {
    Client::builder().endpoint(Endpoint::Custom(url)).credential_source(source)
}

fn signed_by(request: &Request) -> &str {
    request.header("x-ncp-iam-access-key").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_fetch_the_keys_of_a_role_once_for_each_end() {
    const LIFE: Duration = Duration::from_secs(2);
    let issued: Arc<Mutex<Vec<SystemTime>>> = Arc::default();
    let ends = Arc::clone(&issued);
    let role = metadata(move |number| {
        let end = SystemTime::now() + LIFE;
        ends.lock().unwrap().push(end);
        keys(&format!("k{number}"), end)
    })
    .await;
    let ends = Arc::clone(&issued);
    let server = Server::start(move |request, _| {
        let number: usize = signed_by(request).strip_prefix('k').unwrap().parse().unwrap();
        let good = SystemTime::now() < ends.lock().unwrap()[number];
        if good { encrypted() } else { unauthorized() }
    })
    .await;
    let source = ServerRole::at(&role.url()).unwrap();
    let key = key_of(with_source(server.url(), source).rate_limit(RateLimit::Off));
    while fetches(&role) < 3 {
        all_succeed(&key, 100).await;
    }
    all_succeed(&key, 100).await;
    // Each was fetched once, when the one before was about to expire.
    for pair in issued.lock().unwrap().windows(2) {
        assert!(pair[1].duration_since(pair[0]).unwrap() > LIFE / 2);
    }
    let used: BTreeSet<_> =
        server.requests().iter().map(|request| signed_by(request).to_owned()).collect();
    assert_eq!(used.len(), fetches(&role));
    assert_eq!(key.client().stats().failed_calls, 0);
}

#[tokio::test]
async fn the_metadata_service_is_asked_by_its_version() {
    for (version, tokens) in [(2, 200), (1, 404), (1, 405)] {
        let role = Server::start(move |request, _| match request.path.as_str() {
            "/latest/api/token" => Reply::new(tokens, "text/plain", "CANARYmetadata\n"),
            ROLES => text("\nmy role\r\nother\n"),
            _ => keys("k", SystemTime::now() + Duration::from_secs(3_600)),
        })
        .await;
        let server = Server::start(|_, _| encrypted()).await;
        let key = key_of(with_source(server.url(), ServerRole::at(&role.url()).unwrap()));
        key.encrypt(b"x").await.unwrap();
        key.encrypt(b"x").await.unwrap();
        assert!(server.requests().iter().all(|request| signed_by(request) == "k"));
        let asked = role.requests();
        let lines: Vec<_> =
            asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
        assert_eq!(
            lines,
            [
                "PUT /latest/api/token".to_owned(),
                format!("GET {ROLES}"),
                format!("GET {ROLES}my%20role")
            ]
        );
        assert_eq!(asked[0].header("x-ncp-metadata-token-ttl-seconds"), Some("300"));
        for get in &asked[1..] {
            let expected = (version == 2).then_some("CANARYmetadata");
            assert_eq!(get.header("x-ncp-metadata-token"), expected);
        }
    }
}

#[tokio::test]
async fn a_metadata_service_that_misbehaves_is_an_error_within_its_time() {
    let elsewhere = Server::start(|_, _| text("CANARYmetadata")).await;
    let moved = Reply::new(302, "text/plain", "").header("Location", &elsewhere.url());
    let wrong = |body: &str| Reply::new(200, "application/json", body);
    for (token, keys, kind, words) in [
        (moved, wrong(""), ErrorKind::Credentials, "refused a token with http 302"),
        (text(" "), wrong(""), ErrorKind::Credentials, "not what it documents"),
        (Reply::endless(200), wrong(""), ErrorKind::Unavailable, "over 65536 bytes"),
        (Reply::hang_up(), wrong(""), ErrorKind::Unavailable, "metadata service"),
        (Reply::stalled(200), wrong(""), ErrorKind::Unavailable, "no answer within 900ms"),
        (text("t"), Reply::endless(200), ErrorKind::Unavailable, "over 65536 bytes"),
        (text("t"), Reply::new(500, "text/html", "CANARY"), ErrorKind::Unavailable, "http 500"),
        (text("t"), Reply::new(403, "text/html", "CANARY"), ErrorKind::Credentials, "http 403"),
        (text("t"), Reply::new(404, "text/html", ""), ErrorKind::Credentials, "knows no role"),
        (text("t"), wrong("{\"Code\":\"NoRole\"}"), ErrorKind::Credentials, "none: NoRole"),
        (text("t"), wrong("<html>CANARY"), ErrorKind::Credentials, "not what it documents"),
    ] {
        let role = Server::start(move |request, _| match request.path.as_str() {
            "/latest/api/token" => token.clone(),
            ROLES => text("role"),
            _ => keys.clone(),
        })
        .await;
        let key = key_of(with_source("http://127.0.0.1:1".to_owned(), role_at(&role)));
        let begun = Instant::now();
        let error = key.encrypt(b"x").await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("CANARY"), "{text}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

fn role_at(server: &Server) -> ServerRole {
    ServerRole::at(&server.url()).unwrap()
}

#[tokio::test]
async fn keys_that_are_good_are_used_while_there_are_no_others() {
    let life = Duration::from_secs(2);
    let role = metadata(move |number| match number {
        0 => keys("k", SystemTime::now() + life),
        _ => Reply::new(503, "text/plain", ""),
    })
    .await;
    let begun = Instant::now();
    let server = Server::start(move |_, _| {
        // The service's clock is never quite this one.
        if begun.elapsed() < life { encrypted() } else { unauthorized() }
    })
    .await;
    let key = key_of(with_source(server.url(), role_at(&role)));
    while fetches(&role) < 2 {
        key.encrypt(b"x").await.unwrap();
    }
    // The first failure is not followed by one for every call.
    key.encrypt(b"x").await.unwrap();
    assert_eq!(fetches(&role), 2);
    let error = loop {
        if let Err(error) = key.encrypt(b"x").await {
            break error;
        }
    };
    // What the callers have cached stays: it is an outage.
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(fetches(&role) <= 3);
}

/// A source that gives keys one after the other, and the last one for ever.
#[derive(Debug)]
struct Keys {
    names: &'static [&'static str],
    asked: AtomicUsize,
}

impl Keys {
    fn new(names: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { names, asked: AtomicUsize::new(0) })
    }
}

impl CredentialSource for Keys {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        Box::pin(async {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            match self.names[number.min(self.names.len() - 1)] {
                "none" => Err(Error::new(ErrorKind::Credentials, "the vault is locked")),
                name => Credentials::account(name, "CANARYsecret"),
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_runs_goes_on_with_other_keys_after_a_refusal() {
    let good: Arc<Mutex<&str>> = Arc::new(Mutex::new("k1"));
    let accepted = Arc::clone(&good);
    let server = Server::start(move |request, _| {
        let good = signed_by(request) == *accepted.lock().unwrap();
        if good { encrypted() } else { unauthorized() }
    })
    .await;
    let source = Keys::new(&["k1", "k2"]);
    let key = key_of(with_source(server.url(), Arc::clone(&source)));
    all_succeed(&key, 50).await;
    assert_eq!(source.asked.load(Ordering::Relaxed), 1);
    *good.lock().unwrap() = "k2";
    all_succeed(&key, 50).await;
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
    // Not every call fetches keys that are refused for good.
    *good.lock().unwrap() = "none";
    for _ in 0..5 {
        let error = key.encrypt(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 3);
    // The program may have others by itself.
    *good.lock().unwrap() = "k4";
    key.client().set_account(Credentials::account("k4", "CANARYsecret").unwrap()).unwrap();
    key.encrypt(b"x").await.unwrap();
    let token = Credentials::token("t", None).unwrap();
    assert!(key.client().set_account(token).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_the_first_keys_shares_the_answer() {
    let server = Server::start(|_, _| encrypted()).await;
    let source = Keys::new(&["none", "k"]);
    let key = key_of(with_source(server.url(), Arc::clone(&source)));
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(encrypt_once(key.clone()))).collect();
    let mut failures = 0;
    for call in calls {
        if let Err(error) = call.await.unwrap() {
            assert!(error.to_string().contains("the vault is locked"), "{error}");
            failures += 1;
        }
    }
    assert!(failures > 0);
    key.encrypt(b"x").await.unwrap();
    assert!(source.asked.load(Ordering::Relaxed) <= 3);
}

async fn encrypt_once(key: Key) -> Result<String> {
    key.encrypt(b"x").await
}

#[derive(Debug)]
struct Silent;

impl CredentialSource for Silent {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_source_that_never_answers_is_waited_for_no_longer_than_a_call_takes() {
    let builder = with_source("http://127.0.0.1:1".to_owned(), Silent);
    let key = key_of(builder.call_timeout(Duration::from_millis(300)));
    let (one, other) = tokio::join!(key.encrypt(b"x"), key.encrypt(b"y"));
    for result in [one, other] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("gave no keys within 300ms"), "{error}");
    }
}
