//! The admin port.

use crate::client::{Call, NOW, encrypt};
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{Emulator, EmulatorClock};
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
