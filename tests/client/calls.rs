//! The client against a scripted server that records its requests.

#![cfg(feature = "kms")]

use crate::server::{Reply, Request, Server, success};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ncp_envelope::kms::{Api, Client, ClientBuilder, Credentials, Endpoint, Key, SignatureVersion};
use ncp_envelope::wrap::{KeyPayload, KeyWrapper, PAYLOAD_LEN, Provider, WrappedKey};
use ncp_envelope::{Error, ErrorKind};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ACCESS_KEY: &str = "CANARYaccess";
const SECRET_KEY: &str = "CANARYsecret";
const GATEWAY_KEY: &str = "CANARYgateway";
const TOKEN: &str = "CANARYtoken0";
const REFRESH: &str = "CANARYrefresh";
const PLAINTEXT: &[u8] = b"CANARYplaintext";

fn encrypted() -> Reply {
    success(json!({ "ciphertext": "ncpkms:v1:AAAA" }))
}

fn account(server: &Server) -> ClientBuilder {
    let credentials = Credentials::account(ACCESS_KEY, SECRET_KEY).unwrap();
    Client::builder().endpoint(Endpoint::Custom(server.url())).credentials(credentials)
}

fn with_token(server: &Server, refresh: Option<&str>) -> Key {
    let credentials = Credentials::token(TOKEN, refresh.map(Into::into)).unwrap();
    let builder =
        Client::builder().endpoint(Endpoint::Custom(server.url())).credentials(credentials);
    builder.build().unwrap().key("tag").unwrap()
}

fn key_of(builder: ClientBuilder) -> Key {
    builder.build().unwrap().key("tag").unwrap()
}

/// The kind of `error`, after a look at everything it shows.
fn kind(error: &Error) -> ErrorKind {
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        shown += &format!(" {error} {error:?}");
        source = error.source();
    }
    let base64 = STANDARD.encode(PLAINTEXT);
    for secret in ["CANARY", "x-ncp-", "tag/encrypt?", &base64] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let line = error.to_string();
    assert!(!line.contains('\n') && !line.starts_with(char::is_uppercase), "{line}");
    error.kind()
}

fn signature(version: u8, request: &Request) -> String {
    let gateway = if version == 1 { format!("{GATEWAY_KEY}\n") } else { String::new() };
    let timestamp = request.header("x-ncp-apigw-timestamp").unwrap();
    let message =
        format!("{} {}\n{timestamp}\n{gateway}{ACCESS_KEY}", request.method, request.path);
    STANDARD.encode(hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, SECRET_KEY.as_bytes()),
        message.as_bytes(),
    ))
}

#[tokio::test]
async fn the_four_ways_to_authenticate() {
    let server = Server::start(|_, _| encrypted()).await;
    let gateway = Credentials::account(ACCESS_KEY, SECRET_KEY)
        .unwrap()
        .with_api_gateway_key(GATEWAY_KEY)
        .unwrap();
    let v1 = account(&server).api(Api::V1);
    for key in [
        key_of(v1.clone().signature(SignatureVersion::V1).credentials(gateway)),
        key_of(v1),
        key_of(account(&server)),
        with_token(&server, Some(REFRESH)),
    ] {
        assert_eq!(key.encrypt(PLAINTEXT).await.unwrap(), "ncpkms:v1:AAAA");
    }
    let requests = server.requests();
    let paths = [
        "/keys/v1/tag/encrypt",
        "/keys/v2/tag/encrypt",
        "/kms/v1/keys/tag/encrypt",
        "/kms/v1/keys/tag/encrypt",
    ];
    assert_eq!(requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), paths);
    for request in &requests {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(
            request.header("user-agent"),
            Some(concat!("ncp-envelope/", env!("CARGO_PKG_VERSION")))
        );
        assert_eq!(request.body, json!({ "plaintext": STANDARD.encode(PLAINTEXT) }).to_string());
    }
    let names = |request: &Request| {
        let names = request
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with("x-ncp-"));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(
        names(&requests[0]),
        "x-ncp-apigw-api-key x-ncp-apigw-signature-v1 x-ncp-apigw-timestamp x-ncp-iam-access-key"
    );
    assert_eq!(
        names(&requests[1]),
        "x-ncp-apigw-signature-v2 x-ncp-apigw-timestamp x-ncp-iam-access-key"
    );
    assert_eq!(names(&requests[2]), names(&requests[1]));
    assert_eq!(names(&requests[3]), "x-ncp-ocapi-token");
    assert_eq!(requests[0].header("x-ncp-apigw-api-key"), Some(GATEWAY_KEY));
    assert_eq!(
        requests[0].header("x-ncp-apigw-signature-v1"),
        Some(signature(1, &requests[0]).as_str())
    );
    for request in &requests[1..3] {
        assert_eq!(request.header("x-ncp-iam-access-key"), Some(ACCESS_KEY));
        assert_eq!(
            request.header("x-ncp-apigw-signature-v2"),
            Some(signature(2, request).as_str())
        );
    }
    assert_eq!(requests[3].header("x-ncp-ocapi-token"), Some(TOKEN));
}

#[tokio::test]
async fn calls_carry_one_value_or_several() {
    let server = Server::start(|request, _| match request.path.rsplit('/').next() {
        Some("encrypt") => success(json!({ "ciphertext": ["a", "b"] })),
        Some("decrypt") if request.body.contains('[') => {
            success(json!({ "plaintextList": ["YQ==", "Yg=="] }))
        }
        Some("decrypt") => success(json!({ "plaintext": ["YQ=="] })),
        Some("re-encrypt") if request.body.contains('[') => {
            success(json!({ "newCiphertext": ["c", "d"] }))
        }
        _ => success(json!({ "newCiphertext": "c" })),
    })
    .await;
    let key = key_of(account(&server));
    assert_eq!(key.encrypt_many(&["1", "2"]).await.unwrap(), ["a", "b"]);
    assert_eq!(key.decrypt("a").await.unwrap().expose_secret(), b"a");
    assert_eq!(key.decrypt_many(&["a", "b"]).await.unwrap()[1].expose_secret(), b"b");
    assert_eq!(key.re_encrypt("a").await.unwrap(), "c");
    assert_eq!(key.re_encrypt_many(&["a", "b"]).await.unwrap(), ["c", "d"]);
    let bodies: Vec<String> = server.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(
        bodies,
        [
            r#"{"plaintext":["MQ==","Mg=="]}"#,
            r#"{"ciphertext":"a"}"#,
            r#"{"ciphertext":["a","b"]}"#,
            r#"{"ciphertext":"a"}"#,
            r#"{"ciphertext":["a","b"]}"#
        ]
    );
    key_of(account(&server).api(Api::V1)).re_encrypt("a").await.unwrap();
    key_of(account(&server).re_encrypt_action("reencrypt")).re_encrypt("a").await.unwrap();
    let paths: Vec<String> =
        server.requests().into_iter().skip(5).map(|request| request.path).collect();
    assert_eq!(paths, ["/keys/v2/tag/reencrypt", "/kms/v1/keys/tag/reencrypt"]);
}

#[tokio::test]
async fn what_cannot_be_a_call_is_not_made() {
    let server = Server::start(|_, _| panic!("called")).await;
    let key = key_of(account(&server));
    assert!(key.encrypt_many::<&[u8]>(&[]).await.unwrap().is_empty());
    assert!(key.decrypt_many::<&str>(&[]).await.unwrap().is_empty());
    assert!(key.re_encrypt_many::<&str>(&[]).await.unwrap().is_empty());
    for error in [
        key.encrypt(&[0; 32_769]).await.unwrap_err(),
        key.encrypt_many(&[[0; 16_384].as_slice(), &[0; 16_384], &[0]]).await.unwrap_err(),
        key.encrypt_many(&[""; 1_025]).await.unwrap_err(),
        key.decrypt_many(&["x"; 1_025]).await.unwrap_err(),
        key.decrypt_many(&vec!["x".repeat(60_000); 5]).await.unwrap_err(),
    ] {
        assert_eq!(kind(&error), ErrorKind::LimitExceeded);
    }
    for text in ["", "CANARY x", "CANARY\n", "CANARYé", &"x".repeat(65_537)] {
        assert_eq!(kind(&key.decrypt(text).await.unwrap_err()), ErrorKind::InvalidInput);
        assert_eq!(kind(&key.re_encrypt(text).await.unwrap_err()), ErrorKind::InvalidInput);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn every_attempt_is_signed_anew() {
    let server = Server::start(|_, index| match index {
        0 => Reply::json(
            503,
            &json!({ "error": { "errorCode": "500", "message": "Endpoint Error" } }),
        )
        .after(Duration::from_millis(20)),
        1 => Reply::hang_up().after(Duration::from_millis(20)),
        _ => encrypted(),
    })
    .await;
    key_of(account(&server)).encrypt(PLAINTEXT).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!(
            request.header("x-ncp-apigw-signature-v2"),
            Some(signature(2, request).as_str())
        );
        assert_eq!(request.body, requests[0].body);
    }
    let times: Vec<u64> = requests
        .iter()
        .map(|request| request.header("x-ncp-apigw-timestamp").unwrap().parse().unwrap())
        .collect();
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
}

#[tokio::test]
async fn failures_that_last_are_not_repeated_and_others_end() {
    for (reply, want, attempts) in [
        (
            Reply::json(404, &json!({ "code": "NOT_FOUND", "msg": "Not found" })),
            ErrorKind::KeyUnusable,
            1,
        ),
        (Reply::json(401, &json!({ "error": { "errorCode": 210 } })), ErrorKind::AccessDenied, 1),
        (
            Reply::json(401, &json!({ "code": "UNAUTHORIZED", "msg": "Unauthorized" })),
            ErrorKind::Credentials,
            1,
        ),
        (
            Reply::json(200, &json!({ "code": "INVALID_STATUS", "msg": "Invalid status" })),
            ErrorKind::KeyUnusable,
            1,
        ),
        (Reply::new(413, "text/html", "<html>"), ErrorKind::LimitExceeded, 1),
        (
            Reply::json(
                429,
                &json!({ "error": { "errorCode": "400", "message": "Quota Exceeded" } }),
            ),
            ErrorKind::Throttled,
            3,
        ),
        (Reply::new(502, "text/html", "<html>"), ErrorKind::Unavailable, 3),
        (
            Reply::json(200, &json!({ "code": "INTERNAL_SERVER_ERROR", "msg": "x" })),
            ErrorKind::Unavailable,
            3,
        ),
        (Reply::hang_up(), ErrorKind::Unavailable, 3),
        (Reply::new(501, "text/plain", ""), ErrorKind::Unavailable, 1),
        (Reply::new(200, "text/html", "<html>CANARY</html>"), ErrorKind::Unavailable, 1),
        (Reply::new(200, "application/json", ""), ErrorKind::Unavailable, 1),
        (Reply::new(204, "application/json", ""), ErrorKind::Unavailable, 1),
        (success(json!({ "ciphertext": ["CANARY", "b"] })), ErrorKind::Internal, 1),
        (success(json!({ "ciphertext": [] })), ErrorKind::Internal, 1),
        (success(json!({ "ciphertext": "CANARY b" })), ErrorKind::Internal, 1),
        (success(Value::Null), ErrorKind::Internal, 1),
    ] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let error = key_of(account(&server)).encrypt(PLAINTEXT).await.unwrap_err();
        assert_eq!(kind(&error), want, "{error}");
        assert!(error.to_string().starts_with("encrypt with key tag: "), "{error}");
        assert_eq!(server.requests().len(), attempts, "{error}");
    }
}

#[tokio::test]
async fn errors_say_what_the_service_said_but_never_a_secret() {
    let server = Server::start(|request, _| {
        let signature = request.header("x-ncp-apigw-signature-v2").unwrap().to_owned();
        let echo = format!("bad\u{1b} {ACCESS_KEY} {SECRET_KEY}\n{signature} {} end", request.body);
        Reply::json(400, &json!({ "code": "INVALID_REQUEST", "msg": echo }))
    })
    .await;
    let error = key_of(account(&server)).encrypt(PLAINTEXT).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "encrypt with key tag: the key service refused it with http 400, code INVALID_REQUEST: \
         bad [redacted] [redacted] [...] {\"plaintext\":\"[...]\"} end"
    );
    let error = key_of(account(&server)).decrypt("ncpkms:v1:CANARYCANARY").await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::InvalidInput);
    assert!(
        error.to_string().ends_with("the ciphertext may be changed, or not be one of this key"),
        "{error}"
    );

    let server = Server::start(|_, _| {
        Reply::json(403, &json!({ "code": TOKEN, "message": format!("{TOKEN}{REFRESH}") }))
    })
    .await;
    let key = with_token(&server, Some(REFRESH));
    let error = key.encrypt(PLAINTEXT).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::AccessDenied);
    assert!(
        error.to_string().contains("http 403, code [redacted]: [redacted][redacted]; "),
        "{error}"
    );
    assert!(!format!("{key:?} {:?}", key.client()).contains("CANARY"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Server::start(|_, _| encrypted()).await;
    let location = format!("{}/kms/v1/keys/tag/encrypt?CANARY", target.url());
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Server::start(move |_, _| {
            Reply::new(status, "text/html", "").header("Location", &location)
        })
        .await;
        let error = key_of(account(&server)).encrypt(PLAINTEXT).await.unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Unavailable);
        assert!(error.to_string().contains("redirects are not followed"), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn long_answers_are_not_read_to_their_end() {
    for status in [200, 400] {
        let server = Server::start(move |_, _| Reply::endless(status)).await;
        let error = key_of(account(&server)).encrypt(PLAINTEXT).await.unwrap_err();
        let want = if status == 200 { ErrorKind::Unavailable } else { ErrorKind::InvalidInput };
        assert_eq!(kind(&error), want, "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn slow_answers_end_with_the_attempt_and_the_call() {
    let server = Server::start(|_, index| {
        if index == 0 { encrypted().after(Duration::from_secs(60)) } else { encrypted() }
    })
    .await;
    let quick = account(&server).attempt_timeout(Duration::from_secs(1));
    key_of(quick).encrypt(PLAINTEXT).await.unwrap();
    assert!(server.requests().len() >= 2);

    for reply in
        [encrypted().after(Duration::from_secs(60)), Reply::stalled(200), Reply::stalled(500)]
    {
        let server = Server::start(move |_, _| reply.clone()).await;
        let start = Instant::now();
        let error = key_of(account(&server).call_timeout(Duration::from_millis(300)))
            .encrypt(PLAINTEXT)
            .await
            .unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Unavailable);
        assert!(error.to_string().contains("300ms"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(server.requests().len() <= 1);
    }
}

#[tokio::test]
async fn localhost_is_this_machine_and_nobody_listening_is_unavailable() {
    let server = Server::start(|_, _| encrypted()).await;
    let by_name = Endpoint::Custom(server.url().replace("127.0.0.1", "localhost"));
    key_of(account(&server).endpoint(by_name)).encrypt(PLAINTEXT).await.unwrap();

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    drop(listener);
    let credentials = Credentials::account(ACCESS_KEY, SECRET_KEY).unwrap();
    let error = key_of(Client::builder().endpoint(Endpoint::Custom(url)).credentials(credentials))
        .encrypt(PLAINTEXT)
        .await
        .unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn retry_after_is_waited_for_within_the_calls_time() {
    let throttled = || {
        Reply::json(429, &json!({ "error": { "errorCode": "410", "message": "Throttle Limited" } }))
    };
    let server = Server::start(move |_, index| {
        if index == 0 { throttled().header("Retry-After", "1") } else { encrypted() }
    })
    .await;
    let key = key_of(account(&server));
    key.encrypt(PLAINTEXT).await.unwrap();
    let times: Vec<u64> = server
        .requests()
        .iter()
        .map(|request| request.header("x-ncp-apigw-timestamp").unwrap().parse().unwrap())
        .collect();
    assert!(times[1] - times[0] >= 1_000, "{times:?}");

    let server = Server::start(move |_, _| throttled().header("Retry-After", "3600")).await;
    let start = Instant::now();
    let error = key_of(account(&server)).encrypt(PLAINTEXT).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Throttled);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(server.requests().len(), 1);
}

/// Accepts the token `good` only, and hands it out for the refresh token.
fn token_service(request: &Request, good: &'static str) -> Reply {
    let token = request.header("x-ncp-ocapi-token").unwrap();
    if request.path == "/kms/v1/keys/tag/access-token" {
        assert_eq!((token, request.body.as_str()), (REFRESH, "{}"));
        return success(json!({ "accessToken": good })).after(Duration::from_millis(50));
    }
    if token == good {
        encrypted()
    } else {
        Reply::json(401, &json!({ "code": "UNAUTHORIZED", "msg": "Unauthorized" }))
    }
}

fn refreshes(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.path.ends_with("/access-token")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_refused_callers_share_one_refresh() {
    let server = Server::start(|request, _| token_service(request, "CANARYtoken1")).await;
    let key = with_token(&server, Some(REFRESH));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move { key.encrypt(PLAINTEXT).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "ncpkms:v1:AAAA");
    }
    assert_eq!(refreshes(&server), 1);
    assert_eq!(key.client().current_access_token().unwrap().expose_secret(), "CANARYtoken1");
    let before = server.requests().len();
    key.encrypt(PLAINTEXT).await.unwrap();
    assert_eq!(server.requests().len(), before + 1);
}

#[tokio::test]
async fn tokens_that_stay_refused_are_credentials_errors() {
    // No refresh token: one request.
    let server = Server::start(|request, _| token_service(request, "other")).await;
    assert_eq!(
        kind(&with_token(&server, None).encrypt(PLAINTEXT).await.unwrap_err()),
        ErrorKind::Credentials
    );
    assert_eq!(server.requests().len(), 1);

    // The new token is refused as well: no second refresh.
    let server = Server::start(|request, _| match request.path.ends_with("/access-token") {
        true => success(json!({ "accessToken": "CANARYtoken1" })),
        false => Reply::new(401, "text/plain", ""),
    })
    .await;
    assert_eq!(
        kind(&with_token(&server, Some(REFRESH)).encrypt(PLAINTEXT).await.unwrap_err()),
        ErrorKind::Credentials
    );
    assert_eq!((server.requests().len(), refreshes(&server)), (3, 1));

    // The refresh token is refused, in whatever words; a failure that may have issued a token is
    // not repeated.
    for (reply, want) in [
        (
            Reply::json(401, &json!({ "code": "UNAUTHORIZED", "msg": REFRESH })),
            ErrorKind::Credentials,
        ),
        (
            Reply::json(404, &json!({ "code": "NOT_FOUND", "msg": "Not found" })),
            ErrorKind::Credentials,
        ),
        (Reply::new(503, "text/plain", ""), ErrorKind::Unavailable),
        (Reply::hang_up(), ErrorKind::Unavailable),
        (success(json!({})), ErrorKind::Internal),
        (success(json!({ "accessToken": "CANARY\n" })), ErrorKind::Credentials),
    ] {
        let server =
            Server::start(move |request, _| match request.path.ends_with("/access-token") {
                true => reply.clone(),
                false => Reply::new(401, "text/plain", ""),
            })
            .await;
        let error = with_token(&server, Some(REFRESH)).encrypt(PLAINTEXT).await.unwrap_err();
        assert_eq!(kind(&error), want, "{error}");
        assert_eq!((server.requests().len(), refreshes(&server)), (2, 1), "{error}");
    }
}

#[tokio::test]
async fn a_key_wraps_any_number_of_keys_in_their_order() {
    // Encrypts by naming the tag before the base64, so that decrypting needs no state.
    let server = Server::start(|request, _| {
        let mut path = request.path.rsplit('/');
        let (action, tag) = (path.next().unwrap().to_owned(), path.next().unwrap().to_owned());
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let strip =
            |text: &str| text.strip_prefix(&format!("ncpkms:v1:{tag}:")).unwrap().to_owned();
        let map = |value: &Value, each: &dyn Fn(&str) -> String| match value {
            Value::Array(items) => items.iter().map(|item| each(item.as_str().unwrap())).collect(),
            item => json!(each(item.as_str().unwrap())),
        };
        match action.as_str() {
            "encrypt" => success(json!({ "ciphertext": map(&body["plaintext"],
                &|text| format!("ncpkms:v1:{tag}:{text}")) })),
            "decrypt" => success(json!({ "plaintext": map(&body["ciphertext"], &strip) })),
            _ => success(json!({ "newCiphertext": map(&body["ciphertext"],
                &|text| text.to_owned()) })),
        }
    })
    .await;
    let client = account(&server).build().unwrap();
    let (a, b) = (client.key("a").unwrap(), client.key("b").unwrap());
    assert_eq!((a.key_id().id(), a.key_id().provider()), ("a", Provider::NcpKms));

    let payloads = |count: u16| -> Vec<KeyPayload> {
        (0..count)
            .map(|index| {
                let mut bytes = [7; PAYLOAD_LEN];
                bytes[..2].copy_from_slice(&index.to_le_bytes());
                KeyPayload::copy_from(&bytes)
            })
            .collect()
    };
    let same = |got: &[KeyPayload], want: &[KeyPayload]| {
        assert_eq!(got.len(), want.len());
        assert!(
            got.iter().zip(want).all(|(got, want)| got.expose_secret() == want.expose_secret())
        );
    };
    let many = payloads(600);
    let wrapped = a.wrap_keys(&many).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    same(&a.unwrap_keys(&wrapped).await.unwrap(), &many);
    assert_eq!(server.requests().len(), 6);

    // Two tags mixed: one call each, and everything back in its place.
    let few = payloads(6);
    let (under_a, under_b) = (a.wrap_keys(&few).await.unwrap(), b.wrap_keys(&few).await.unwrap());
    let mixed: Vec<WrappedKey> = (0..6)
        .map(|index| if index % 2 == 0 { under_a[index].clone() } else { under_b[index].clone() })
        .collect();
    let before = server.requests().len();
    same(&a.unwrap_keys(&mixed).await.unwrap(), &few);
    let rewrapped = a.rewrap_keys(&mixed).await.unwrap();
    assert_eq!(server.requests().len(), before + 4);
    assert_eq!(rewrapped, mixed);
    assert!(
        a.wrap_keys(&[]).await.unwrap().is_empty() && a.unwrap_keys(&[]).await.unwrap().is_empty()
    );
}

#[tokio::test]
async fn programs_are_told_status_and_code_of_a_refusal() {
    const ECHOED: &[u8] = b"CANARYplaintext";
    let server = Server::start(|request, _| {
        let answer = |status: u16, code: &str| Reply::json(status, &json!({ "code": code }));
        let path = &request.path;
        match () {
            () if path.contains("/forbidden/") => answer(403, "FORBIDDEN"),
            () if path.contains("/invalid/") => answer(400, "INVALID_REQUEST"),
            () if path.contains("/gateway/") => {
                Reply::json(401, &json!({ "error": { "errorCode": 210, "message": "no" } }))
            }
            () if path.contains("/echo/") => answer(400, "Q0FOQVJZcGxhaW50ZXh0"),
            () => Reply::new(404, "text/html", "<html>"),
        }
    })
    .await;
    let client = Client::builder()
        .endpoint(Endpoint::Custom(server.url()))
        .credentials(Credentials::account("CANARYaccess", "CANARYsecret").unwrap())
        .build()
        .unwrap();
    for (tag, status, code) in [
        ("forbidden", 403, Some("FORBIDDEN")),
        ("invalid", 400, Some("INVALID_REQUEST")),
        ("gateway", 401, Some("210")),
        // A code that repeats what was sent is no code.
        ("echo", 400, None),
        ("page", 404, None),
    ] {
        let key = client.key(tag).unwrap();
        let error = key.encrypt(ECHOED).await.unwrap_err();
        assert_eq!((error.status(), error.service_code()), (Some(status), code), "{tag}");
    }
    // Also where the refusal means something else to the caller.
    let key = client.key("invalid").unwrap();
    let wrapped = WrappedKey::new(key.id().clone(), "ncpkms:v1:AAAA").unwrap();
    let error = key.unwrap_keys(&[wrapped]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status(), error.service_code()),
        (ErrorKind::Authentication, Some(400), Some("INVALID_REQUEST"))
    );
    let gone = Client::builder()
        .endpoint(Endpoint::Custom("http://127.0.0.1:9".to_owned()))
        .credentials(Credentials::account("a", "b").unwrap())
        .max_attempts(1)
        .build()
        .unwrap();
    let error = gone.key("k").unwrap().encrypt(b"x").await.unwrap_err();
    assert_eq!((error.status(), error.service_code()), (None, None));
}
