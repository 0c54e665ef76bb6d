//! The client against an emulator that speaks TLS, and against those that it must not trust.

#![cfg(all(feature = "kms", feature = "emulator", feature = "tokio"))]

use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
use ncp_envelope::kms::{Api, Client, ClientBuilder, Credentials, Endpoint, Key, SignatureVersion};
use ncp_envelope::wrap::conformance;
use ncp_envelope::{Error, ErrorKind};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn start() -> Emulator {
    Emulator::builder().tls().start().await.unwrap()
}

fn account(emulator: &Emulator) -> Credentials {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    account.with_api_gateway_key(emulator.apigw_api_key()).unwrap()
}

fn builder(emulator: &Emulator, url: &str) -> ClientBuilder {
    Client::builder()
        .endpoint(Endpoint::Custom(url.to_owned()))
        .credentials(account(emulator))
        .max_attempts(1)
}

/// One that trusts `trusted`.
fn trusting(emulator: &Emulator, trusted: &Emulator) -> ClientBuilder {
    builder(emulator, emulator.url()).root_certificate(trusted.certificate_pem().unwrap())
}

fn key(builder: ClientBuilder, emulator: &Emulator) -> Key {
    builder.build().unwrap().key(emulator.key_tag()).unwrap()
}

/// What a call ends with that must not succeed.
async fn refusal(key: &Key) -> Error {
    let error = key.encrypt(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    error
}

#[tokio::test]
async fn every_row_conforms_over_tls() {
    let emulator = start().await;
    assert!(emulator.url().starts_with("https://127.0.0.1:"), "{}", emulator.url());
    let rows = [
        (Api::V1, SignatureVersion::V1),
        (Api::V1, SignatureVersion::V2),
        (Api::V2, SignatureVersion::V2),
    ];
    for (api, signature) in rows {
        let key = key(trusting(&emulator, &emulator).api(api).signature(signature), &emulator);
        conformance::check(&key)
            .await
            .unwrap_or_else(|error| panic!("{api:?}, {signature:?}: {error}"));
    }
    let token = Credentials::token(emulator.access_token().await.unwrap(), None).unwrap();
    conformance::check(&key(trusting(&emulator, &emulator).credentials(token), &emulator))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_certificate_is_for_this_machines_names_and_goes_with_the_connection() {
    let emulator = start().await;
    let connection = emulator.connection().await.unwrap();
    assert_eq!(connection.certificate_pem.as_deref(), emulator.certificate_pem());
    let json: serde_json::Value = serde_json::from_str(&connection.to_json().unwrap()).unwrap();
    assert_eq!(json["certificate_pem"].as_str(), emulator.certificate_pem());
    let pem = connection.certificate_pem.unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && !pem.contains("PRIVATE"));
    let by_name = emulator.url().replace("127.0.0.1", "localhost");
    key(builder(&emulator, &by_name).root_certificate(&pem), &emulator)
        .encrypt(b"x")
        .await
        .unwrap();

    let plain = Emulator::start().await.unwrap();
    assert!(plain.certificate_pem().is_none() && plain.url().starts_with("http://"));
    assert!(!plain.connection().await.unwrap().to_json().unwrap().contains("certificate_pem"));

    // Of several certificates each is trusted, whether they come in one text or one by one.
    let other = start().await;
    let both = format!("{}{pem}", other.certificate_pem().unwrap());
    key(builder(&emulator, emulator.url()).root_certificate(both), &emulator)
        .encrypt(b"x")
        .await
        .unwrap();
    key(trusting(&emulator, &other).root_certificate(&pem), &emulator).encrypt(b"x").await.unwrap();
}

#[tokio::test]
async fn whoever_does_not_trust_the_certificate_sends_nothing() {
    let (emulator, other) = (start().await, start().await);
    for builder in [builder(&emulator, emulator.url()), trusting(&emulator, &other)] {
        let error = refusal(&key(builder, &emulator)).await;
        assert!(
            error
                .to_string()
                .contains("cannot connect to the key service: invalid peer certificate"),
            "{error}"
        );
    }
    assert_eq!(emulator.request_count(), 0);
}

#[tokio::test]
async fn plain_http_and_tls_do_not_meet() {
    let emulator = start().await;
    let plain_url = emulator.url().replace("https://", "http://");
    let error = refusal(&key(builder(&emulator, &plain_url), &emulator)).await;
    assert!(error.to_string().contains("the connection to the key service failed: "), "{error}");
    assert_eq!(emulator.request_count(), 0);

    // Trust that would not be used is refused before any call.
    let certificate = emulator.certificate_pem().unwrap();
    let error = builder(&emulator, &plain_url).root_certificate(certificate).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    let plain = Emulator::start().await.unwrap();
    let url = plain.url().replace("http://", "https://");
    let error = refusal(&key(builder(&plain, &url).root_certificate(certificate), &plain)).await;
    assert!(error.to_string().contains("cannot connect to the key service: "), "{error}");
    assert_eq!(plain.request_count(), 0);
}

#[tokio::test]
async fn a_handshake_that_stalls_or_fails_holds_up_nobody() {
    let emulator = start().await;
    let address = emulator.url().strip_prefix("https://").unwrap();
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut garbled = TcpStream::connect(address).await.unwrap();
    garbled.write_all(&[0xff; 64]).await.unwrap();
    let mut rest = Vec::new();
    let _ = garbled.read_to_end(&mut rest).await;
    key(trusting(&emulator, &emulator), &emulator).encrypt(b"x").await.unwrap();
    // Nor does it hold up the end.
    let started = Instant::now();
    emulator.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn faults_below_http_are_the_same_with_tls() {
    let plain = Emulator::start().await.unwrap();
    let tls = start().await;
    let pause = Duration::from_millis(2);
    for kind in [FaultKind::SlowHeader(pause), FaultKind::SlowBody(pause)] {
        tls.inject(Fault::new(kind.clone()).once()).await.unwrap();
        let key = key(trusting(&tls, &tls), &tls);
        let ciphertext =
            key.encrypt(b"x").await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(key.decrypt(&ciphertext).await.unwrap().expose_secret(), b"x");
    }
    for kind in [
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
        FaultKind::CutBody,
        FaultKind::WrongLength,
        FaultKind::Silent,
        FaultKind::Refused,
        FaultKind::NotJson,
    ] {
        let mut ends = Vec::new();
        for (emulator, builder) in
            [(&plain, builder(&plain, plain.url())), (&tls, trusting(&tls, &tls))]
        {
            let key = key(builder.attempt_timeout(Duration::from_millis(500)), emulator);
            // On a connection that has been used.
            key.encrypt(b"x").await.unwrap();
            emulator.inject(Fault::new(kind.clone())).await.unwrap();
            let before = emulator.request_count();
            let error = key.encrypt(b"x").await.unwrap_err();
            // A reset has several names, depending on what the client was doing.
            let reset = matches!(kind, FaultKind::ResetBefore | FaultKind::ResetAfter);
            let text = error.to_string().replace(emulator.key_tag(), "TAG");
            let text = (!reset).then(|| text.replace(emulator.url(), "URL"));
            ends.push((error.kind(), text, emulator.request_count() - before));
            emulator.clear_faults().await;
            key.encrypt(b"x").await.unwrap_or_else(|error| panic!("after {kind:?}: {error}"));
        }
        assert_eq!(ends[0], ends[1], "{kind:?}");
    }
}
