//! The client and the way to the service: proxies, and whom it trusts there.

use crate::connect_proxy::{ConnectProxy, Rule};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint, Key, Proxy};
use ncp_envelope::{Error, ErrorKind};
use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const USER: &str = "someone:CANARY%20pass";

async fn tls() -> Emulator {
    Emulator::builder().tls().start().await.unwrap()
}

fn to(url: &str, emulator: &Emulator) -> ClientBuilder {
    let credentials = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    let endpoint = Endpoint::Custom(url.to_owned());
    Client::builder().endpoint(endpoint).credentials(credentials).max_attempts(1)
}

fn through(proxy: impl Into<String>, emulator: &Emulator) -> ClientBuilder {
    let trusting =
        to(emulator.url(), emulator).root_certificate(emulator.certificate_pem().unwrap());
    trusting.proxy(Proxy::Url(proxy.into().into()))
}

fn key(builder: ClientBuilder, emulator: &Emulator) -> Key {
    builder.build().unwrap().key(emulator.key_tag()).unwrap()
}

/// What a call ends with that must not succeed, after a look at everything it shows.
async fn refusal(key: &Key) -> Error {
    let error = key.encrypt(b"x").await.unwrap_err();
    let mut shown = format!("{error} {error:?} {key:?} {:?}", key.client());
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        shown += &format!(" {inner} {inner:?}");
        source = inner.source();
    }
    let encoded = STANDARD.encode("someone:CANARY pass");
    assert!(!shown.contains("CANARY") && !shown.contains(&encoded), "{shown}");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    error
}

fn host(url: &str) -> &str {
    url.split("//").nth(1).unwrap()
}

#[tokio::test]
async fn calls_go_through_a_tunnel_that_sees_nothing_of_them() {
    let emulator = tls().await;
    let proxy = ConnectProxy::start(Rule::Connects).await;
    let key = key(through(proxy.url(), &emulator), &emulator);
    let ciphertext = key.encrypt(b"x").await.unwrap();
    assert_eq!(key.decrypt(&ciphertext).await.unwrap().expose_secret(), b"x");
    // One connection serves both calls, and a change has one of its own.
    let tunnel = format!("CONNECT {} HTTP/1.1", host(emulator.url()));
    assert_eq!(proxy.asked(), [tunnel.as_str()]);
    key.admin().rotate().await.unwrap();
    assert_eq!(proxy.asked(), [tunnel.as_str(), &tunnel]);
    assert_eq!(emulator.request_count(), 3);
}

#[tokio::test]
async fn a_proxys_password_goes_to_the_proxy_and_is_never_shown() {
    let emulator = tls().await;
    let known = format!("Basic {}", STANDARD.encode("someone:CANARY pass"));
    let proxy = ConnectProxy::start(Rule::For(known)).await;
    let builder = through(proxy.url_for(USER), &emulator);
    assert!(!format!("{builder:?}").contains("CANARY"), "{builder:?}");
    key(builder, &emulator).encrypt(b"x").await.unwrap();

    for url in [proxy.url(), proxy.url_for("someone:CANARYother")] {
        let error = refusal(&key(through(url, &emulator), &emulator)).await.to_string();
        let said = "cannot connect to the key service through the proxy: proxy authorization \
                    required; give the proxy's url with user name and password";
        assert!(error.ends_with(said), "{error}");
    }
    assert_eq!(emulator.request_count(), 1);
}

#[tokio::test]
async fn plain_http_goes_past_every_proxy() {
    let emulator = Emulator::start().await.unwrap();
    let proxy = ConnectProxy::start(Rule::Refuses(403)).await;
    let builder = to(emulator.url(), &emulator).proxy(Proxy::Url(proxy.url().into()));
    key(builder, &emulator).encrypt(b"x").await.unwrap();
    assert!(proxy.asked().is_empty());
    // A proxy that cannot be one is refused all the same.
    let builder = to(emulator.url(), &emulator).proxy(Proxy::Url("http://".into()));
    assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_fails_at_the_proxy_says_so() {
    let emulator = tls().await;
    let refuses = ConnectProxy::start(Rule::Refuses(403)).await;
    let error = refusal(&key(through(refuses.url(), &emulator), &emulator)).await.to_string();
    assert!(error.ends_with("through the proxy: unsuccessful"), "{error}");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = refusal(&key(through(gone, &emulator), &emulator)).await.to_string();
    assert!(error.contains("through the proxy: ") && error.contains("refused"), "{error}");

    let silent = ConnectProxy::start(Rule::Silent).await;
    let builder = through(silent.url(), &emulator).connect_timeout(Duration::from_millis(300));
    refusal(&key(builder, &emulator)).await;
    assert_eq!(emulator.request_count(), 0);
}

#[tokio::test]
async fn who_is_not_trusted_is_named_with_the_cause() {
    let emulator = tls().await;
    let error = refusal(&key(to(emulator.url(), &emulator), &emulator)).await.to_string();
    assert!(error.contains("invalid peer certificate: UnknownIssuer; no authority"), "{error}");

    // Another host's certificate.
    let address = host(emulator.url()).to_owned();
    let proxy = ConnectProxy::start(Rule::ConnectsTo(address)).await;
    let builder = to("https://kms.example", &emulator)
        .root_certificate(emulator.certificate_pem().unwrap())
        .proxy(Proxy::Url(proxy.url().into()));
    let error = refusal(&key(builder, &emulator)).await.to_string();
    assert!(error.contains("certificate not valid for name \"kms.example\""), "{error}");
    assert!(error.ends_with("it is another host's: check the endpoint and the proxy"), "{error}");
    assert_eq!(proxy.asked(), ["CONNECT kms.example:443 HTTP/1.1"]);

    // One that has ended.
    for (from, to_year, said) in
        [(2_000, 2_001, "certificate expired"), (4_000, 4_001, "certificate not valid yet")]
    {
        let (url, pem) = dated(from, to_year).await;
        let builder = to(&url, &emulator).root_certificate(pem);
        let error = refusal(&key(builder, &emulator)).await.to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.ends_with("or this machine's clock is wrong"), "{error}");
    }
    assert_eq!(emulator.request_count(), 0);
}

/// A server whose certificate is good from one year to another.
async fn dated(from: i32, to: i32) -> (String, String) {
    let signing = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    let certificate = params.self_signed(&signing).unwrap();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let body = STANDARD.encode(certificate.der());
    (url, format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"))
}

#[tokio::test]
async fn given_certificates_may_be_all_that_is_trusted_and_files_are_named() {
    let emulator = tls().await;
    let pem = emulator.certificate_pem().unwrap();
    let only = to(emulator.url(), &emulator).root_certificate(pem).root_certificates_only();
    key(only, &emulator).encrypt(b"x").await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("good.pem"), pem).unwrap();
    let file = to(emulator.url(), &emulator).root_certificate_file(path("good.pem"));
    key(file, &emulator).encrypt(b"x").await.unwrap();

    std::fs::write(path("bad.pem"), "CANARY").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(path("broken.pem"), broken).unwrap();
    for (name, kind) in [
        ("absent.pem", ErrorKind::Io),
        (".", ErrorKind::Io),
        ("bad.pem", ErrorKind::InvalidInput),
        ("broken.pem", ErrorKind::InvalidInput),
    ] {
        let builder = to(emulator.url(), &emulator).root_certificate(pem);
        let error = builder.root_certificate_file(path(name)).build().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(path(name).to_str().unwrap()), "{error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
    let none = to(emulator.url(), &emulator).root_certificates_only();
    assert_eq!(none.build().unwrap_err().kind(), ErrorKind::InvalidInput);
}
