//! The server itself: start, stop, bodies, and what it shows.

use crate::client::{Call, NOW, base64, call, encrypt, frozen, keys, path};
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{AuthRow, Emulator, EmulatorClock, Fault, FaultKind};
use serde_json::{Value, json};
use std::io::{ErrorKind as Io, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant, UNIX_EPOCH};

fn address(emulator: &Emulator) -> String {
    emulator.url().strip_prefix("http://").unwrap().to_owned()
}

/// Sends bytes and reads to the end of the answer.
fn raw(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let (emulator, _) = frozen().await;
    let fits = |len: usize| {
        let mut body = json!({ "plaintext": "" }).to_string();
        body.push_str(&" ".repeat(len - body.len()));
        Call { body, ..encrypt(&emulator) }.signed(&emulator)
    };
    fits(1 << 20).data(&emulator).await;
    for len in [(1 << 20) + 1, 4 << 20] {
        fits(len).stopped(&emulator, 413, "430").await;
    }
    assert_eq!(emulator.requests().last().unwrap().auth, AuthRow::None);

    // Without a length, in chunks.
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        path(&emulator, "encrypt")
    );
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 19, " ".repeat(1 << 19));
    let request = format!("{head}{chunk}{chunk}{chunk}0\r\n\r\n");
    assert!(raw(&address(&emulator), request.as_bytes()).starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn nonsense_does_not_stop_it() {
    let (emulator, _) = frozen().await;
    let address = address(&emulator);
    for request in [
        &b"\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST * HTTP/1.1\r\nconnection: close\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let mut cut_off = TcpStream::connect(&address).unwrap();
    cut_off
        .write_all(
            b"POST /kms/v1/keys/x/encrypt HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
        )
        .unwrap();
    drop(cut_off);
    encrypt(&emulator).signed(&emulator).data(&emulator).await;
}

#[tokio::test]
async fn a_drop_ends_everything() {
    let (emulator, _) = frozen().await;
    let address = address(&emulator);
    let mut idle = TcpStream::connect(&address).unwrap();
    idle.write_all(b"POST /kms/v1/keys/x/encrypt HTTP/1.1\r\n").unwrap();
    encrypt(&emulator).signed(&emulator).data(&emulator).await;
    drop(emulator);
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), Io::ConnectionRefused);
    idle.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_shutdown_waits_for_requests_and_not_for_idle_connections() {
    // On a busy machine the request may not have arrived when the shutdown begins; then the next
    // round leaves it more time.
    for head_start in [20, 100, 500, 2_500] {
        let (emulator, _) = frozen().await;
        let address = address(&emulator);
        let _idle = TcpStream::connect(&address).unwrap();
        // Takes a while, for it makes the key's token generator.
        let issue = Call::post(path(&emulator, "token-set"), Value::Null).signed(&emulator);
        let mut request =
            reqwest::Client::new().post(format!("{}{}", emulator.url(), issue.target));
        for (name, value) in &issue.headers {
            request = request.header(*name, value);
        }
        let pending = tokio::spawn(request.send());
        tokio::time::sleep(Duration::from_millis(head_start)).await;
        let started = Instant::now();
        emulator.shutdown().await;
        assert!(started.elapsed() < Duration::from_secs(4));
        assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), Io::ConnectionRefused);
        if let Ok(answer) = pending.await.unwrap() {
            assert_eq!(answer.status(), 200);
            return;
        }
    }
    panic!("no request was answered");
}

#[tokio::test]
async fn only_loopback_unless_allowed() {
    let public = "0.0.0.0:0".parse().unwrap();
    let error = Emulator::builder().listen(public).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let emulator = Emulator::builder().listen(public).allow_remote().start().await.unwrap();
    assert!(emulator.url().starts_with("http://0.0.0.0:"));
    let taken = emulator.url().strip_prefix("http://").unwrap().parse().unwrap();
    let error = Emulator::builder().listen(taken).allow_remote().start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let (emulator, _) = frozen().await;
    let connection = emulator.connection().await.unwrap();
    let tokens = emulator
        .issue_tokens(emulator.key_tag(), Duration::from_secs(1), Duration::from_secs(1))
        .await
        .unwrap();
    encrypt(&emulator).signed(&emulator).token(tokens.access_token()).data(&emulator).await;
    let shown = format!(
        "{emulator:?} {connection:?} {tokens:?} {:?} {:?}",
        emulator.requests(),
        Emulator::builder().account("a", "s3cret")
    );
    for secret in [
        emulator.secret_key(),
        emulator.apigw_api_key(),
        emulator.access_token().await.unwrap(),
        emulator.refresh_token().await.unwrap(),
        tokens.access_token(),
        "s3cret",
    ] {
        assert!(!shown.contains(secret));
    }
    assert!(shown.contains(emulator.url()));

    let line = connection.to_json().unwrap();
    assert!(!line.contains('\n'));
    let fields: Vec<_> = line
        .split("\",\"")
        .map(|field| field.split('"').find(|text| *text != "{" && !text.is_empty()).unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "url",
            "key_tag",
            "access_key",
            "secret_key",
            "apigw_api_key",
            "access_token",
            "refresh_token"
        ]
    );
    let parsed: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(parsed["secret_key"], emulator.secret_key());
    assert_eq!(parsed["refresh_token"], emulator.refresh_token().await.unwrap());
}

#[tokio::test]
async fn requests_are_recorded() {
    let (emulator, _) = frozen().await;
    encrypt(&emulator).signed(&emulator).data(&emulator).await;
    Call { target: path(&emulator, "encrypt") + "?q=1", ..encrypt(&emulator) }
        .stopped(&emulator, 401, "200")
        .await;
    let [good, bad] = emulator.requests().try_into().unwrap();
    assert_eq!(emulator.request_count(), 2);
    assert_eq!(
        (good.method.as_str(), good.path.as_str()),
        ("POST", path(&emulator, "encrypt").as_str())
    );
    assert_eq!(
        (good.auth, good.status, good.items, good.refusal),
        (AuthRow::AccountV2, 200, 1, None)
    );
    assert_eq!(
        (bad.auth, bad.status, bad.items, bad.refusal),
        (AuthRow::AccountV2, 401, 0, Some("no timestamp"))
    );
    assert_eq!(bad.path, good.path);
}

/// A caller that blocks its only thread still gets an answer.
#[tokio::test(flavor = "current_thread")]
async fn it_serves_a_caller_that_blocks() {
    let emulator = Emulator::start().await.unwrap();
    assert!(
        raw(&address(&emulator), b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 404 ")
    );
}

/// What callers send and get is in no record, whether the calls succeed or fail.
#[tokio::test]
async fn the_record_holds_nothing_of_what_is_sent() {
    let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW));
    let builder =
        Emulator::builder().clock(clock).sub_account("SUBACCOUNT", "canary-sub-secret", &[]);
    let shown_builder = format!("{builder:?}");
    let emulator = builder.admin("127.0.0.1:0".parse().unwrap()).start().await.unwrap();
    let tokens = emulator
        .issue_tokens(emulator.key_tag(), Duration::from_secs(60), Duration::from_secs(60))
        .await
        .unwrap();
    let canary = base64("canary-plaintext");
    let sealed = call(
        &emulator,
        "encrypt",
        json!({ "plaintext": canary, "context": base64("canary-context") }),
    )
    .await;
    let sealed = sealed["ciphertext"].as_str().unwrap().to_owned();
    for (action, body) in [
        ("encrypt", json!({ "plaintext": canary })),
        ("decrypt", json!({ "ciphertext": sealed })),
        ("re-encrypt", json!({ "ciphertext": [sealed] })),
        ("create-custom-key", json!({ "requestPlainKey": true })),
        ("sign", json!({ "data": canary })),
        ("verify", json!({ "data": canary, "signature": sealed })),
        ("token-set", json!({ "accessTokenHours": canary })),
        ("acl", json!({ "ipList": [canary] })),
    ] {
        let post = Call::post(format!("{}?q={canary}", path(&emulator, action)), body);
        for call in [
            post.clone(),
            post.clone().signed(&emulator),
            post.clone().token(tokens.access_token()),
            post.token(&canary),
        ] {
            for kind in [None, Some(FaultKind::BrokenBase64), Some(FaultKind::OtherPlaintext)] {
                if let Some(kind) = kind {
                    emulator.inject(Fault::new(kind).once()).await.unwrap();
                }
                let (_, answer) = call.send(&emulator).await;
                let refused = answer["code"] != "SUCCESS";
                assert!(!refused || !answer.to_string().contains(&canary), "{answer}");
            }
        }
    }
    let admin = reqwest::get(format!("{}/requests", emulator.admin_url().unwrap()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let log = keys(
        &emulator,
        "GET",
        &format!("/{}/activities?pageSize=200", emulator.key_tag()),
        Value::Null,
    )
    .data(&emulator)
    .await;
    let shown = format!("{shown_builder} {emulator:?} {:?} {admin} {log}", emulator.requests());
    for secret in [
        &canary,
        &sealed,
        &base64("canary-context"),
        "canary",
        tokens.access_token(),
        tokens.refresh_token(),
        emulator.secret_key(),
    ] {
        assert!(!shown.contains(secret), "{secret}");
    }
    assert!(shown.contains("re-encrypt"));
}
