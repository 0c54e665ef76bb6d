//! The admin port.

use crate::client::{Call, NOW, encrypt, keys};
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{Emulator, EmulatorClock, Fault, FaultKind};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

async fn start() -> Emulator {
    let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW));
    Emulator::builder().clock(clock).admin("127.0.0.1:0".parse().unwrap()).start().await.unwrap()
}

async fn admin(emulator: &Emulator, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let url = format!("{}{path}", emulator.admin_url().unwrap());
    let response =
        reqwest::Client::new().request(method, url).body(body.to_string()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn faults_come_and_go_by_http() {
    let emulator = start().await;
    let call = encrypt(&emulator).signed(&emulator);
    let fault = json!({ "kind": "status", "status": 429, "shape": "gateway", "retryAfter": 3,
        "action": "encrypt", "times": 1 });
    assert_eq!(admin(&emulator, "POST", "/faults", fault).await, (200, json!({ "id": 1 })));
    call.stopped(&emulator, 429, "410").await;
    call.data(&emulator).await;

    for (id, kind) in (2..).zip([
        json!({ "kind": "reset-before" }),
        json!({ "kind": "reset-after" }),
        json!({ "kind": "silent" }),
        json!({ "kind": "slow-header", "millis": 1 }),
        json!({ "kind": "slow-body" }),
        json!({ "kind": "cut-body" }),
        json!({ "kind": "wrong-length" }),
        json!({ "kind": "not-json" }),
        json!({ "kind": "missing-field" }),
        json!({ "kind": "broken-base64" }),
        json!({ "kind": "other-plaintext" }),
        json!({ "kind": "stale-version" }),
        json!({ "kind": "redirect", "location": "http://127.0.0.1:1/" }),
        json!({ "kind": "clock-shift", "millis": -1 }),
        json!({ "kind": "latency", "millis": 1, "key": "tag", "probability": 0.5 }),
        json!({ "kind": "refused" }),
        json!({ "kind": "code", "code": "Failed", "action": "metadata-keys" }),
        json!({ "kind": "status", "status": 404, "action": "metadata-token" }),
    ]) {
        assert_eq!(
            admin(&emulator, "POST", "/faults", kind.clone()).await,
            (200, json!({ "id": id })),
            "{kind}"
        );
        let (_, list) = admin(&emulator, "GET", "/faults", Value::Null).await;
        assert_eq!(
            (list.as_array().unwrap().len(), &list[0]["kind"], &list[0]["id"]),
            (1, &kind["kind"], &json!(id))
        );
        assert_eq!(admin(&emulator, "DELETE", &format!("/faults/{id}"), Value::Null).await.0, 200);
        assert_eq!(admin(&emulator, "DELETE", &format!("/faults/{id}"), Value::Null).await.0, 404);
    }
    call.data(&emulator).await;
    admin(&emulator, "POST", "/faults", json!({ "kind": "not-json" })).await;
    assert_eq!(admin(&emulator, "DELETE", "/faults", Value::Null).await.0, 200);
    call.data(&emulator).await;
    for bad in [
        json!({}),
        json!({ "kind": "dance" }),
        json!({ "kind": "status" }),
        json!({ "kind": "status", "status": 200 }),
        json!({ "kind": "silent", "more": 1 }),
        json!({ "kind": "silent", "action": "dance" }),
        json!({ "kind": "slow-body", "millis": -1 }),
        json!({ "kind": "refused", "times": 1 }),
        json!({ "kind": "code", "action": "metadata-keys" }),
        json!({ "kind": "code", "code": "Failed" }),
        json!({ "kind": "stale-version", "action": "metadata-keys" }),
        json!([]),
    ] {
        assert_eq!(admin(&emulator, "POST", "/faults", bad.clone()).await.0, 400, "{bad}");
    }
    assert_eq!(admin(&emulator, "GET", "/nothing", Value::Null).await.0, 404);
}

#[tokio::test]
async fn clock_latency_and_record_are_there_too() {
    let emulator = start().await;
    assert_eq!(
        admin(&emulator, "POST", "/clock", json!({ "millis": 86_400_000 })).await.1["now"],
        NOW + 86_400_000
    );
    encrypt(&emulator).signed(&emulator).stopped(&emulator, 401, "200").await;
    assert_eq!(
        admin(&emulator, "POST", "/clock", json!({ "millis": -86_400_000 })).await.1["now"],
        NOW
    );
    encrypt(&emulator).signed(&emulator).data(&emulator).await;
    assert_eq!(admin(&emulator, "PUT", "/latency", json!({ "millis": 1 })).await.0, 200);
    let (_, requests) = admin(&emulator, "GET", "/requests", Value::Null).await;
    assert_eq!(requests.as_array().unwrap().len(), 2);
    assert_eq!((&requests[1]["action"], &requests[1]["status"]), (&json!("encrypt"), &json!(200)));
    assert!(!requests.to_string().contains("dGVzdA"));
    let (_, none) = admin(&emulator, "GET", "/metadata-requests", Value::Null).await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn the_clock_is_set_as_well_as_moved() {
    let emulator = start().await;
    let (_, clock) = admin(&emulator, "GET", "/clock", Value::Null).await;
    assert_eq!(clock["now"], NOW);
    let later = NOW + 400_000;
    for (now, accepted) in [(later, false), (NOW, true)] {
        let (_, clock) = admin(&emulator, "PUT", "/clock", json!({ "now": now })).await;
        assert_eq!(clock["now"], now);
        let (status, _) = encrypt(&emulator).signed(&emulator).send(&emulator).await;
        assert_eq!(status == 200, accepted);
    }
    for bad in [json!({}), json!({ "now": "today" }), json!({ "millis": 1 })] {
        assert_eq!(admin(&emulator, "PUT", "/clock", bad).await.0, 400);
    }
}

#[tokio::test]
async fn a_reset_is_a_new_start_with_the_same_credentials() {
    let emulator = start().await;
    let token = emulator.access_token().await.unwrap();
    let by_token = encrypt(&emulator).token(token);
    by_token.data(&emulator).await;
    let other = emulator.create_key("other").await.unwrap();
    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    keys(&emulator, "DELETE", &format!("/{}/token-generator", emulator.key_tag()), Value::Null)
        .data(&emulator)
        .await;
    by_token.refused(&emulator, 401, "UNAUTHORIZED").await;
    admin(&emulator, "POST", "/faults", json!({ "kind": "refused" })).await;
    admin(&emulator, "POST", "/clock", json!({ "millis": 86_400_000 })).await;

    let (status, answer) = admin(&emulator, "POST", "/reset", Value::Null).await;
    assert_eq!((status, answer), (200, json!({ "keys": "reset" })));
    assert_eq!(emulator.request_count(), 0);
    assert_eq!(admin(&emulator, "GET", "/faults", Value::Null).await.1, json!([]));
    by_token.data(&emulator).await;
    let sealed = encrypt(&emulator).signed(&emulator).data(&emulator).await;
    assert!(sealed["ciphertext"].as_str().unwrap().starts_with("ncpkms:v1:"));
    let gone = keys(&emulator, "GET", &format!("/{other}"), Value::Null);
    gone.refused(&emulator, 404, "NOT_FOUND").await;
    let log = format!("/{}/activities", emulator.key_tag());
    let log = keys(&emulator, "GET", &log, Value::Null).data(&emulator).await;
    assert_eq!(log["activityLogList"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_reset_leaves_a_state_directory_alone() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::builder()
        .state_dir(dir.path())
        .admin("127.0.0.1:0".parse().unwrap())
        .start()
        .await
        .unwrap();
    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    let (_, answer) = admin(&emulator, "POST", "/reset", Value::Null).await;
    assert_eq!(answer, json!({ "keys": "kept" }));
    assert_eq!(emulator.rotate_key(emulator.key_tag()).await.unwrap(), 3);
}

#[tokio::test]
async fn health_is_told_on_both_ports_and_counts_for_nothing() {
    let emulator = start().await;
    emulator.inject(Fault::new(FaultKind::NotJson)).await.unwrap();
    let healthy = (200, json!({ "status": "ok" }));
    assert_eq!(admin(&emulator, "GET", "/health", Value::Null).await, healthy);
    let health = Call::new("GET", "/health", Value::Null);
    assert_eq!(health.send(&emulator).await, healthy);
    assert_eq!(emulator.request_count(), 0);
    emulator.clear_faults().await;
    Call::post("/health", Value::Null).stopped(&emulator, 404, "300").await;
}

#[tokio::test]
async fn only_this_machine_is_heard_and_no_web_page() {
    let public = Emulator::builder()
        .admin("0.0.0.0:0".parse().unwrap())
        .allow_remote()
        .start()
        .await
        .unwrap_err();
    assert_eq!(public.kind(), ErrorKind::InvalidInput);
    assert_eq!(Emulator::start().await.unwrap().admin_url(), None);
    let emulator = start().await;
    let url = format!("{}/faults", emulator.admin_url().unwrap());
    for (name, value) in [
        ("origin", "http://example.com"),
        ("host", "example.com"),
        ("host", "127.0.0.1.example.com:80"),
    ] {
        let answer = reqwest::Client::new().get(&url).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name} {value}");
    }
    // The service's own port knows nothing of this.
    Call::new("GET", "/faults", Value::Null).stopped(&emulator, 404, "300").await;
}
