//! What observers see: enough to follow a call, and no secret.
//!
//! A program of its own, because what is heard depends on all threads of a program.

#![cfg(all(feature = "kms", feature = "tracing"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "server.rs"]
#[allow(dead_code)]
mod server;

use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint, Key};
use serde_json::json;
use server::{Reply, Request, Server, success};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const REFRESH: &str = "CANARYrefresh";

fn encrypted() -> Reply {
    success(json!({ "ciphertext": "ncpkms:v1:AAAA" }))
}

fn unauthorized() -> Reply {
    Reply::json(
        401,
        &json!({ "error": { "errorCode": "200", "message": "Authentication Failed" } }),
    )
}

fn account(url: impl Into<String>) -> ClientBuilder {
    let credentials = Credentials::account("CANARYaccess", "CANARYsecret").unwrap();
    Client::builder().endpoint(Endpoint::Custom(url.into())).credentials(credentials)
}

fn key_of(builder: ClientBuilder) -> Key {
    builder.build().unwrap().key("tag").unwrap()
}

/// Writes down everything that this crate says.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ncp_envelope")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = self.0.lock().unwrap();
        text.push_str(span.metadata().name());
        span.record(&mut Line(&mut text));
        text.push('\n');
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = self.0.lock().unwrap();
        values.record(&mut Line(&mut text));
        text.push('\n');
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock().unwrap();
        event.record(&mut Line(&mut text));
        text.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn calls_are_told_without_secrets() {
    let listener = Listener::default();
    let _guard = tracing::subscriber::set_default(listener.clone());
    let echo = |request: &Request| {
        Reply::json(503, &json!({ "code": "X", "msg": format!("CANARY {}", request.body) }))
    };
    let server =
        Server::start(move |request, index| if index == 0 { echo(request) } else { encrypted() })
            .await;
    key_of(account(server.url())).encrypt(b"CANARYplaintext").await.unwrap();

    let server = Server::start(|request, _| match request.path.ends_with("/access-token") {
        true => success(json!({ "accessToken": "CANARYnew" })),
        false if request.header("x-ncp-ocapi-token") == Some("CANARYnew") => encrypted(),
        false => unauthorized(),
    })
    .await;
    let credentials = Credentials::token("CANARYold", Some(REFRESH.into())).unwrap();
    key_of(account(server.url()).credentials(credentials))
        .encrypt(b"CANARYplaintext")
        .await
        .unwrap();

    let server = Server::start(|_, _| Reply::hang_up()).await;
    let key = key_of(account(server.url()));
    for _ in 0..8 {
        key.encrypt(b"CANARYplaintext").await.unwrap_err();
    }
    let told = listener.0.lock().unwrap().clone();
    for want in [
        "kms_call operation=\"encrypt\" key=\"tag\"",
        "result=\"ok\"",
        "result=Unavailable",
        "attempt ended attempt=1 status=401 kind=Credentials",
        "attempt ended attempt=2 kind=Unavailable",
        "attempt is repeated, pause in ms",
        "tokens are refreshed whole_set=false",
        "circuit breaker opened",
    ] {
        assert!(told.contains(want), "{want}: {told}");
    }
    assert!(
        !told.contains("CANARY") && !told.contains("Q0FOQVJZ") && !told.contains("ncpkms:"),
        "{told}"
    );
}
