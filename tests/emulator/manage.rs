//! Key management over API 2.0.

use crate::client::{Call, NOW, base64, encrypt, frozen, keys};
use ncp_envelope::emulator::{Emulator, EmulatorClock};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: u64 = 24 * 3_600_000;
const HOUR: Duration = Duration::from_secs(3600);

/// A signed call on the key list or a key, at the clock's time.
fn at(
    emulator: &Emulator,
    clock: &EmulatorClock,
    method: &'static str,
    rest: &str,
    body: Value,
) -> Call {
    let now = crate::client::millis(clock.now());
    Call::new(method, format!("/kms/v1/keys{rest}"), body).signed_at(emulator, false, now)
}

async fn create(emulator: &Emulator, name: &str) -> Value {
    let body = json!({ "keyName": name, "keyType": "AES256", "isAutoRotation": false,
        "protectionType": "BASIC" });
    keys(emulator, "POST", "", body).data(emulator).await
}

#[tokio::test]
async fn keys_are_created_as_asked() {
    let (emulator, _) = frozen().await;
    let body = json!({
        "keyName": "my-key_1", "keyType": "AES256", "memo": "m", "isConvergent": true,
        "isAutoRotation": true, "rotationPeriod": 30,
        "protectionType": "COMMON_HSM",
    });
    let key = keys(&emulator, "POST", "", body).data(&emulator).await;
    let tag = key["keyTag"].as_str().unwrap();
    let expected = json!({
        "keyId": 2, "keyTag": tag, "keyName": "my-key_1", "nrn": key["nrn"],
        "baseUrl": emulator.url(), "keyType": "AES256",
        "status": "ENABLE", "keystoreId": 1, "currentVersion": 1, "protectionType": "COMMON_HSM",
        "memo": "m", "isConvergent": true,
        "isAutoRotation": true, "rotationPeriod": 30, "nextRotationDate": NOW + 30 * DAY,
        "registerDate": NOW, "destroyDate": null,
    });
    assert_eq!(key, expected);
    assert_eq!(
        keys(&emulator, "GET", &format!("/{tag}"), Value::Null).data(&emulator).await,
        expected
    );

    for key_type in ["RSA2048", "ECDSA"] {
        let name = key_type.to_lowercase();
        let key = keys(&emulator, "POST", "", json!({ "keyName": name, "keyType": key_type }))
            .data(&emulator)
            .await;
        assert_eq!(
            (&key["keyType"], &key["rotationPeriod"], &key["nextRotationDate"]),
            (&json!(key_type), &json!(90), &Value::Null)
        );
        let tag = key["keyTag"].as_str().unwrap();
        keys(&emulator, "POST", &format!("/{tag}/sign"), json!({ "data": "" }))
            .data(&emulator)
            .await;
    }
    let with = |field: &str, value: Value| {
        let mut body = json!({ "keyName": "fresh", "keyType": "AES256", "isAutoRotation": true });
        body[field] = value;
        body
    };
    for bad in [
        with("keyName", json!("ab")),
        with("keyName", json!("a234567890123456")),
        with("keyName", json!("1abc")),
        with("keyName", json!("my-key_1")),
        with("keyName", json!("k\u{e9}y")),
        with("keyName", Value::Null),
        with("keyType", json!("AES128")),
        with("memo", json!("x".repeat(101))),
        with("rotationPeriod", json!(0)),
        with("rotationPeriod", json!(731)),
        with("protectionType", json!("HSM")),
        with("isConvergent", json!("true")),
        json!({ "keyName": "fresh", "keyType": "RSA2048", "isConvergent": true }),
        json!([]),
    ] {
        keys(&emulator, "POST", "", bad).refused(&emulator, 400, "INVALID_REQUEST").await;
    }
    // Nothing of the failures is left.
    keys(&emulator, "POST", "", with("rotationPeriod", json!(730))).data(&emulator).await;
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let (emulator, _) = frozen().await;
    for name in ["one", "two", "three", "four"] {
        create(&emulator, name).await;
    }
    let list = |query: &str| keys(&emulator, "GET", query, Value::Null);
    let names = |data: &Value| -> Vec<String> {
        data["keyList"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["keyName"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = list("").data(&emulator).await;
    assert_eq!(names(&all), ["emulator-key", "one", "two", "three", "four"]);
    assert_eq!(
        (&all["currentPageNo"], &all["totalPageNo"], &all["totalCount"]),
        (&json!(1), &json!(1), &json!(5))
    );
    let second = list("?pageNo=2&pageSize=2").data(&emulator).await;
    assert_eq!(names(&second), ["two", "three"]);
    assert_eq!(
        (&second["currentPageNo"], &second["totalPageNo"], &second["totalCount"]),
        (&json!(2), &json!(3), &json!(5))
    );
    assert_eq!(names(&list("?pageNo=9").data(&emulator).await), [""; 0]);
    for bad in ["?pageNo=0", "?pageSize=201", "?pageSize=x"] {
        list(bad).refused(&emulator, 400, "INVALID_REQUEST").await;
    }
    // The account only.
    let token = emulator.access_token().await.unwrap();
    Call::new("GET", "/kms/v1/keys", Value::Null).token(token).stopped(&emulator, 401, "200").await;
}

#[tokio::test]
async fn keys_are_renamed_disabled_and_enabled() {
    let (emulator, clock) = frozen().await;
    let tag = create(&emulator, "old").await["keyTag"].as_str().unwrap().to_owned();
    let call = |method, rest: &str, body| keys(&emulator, method, &format!("/{tag}{rest}"), body);
    let renamed = call("PUT", "/name", json!({ "keyName": "new" })).data(&emulator).await;
    assert_eq!(renamed, json!({ "keyTag": tag, "keyName": "new" }));
    call("PUT", "/name", json!({ "keyName": "new" })).data(&emulator).await;
    for bad in [json!({ "keyName": "emulator-key" }), json!({ "keyName": "x" }), json!({})] {
        call("PUT", "/name", bad).refused(&emulator, 400, "INVALID_REQUEST").await;
    }
    let memo =
        call("PUT", "/memo", json!({ "memo": "\u{ac00}".repeat(100) })).data(&emulator).await;
    assert_eq!(memo["memo"], "\u{ac00}".repeat(100));
    call("PUT", "/memo", json!({ "memo": "x".repeat(101) }))
        .refused(&emulator, 400, "INVALID_REQUEST")
        .await;

    clock.advance(Duration::from_millis(7));
    let disabled = call("POST", "/disable", Value::Null).data(&emulator).await;
    assert_eq!(disabled, json!({ "keyTag": tag, "status": "DISABLE", "statusDate": NOW + 7 }));
    for (rest, body) in [
        ("/encrypt", json!({ "plaintext": "" })),
        ("/rotate", Value::Null),
        ("/versions/1/enable", Value::Null),
    ] {
        call("POST", rest, body).refused(&emulator, 400, "INVALID_STATUS").await;
    }
    assert_eq!(call("POST", "/enable", Value::Null).data(&emulator).await["status"], "ENABLE");
    call("POST", "/encrypt", json!({ "plaintext": "" })).data(&emulator).await;

    for (method, rest) in [
        ("GET", ""),
        ("POST", "/enable"),
        ("DELETE", ""),
        ("GET", "/versions"),
        ("GET", "/activities"),
        ("PUT", "/memo"),
    ] {
        keys(&emulator, method, &format!("/none{rest}"), Value::Null)
            .refused(&emulator, 404, "NOT_FOUND")
            .await;
    }
}

#[tokio::test]
async fn versions_come_and_go() {
    let (emulator, clock) = frozen().await;
    let tag = emulator.key_tag();
    let call = |method, rest: &str| keys(&emulator, method, &format!("/{tag}{rest}"), Value::Null);
    let old = encrypt(&emulator).signed(&emulator).data(&emulator).await["ciphertext"].take();
    clock.advance(Duration::from_millis(3));
    assert_eq!(
        call("POST", "/rotate").data(&emulator).await,
        json!({ "keyTag": tag, "version": 2, "rotatedDate": NOW + 3 })
    );
    clock.advance(Duration::from_millis(3));
    let disabled = call("POST", "/versions/1/disable").data(&emulator).await;
    assert_eq!(disabled, json!({ "version": 1, "status": "DISABLE", "statusDate": NOW + 6 }));
    let expected = json!({ "keyTag": tag, "currentVersion": 2, "versionList": [
        { "version": 2, "status": "ENABLE", "statusDate": NOW + 3, "rotatedDate": NOW + 3 },
        { "version": 1, "status": "DISABLE", "statusDate": NOW + 6, "rotatedDate": NOW },
    ]});
    assert_eq!(call("GET", "/versions").data(&emulator).await, expected);
    let decrypt = keys(&emulator, "POST", &format!("/{tag}/decrypt"), json!({ "ciphertext": old }));
    decrypt.refused(&emulator, 400, "INVALID_STATUS").await;
    call("POST", "/disable").data(&emulator).await;
    call("POST", "/enable").data(&emulator).await;
    decrypt.refused(&emulator, 400, "INVALID_STATUS").await;
    assert_eq!(call("POST", "/versions/1/enable").data(&emulator).await["status"], "ENABLE");
    decrypt.data(&emulator).await;
    for (rest, status, code) in [
        ("/versions/2/disable", 400, "INVALID_REQUEST"),
        ("/versions/3/disable", 404, "NOT_FOUND"),
        ("/versions/0/enable", 400, "INVALID_REQUEST"),
        ("/versions/x/enable", 400, "INVALID_REQUEST"),
        ("/versions/01/enable", 400, "INVALID_REQUEST"),
    ] {
        call("POST", rest).refused(&emulator, status, code).await;
    }
    for version in 3..=100 {
        assert_eq!(emulator.rotate_key(tag).await.unwrap(), version);
    }
    call("POST", "/rotate").refused(&emulator, 400, "INVALID_STATUS").await;
}

#[tokio::test]
async fn keys_rotate_by_themselves() {
    let (emulator, clock) = frozen().await;
    let tag = emulator.key_tag().to_owned();
    let call =
        |method, rest: &str, body| at(&emulator, &clock, method, &format!("/{tag}{rest}"), body);
    call("PUT", "/rotation-period", json!({ "rotationPeriod": 5 }))
        .refused(&emulator, 400, "INVALID_STATUS")
        .await;
    let on = call("POST", "/enable-auto-rotation", Value::Null).data(&emulator).await;
    assert_eq!(
        on,
        json!({ "keyTag": tag, "isAutoRotation": true, "rotationPeriod": 90,
            "nextRotationDate": NOW + 90 * DAY })
    );
    let period =
        call("PUT", "/rotation-period", json!({ "rotationPeriod": 5 })).data(&emulator).await;
    assert_eq!(
        period,
        json!({ "keyTag": tag, "rotationPeriod": 5, "nextRotationDate": NOW + 5 * DAY })
    );
    for bad in [
        json!({ "rotationPeriod": 0 }),
        json!({ "rotationPeriod": 731 }),
        json!({ "rotationPeriod": "5" }),
        json!({}),
    ] {
        call("PUT", "/rotation-period", bad).refused(&emulator, 400, "INVALID_REQUEST").await;
    }
    let version = async || {
        let sealed =
            call("POST", "/encrypt", json!({ "plaintext": base64("x") })).data(&emulator).await;
        sealed["ciphertext"].as_str().unwrap().split(':').nth(1).unwrap().to_owned()
    };
    // A rotation by hand does not move the date.
    clock.advance(HOUR * 24);
    call("POST", "/rotate", Value::Null).data(&emulator).await;
    clock.advance(HOUR * 24 * 4 - Duration::from_millis(1));
    assert_eq!(version().await, "v2");
    clock.advance(Duration::from_millis(1));
    assert_eq!(version().await, "v3");
    clock.advance(HOUR * 24 * 10);
    assert_eq!(version().await, "v5");
    let list = call("GET", "/versions", Value::Null).data(&emulator).await;
    assert_eq!(list["versionList"][1]["rotatedDate"], NOW + 10 * DAY);
    assert_eq!(
        call("GET", "", Value::Null).data(&emulator).await["nextRotationDate"],
        NOW + 20 * DAY
    );
    // Both ways of asking for the key see it.
    clock.advance(HOUR * 24 * 5);
    assert_eq!(emulator.rotate_key(&tag).await.unwrap(), 7);

    let off = call("POST", "/disable-auto-rotation", Value::Null).data(&emulator).await;
    assert_eq!(off, json!({ "keyTag": tag, "isAutoRotation": false }));
    clock.advance(HOUR * 24 * 365);
    assert_eq!(version().await, "v7");
}

#[tokio::test]
async fn deletion_waits_72_hours_and_can_be_called_off() {
    let (emulator, clock) = frozen().await;
    let tag = create(&emulator, "doomed").await["keyTag"].as_str().unwrap().to_owned();
    let call =
        |method, rest: &str| at(&emulator, &clock, method, &format!("/{tag}{rest}"), Value::Null);
    let encrypt =
        || at(&emulator, &clock, "POST", &format!("/{tag}/encrypt"), json!({ "plaintext": "" }));
    call("DELETE", "").refused(&emulator, 400, "INVALID_STATUS").await;
    call("POST", "/cancel-deletion").refused(&emulator, 400, "INVALID_STATUS").await;
    let revoked = call("POST", "/request-deletion").data(&emulator).await;
    assert_eq!(revoked, json!({ "keyTag": tag, "status": "REVOKE", "statusDate": NOW }));
    encrypt().refused(&emulator, 400, "INVALID_STATUS").await;
    for rest in ["/enable", "/disable", "/rotate", "/request-deletion"] {
        call("POST", rest).refused(&emulator, 400, "INVALID_STATUS").await;
    }
    assert_eq!(call("GET", "").data(&emulator).await["destroyDate"], NOW + 3 * DAY);
    assert_eq!(call("POST", "/cancel-deletion").data(&emulator).await["status"], "DISABLE");
    encrypt().refused(&emulator, 400, "INVALID_STATUS").await;
    call("POST", "/enable").data(&emulator).await;
    encrypt().data(&emulator).await;

    clock.advance(HOUR);
    call("POST", "/request-deletion").data(&emulator).await;
    clock.advance(HOUR * 72 - Duration::from_millis(1));
    call("GET", "").data(&emulator).await;
    clock.advance(Duration::from_millis(1));
    call("GET", "").refused(&emulator, 404, "NOT_FOUND").await;
    encrypt().refused(&emulator, 404, "NOT_FOUND").await;
    let left = at(&emulator, &clock, "GET", "", Value::Null).data(&emulator).await;
    assert_eq!(left["totalCount"], 1);
}

#[tokio::test]
async fn a_key_that_is_to_go_may_be_deleted_at_once() {
    let (emulator, _) = frozen().await;
    let first = create(&emulator, "again").await;
    let tag = first["keyTag"].as_str().unwrap();
    let call = |method, rest: &str, body| keys(&emulator, method, &format!("/{tag}{rest}"), body);
    let sealed =
        call("POST", "/encrypt", json!({ "plaintext": "" })).data(&emulator).await["ciphertext"]
            .take();
    call("POST", "/request-deletion", Value::Null).data(&emulator).await;
    assert_eq!(call("DELETE", "", Value::Null).data(&emulator).await, Value::Null);
    call("GET", "", Value::Null).refused(&emulator, 404, "NOT_FOUND").await;
    // A key of the same name is another key, and has no past.
    let second = create(&emulator, "again").await;
    assert_ne!(second["keyId"], first["keyId"]);
    call("POST", "/decrypt", json!({ "ciphertext": sealed }))
        .refused(&emulator, 400, "INVALID_REQUEST")
        .await;
    assert_eq!(
        call("GET", "/activities?keyword=encrypt", Value::Null).data(&emulator).await["totalCount"],
        0
    );

    // The ready-made key may go too.
    let ready = emulator.key_tag();
    for (method, rest) in [("POST", "/request-deletion"), ("DELETE", "")] {
        keys(&emulator, method, &format!("/{ready}{rest}"), Value::Null).data(&emulator).await;
    }
    encrypt(&emulator).signed(&emulator).refused(&emulator, 404, "NOT_FOUND").await;
}

/// Every byte of a good body and query, changed in several ways, gives an answer and never a
/// failure of the emulator's own.
#[tokio::test]
async fn no_body_or_query_makes_it_fail() {
    let (emulator, _) = frozen().await;
    let tag = emulator.key_tag();
    keys(&emulator, "POST", &format!("/{tag}/enable-auto-rotation"), Value::Null)
        .data(&emulator)
        .await;
    let create = json!({ "keyName": "name", "keyType": "AES256", "memo": "m", "isConvergent": true,
        "rotationPeriod": 30 });
    for (method, rest, body) in [
        ("POST", String::new(), create),
        ("PUT", format!("/{tag}/name"), json!({ "keyName": "name" })),
        ("PUT", format!("/{tag}/memo"), json!({ "memo": "m" })),
        ("PUT", format!("/{tag}/rotation-period"), json!({ "rotationPeriod": 30 })),
        ("POST", format!("/{tag}/acl"), json!({ "ipList": ["10.0.0.1"] })),
        (
            "POST",
            format!("/{tag}/create-custom-key"),
            json!({ "requestPlainKey": true, "bits": 256, "context": "" }),
        ),
        ("GET", "?pageNo=1&pageSize=9".into(), Value::Null),
        ("GET", format!("/{tag}/activities?keyword=%20&timestampFrom=1"), Value::Null),
    ] {
        let in_query = rest.split_once('?').map_or("", |(_, query)| query).to_owned();
        let good = if body.is_null() { in_query.clone() } else { body.to_string() };
        for place in 0..good.len() {
            for byte in ["\"", "%", "9"] {
                let mut changed = good.clone();
                changed.replace_range(place..=place, byte);
                let call = if body.is_null() {
                    // What cannot stand in a query at all is not for this test.
                    let changed = changed.replace('"', "&");
                    keys(&emulator, method, &rest.replace(&in_query, &changed), Value::Null)
                } else {
                    Call { body: changed, ..keys(&emulator, method, &rest, Value::Null) }
                };
                let (status, answer) = call.send(&emulator).await;
                assert!([200, 400].contains(&status), "{rest} {} {answer}", call.body);
            }
        }
    }
}
