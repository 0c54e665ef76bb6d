//! Account authentication, both signature versions.

use crate::client::{Call, NOW, base64, encrypt, frozen, path, sign};
use ncp_envelope::emulator::{AuthRow, Emulator, EmulatorClock};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

/// The rows: path prefix, whether signature v1.
const ROWS: [(&str, bool); 3] = [("/kms/v1/keys", false), ("/keys/v2", false), ("/keys/v1", true)];

fn call(emulator: &Emulator, prefix: &str) -> Call {
    Call::post(
        format!("{prefix}/{}/encrypt", emulator.key_tag()),
        json!({ "plaintext": "dGVzdA==" }),
    )
}

#[tokio::test]
async fn every_row_accepts_the_account() {
    let (emulator, _) = frozen().await;
    for (prefix, v1) in ROWS {
        let data = call(&emulator, prefix).signed_at(&emulator, v1, NOW).data(&emulator).await;
        assert!(data["ciphertext"].as_str().unwrap().starts_with("ncpkms:v1:"));
        let row = if v1 { AuthRow::AccountV1 } else { AuthRow::AccountV2 };
        assert_eq!(emulator.requests().last().unwrap().auth, row);
    }
}

#[tokio::test]
async fn every_row_refuses_what_is_not_signed_so() {
    let (emulator, _) = frozen().await;
    for (prefix, v1) in ROWS {
        let good = call(&emulator, prefix).signed_at(&emulator, v1, NOW);
        let name = if v1 { "x-ncp-apigw-signature-v1" } else { "x-ncp-apigw-signature-v2" };
        let other = if v1 { "x-ncp-apigw-signature-v2" } else { "x-ncp-apigw-signature-v1" };
        let signature = good.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        let api_key = v1.then(|| emulator.apigw_api_key());
        let sign = |secret: &str, method, target: &str| {
            sign(secret, method, target, &NOW.to_string(), api_key, emulator.access_key())
        };
        let mut bad = vec![
            ("wrong secret", good.clone().header(name, sign("wrong", "POST", &good.target))),
            (
                "other method signed",
                good.clone().header(name, sign(emulator.secret_key(), "GET", &good.target)),
            ),
            (
                "lower-case method signed",
                good.clone().header(name, sign(emulator.secret_key(), "post", &good.target)),
            ),
            (
                "other path signed",
                good.clone().header(
                    name,
                    sign(emulator.secret_key(), "POST", &format!("{}/", good.target)),
                ),
            ),
            ("query not signed", Call { target: format!("{}?a=b", good.target), ..good.clone() }),
            (
                "other action",
                Call { target: good.target.replace("encrypt", "decrypt"), ..good.clone() },
            ),
            ("no signature", good.clone().without(name)),
            (
                "signature of the other version",
                good.clone().without(name).header(other, signature.clone()),
            ),
            ("signature not base64", good.clone().header(name, "?")),
            (
                "signature without padding",
                good.clone().header(name, signature.trim_end_matches('=')),
            ),
            ("no timestamp", good.clone().without("x-ncp-apigw-timestamp")),
            (
                "other timestamp",
                good.clone().header("x-ncp-apigw-timestamp", (NOW + 1).to_string()),
            ),
            ("seconds", call(&emulator, prefix).signed_at(&emulator, v1, NOW / 1000)),
            ("not a number", call(&emulator, prefix).signed_at(&emulator, v1, "now")),
            ("no access key", good.clone().without("x-ncp-iam-access-key")),
            ("other access key", good.clone().header("x-ncp-iam-access-key", "other")),
            ("nothing", call(&emulator, prefix)),
        ];
        if v1 {
            bad.push(("no API gateway key", good.clone().without("x-ncp-apigw-api-key")));
            bad.push((
                "other API gateway key",
                good.clone().header("x-ncp-apigw-api-key", "other"),
            ));
        }
        let mut twice = good.clone();
        twice.headers.push((name, signature));
        bad.push(("signature twice", twice));

        for (what, call) in bad {
            let before = emulator.request_count();
            call.stopped(&emulator, 401, "200").await;
            assert_eq!(emulator.request_count(), before + 1, "{prefix} {what}");
        }
        good.data(&emulator).await;
    }
}

#[tokio::test]
async fn a_query_is_part_of_what_is_signed() {
    let (emulator, _) = frozen().await;
    for query in ["?", "?b=2&a=1", "?a=%7E&a=~", "?x=/../y"] {
        let call = Call::post(path(&emulator, "encrypt") + query, json!({ "plaintext": "" }))
            .signed(&emulator);
        call.data(&emulator).await;
    }
}

#[tokio::test]
async fn the_path_is_checked_as_sent() {
    let (emulator, _) = frozen().await;
    // Signed as sent: past authentication, and then there is no such key.
    let sent = Call::post("/kms/v1/keys/%41%2f/encrypt", json!({}));
    sent.clone().signed(&emulator).refused(&emulator, 404, "NOT_FOUND").await;
    let decoded = sign(
        emulator.secret_key(),
        "POST",
        "/kms/v1/keys/A//encrypt",
        &NOW.to_string(),
        None,
        emulator.access_key(),
    );
    sent.signed(&emulator)
        .header("x-ncp-apigw-signature-v2", decoded)
        .stopped(&emulator, 401, "200")
        .await;
}

#[tokio::test]
async fn timestamps_may_be_off_by_less_than_five_minutes() {
    let (emulator, clock) = frozen().await;
    for (prefix, v1) in ROWS {
        for (time, accepted) in [
            (NOW - 300_000, false),
            (NOW - 299_999, true),
            (NOW + 299_999, true),
            (NOW + 300_000, false),
        ] {
            let call = call(&emulator, prefix).signed_at(&emulator, v1, time);
            let (status, _) = call.send(&emulator).await;
            assert_eq!(status, if accepted { 200 } else { 401 }, "{prefix} {time}");
        }
    }
    let call = encrypt(&emulator).signed(&emulator);
    clock.advance(Duration::from_millis(299_999));
    call.data(&emulator).await;
    clock.advance(Duration::from_millis(1));
    call.stopped(&emulator, 401, "200").await;
    assert_eq!(
        emulator.requests().last().unwrap().refusal,
        Some("timestamp is five minutes or more away from the clock")
    );
}

#[tokio::test]
async fn known_signatures_are_accepted() {
    let emulator = Emulator::builder()
        .account("EXAMPLEACCESSKEY0001", "EXAMPLEsecretKEY/0123456789abcdefghijklm")
        .apigw_api_key("EXAMPLEapigwKEY000000000000000000000000")
        .key_tag("a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6")
        .clock(EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW)))
        .start()
        .await
        .unwrap();
    for (prefix, name, signature) in [
        (
            "/kms/v1/keys",
            "x-ncp-apigw-signature-v2",
            "RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4=",
        ),
        ("/keys/v2", "x-ncp-apigw-signature-v2", "qyCLPNBJzf0uvoTcEF78M8uBWdr9SXChPyD69p4Gkf0="),
        ("/keys/v1", "x-ncp-apigw-signature-v1", "es6lltljVTPD9R4LgyNShgJ/s2NziW8CMexhzIWuNiI="),
    ] {
        let good = call(&emulator, prefix)
            .header("x-ncp-apigw-timestamp", "1700000000000")
            .header("x-ncp-iam-access-key", "EXAMPLEACCESSKEY0001")
            .header("x-ncp-apigw-api-key", "EXAMPLEapigwKEY000000000000000000000000")
            .header(name, signature);
        good.data(&emulator).await;
        for place in 0..signature.len() - 1 {
            let mut changed = signature.to_owned().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            good.clone()
                .header(name, String::from_utf8(changed).unwrap())
                .stopped(&emulator, 401, "200")
                .await;
        }
    }
}

/// A call as the vendor's SDKs sign it, or with the gateway's key in header, line, or both.
fn by_sdk(emulator: &Emulator, prefix: &str, header: bool, line: bool) -> Call {
    let call = call(emulator, prefix).signed_at(emulator, false, NOW);
    let api_key = line.then(|| emulator.apigw_api_key());
    let (secret, access) = (emulator.secret_key(), emulator.access_key());
    let signature = sign(secret, "POST", &call.target, &NOW.to_string(), api_key, access);
    let call =
        call.without("x-ncp-apigw-signature-v2").header("x-ncp-apigw-signature-v1", signature);
    match header {
        true => call.header("x-ncp-apigw-api-key", emulator.apigw_api_key()),
        false => call,
    }
}

async fn accepting() -> Emulator {
    let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW));
    Emulator::builder().clock(clock).accept_sdk_signatures().start().await.unwrap()
}

#[tokio::test]
async fn signatures_of_the_sdks_are_accepted_by_choice() {
    let ((strict, _), lenient) = (frozen().await, accepting().await);
    for (prefix, _) in ROWS {
        by_sdk(&strict, prefix, false, false).stopped(&strict, 401, "200").await;
        by_sdk(&lenient, prefix, false, false).data(&lenient).await;
        assert_eq!(lenient.requests().last().unwrap().auth, AuthRow::AccountV1);
        let mut other = by_sdk(&lenient, prefix, false, false);
        other.target = other.target.replace("encrypt", "decrypt");
        other.stopped(&lenient, 401, "200").await;
    }
    let list = Call::new("GET", "/kms/v1/keys?pageNo=1&pageSize=1", serde_json::Value::Null);
    let signature = sign(
        lenient.secret_key(),
        "GET",
        &list.target,
        &NOW.to_string(),
        None,
        lenient.access_key(),
    );
    let list = list.signed(&lenient).without("x-ncp-apigw-signature-v2");
    list.header("x-ncp-apigw-signature-v1", signature).data(&lenient).await;
    // What the documents have is accepted as ever.
    for (prefix, v1) in ROWS {
        call(&lenient, prefix).signed_at(&lenient, v1, NOW).data(&lenient).await;
    }
    let wrong = by_sdk(&lenient, "/keys/v2", false, false)
        .header("x-ncp-apigw-signature-v2", base64("wrong"));
    wrong.stopped(&lenient, 401, "200").await;
}

#[tokio::test]
async fn the_line_of_the_gateway_key_is_there_exactly_if_its_header_is() {
    let emulator = accepting().await;
    for (prefix, _) in ROWS {
        by_sdk(&emulator, prefix, true, true).data(&emulator).await;
        by_sdk(&emulator, prefix, true, false).stopped(&emulator, 401, "200").await;
        by_sdk(&emulator, prefix, false, true).stopped(&emulator, 401, "200").await;
        let good = by_sdk(&emulator, prefix, true, true);
        let mut twice = by_sdk(&emulator, prefix, false, false);
        for other in ["other", ""] {
            let other = twice.clone().header("x-ncp-apigw-api-key", other);
            other.stopped(&emulator, 401, "200").await;
        }
        // Sent twice, it is no header that could be read, but it is there.
        let key = emulator.apigw_api_key().to_owned();
        twice.headers.extend([("x-ncp-apigw-api-key", key.clone()), ("x-ncp-apigw-api-key", key)]);
        twice.stopped(&emulator, 401, "200").await;
        good.data(&emulator).await;
    }
}

#[tokio::test]
async fn another_account_is_refused() {
    let ((emulator, _), (other, _)) = (frozen().await, frozen().await);
    encrypt(&emulator).signed(&other).stopped(&emulator, 401, "200").await;
}
