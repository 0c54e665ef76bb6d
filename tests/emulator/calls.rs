//! Encrypt, decrypt and re-encrypt: shapes, limits, key states.

use crate::client::{Call, NOW, base64, call, encrypt, frozen, path, unbase64};
use ncp_envelope::emulator::Emulator;
use serde_json::{Value, json};

async fn refused(emulator: &Emulator, action: &str, body: Value, status: u16, code: &str) {
    Call::post(path(emulator, action), body).signed(emulator).refused(emulator, status, code).await;
}

#[tokio::test]
async fn both_generations_answer_in_their_own_envelope() {
    let (emulator, _) = frozen().await;
    for (prefix, v1, older) in
        [("/keys/v1", true, true), ("/keys/v2", false, true), ("/kms/v1/keys", false, false)]
    {
        let post = |action: &str, body| {
            Call::post(format!("{prefix}/{}/{action}", emulator.key_tag()), body)
                .signed_at(&emulator, v1, NOW)
        };
        let (status, body) =
            post("encrypt", json!({ "plaintext": base64("test") })).send(&emulator).await;
        assert_eq!(status, 200);
        let fields: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, if older { vec!["code", "data", "msg"] } else { vec!["code", "data"] });
        if older {
            assert_eq!(body["msg"], "");
        }
        let ciphertext = body["data"]["ciphertext"].clone();
        let plain = post("decrypt", json!({ "ciphertext": ciphertext })).data(&emulator).await;
        assert_eq!(unbase64(&plain["plaintext"]), b"test");
        for action in ["reencrypt", "re-encrypt"] {
            let data = post(action, json!({ "ciphertext": ciphertext })).data(&emulator).await;
            assert!(data["newCiphertext"].is_string());
            assert_ne!(data["newCiphertext"], ciphertext);
        }
    }
}

#[tokio::test]
async fn arrays_come_back_as_arrays_in_order() {
    let (emulator, _) = frozen().await;
    let plain: Vec<_> = [&b"a"[..], b"", &[0xff; 100]].iter().map(base64).collect();
    let sealed =
        call(&emulator, "encrypt", json!({ "plaintext": plain })).await["ciphertext"].take();
    assert_eq!(sealed.as_array().unwrap().len(), 3);
    assert_eq!(
        call(&emulator, "decrypt", json!({ "ciphertext": sealed })).await["plaintext"],
        json!(plain)
    );
    let moved =
        call(&emulator, "re-encrypt", json!({ "ciphertext": sealed })).await["newCiphertext"]
            .take();
    assert_eq!(
        call(&emulator, "decrypt", json!({ "ciphertext": moved })).await["plaintext"],
        json!(plain)
    );
    let one = call(&emulator, "encrypt", json!({ "plaintext": [base64("x")] })).await;
    assert_eq!(one["ciphertext"].as_array().unwrap().len(), 1);

    let items: Vec<_> = emulator.requests().iter().map(|request| request.items).collect();
    assert_eq!(items, [3, 3, 3, 3, 1]);
}

#[tokio::test]
async fn the_same_plaintext_never_gives_the_same_ciphertext() {
    let (emulator, _) = frozen().await;
    let sealed =
        call(&emulator, "encrypt", json!({ "plaintext": ["", ""], "context": base64("c") })).await;
    assert_ne!(sealed["ciphertext"][0], sealed["ciphertext"][1]);
}

#[tokio::test]
async fn sizes_are_limited_together() {
    let (emulator, _) = frozen().await;
    let full = call(&emulator, "encrypt", json!({ "plaintext": base64(vec![1; 32_768]) }))
        .await["ciphertext"].take();
    assert_eq!(
        unbase64(&call(&emulator, "decrypt", json!({ "ciphertext": full })).await["plaintext"])
            .len(),
        32_768
    );
    let more =
        call(&emulator, "encrypt", json!({ "plaintext": base64("x") })).await["ciphertext"].take();
    for action in ["decrypt", "re-encrypt"] {
        refused(&emulator, action, json!({ "ciphertext": [full, more] }), 400, "INVALID_REQUEST")
            .await;
    }
    refused(
        &emulator,
        "encrypt",
        json!({ "plaintext": base64(vec![1; 32_769]) }),
        400,
        "INVALID_REQUEST",
    )
    .await;
    let half = base64(vec![1; 16_384]);
    call(&emulator, "encrypt", json!({ "plaintext": [half, half, ""] })).await;
    refused(
        &emulator,
        "encrypt",
        json!({ "plaintext": [half, half, base64("x")] }),
        400,
        "INVALID_REQUEST",
    )
    .await;
}

#[tokio::test]
async fn contexts_are_checked_and_ignored() {
    let (emulator, _) = frozen().await;
    let with = |context: String| json!({ "plaintext": "", "context": context });
    let sealed = call(&emulator, "encrypt", with(base64([1; 50]))).await["ciphertext"].take();
    call(&emulator, "decrypt", json!({ "ciphertext": sealed, "context": null })).await;
    refused(&emulator, "encrypt", with(base64([1; 51])), 400, "INVALID_REQUEST").await;
    refused(&emulator, "encrypt", with("?".into()), 400, "INVALID_REQUEST").await;
    refused(
        &emulator,
        "decrypt",
        json!({ "ciphertext": sealed, "context": 1 }),
        400,
        "INVALID_REQUEST",
    )
    .await;
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let (emulator, _) = frozen().await;
    for body in [
        json!({}),
        json!([]),
        json!("x"),
        json!({ "plaintext": [] }),
        json!({ "plaintext": 1 }),
        json!({ "plaintext": null }),
    ] {
        refused(&emulator, "encrypt", body, 400, "INVALID_REQUEST").await;
    }
    for text in ["dGVzdA", "dGVzdA=", "dGVzdA==\n", "dGVzdB==", "_-8=", "d GVzdA==", "\u{e9}"] {
        refused(&emulator, "encrypt", json!({ "plaintext": text }), 400, "INVALID_REQUEST").await;
        refused(&emulator, "encrypt", json!({ "plaintext": ["", text] }), 400, "INVALID_REQUEST")
            .await;
    }
    refused(&emulator, "decrypt", json!({ "ciphertext": [] }), 400, "INVALID_REQUEST").await;
    refused(&emulator, "decrypt", json!({ "plaintext": "" }), 400, "INVALID_REQUEST").await;
    for raw in ["", "{", "plaintext=x", "{\"plaintext\":\"\"}{}", "\u{feff}{}"] {
        Call { body: raw.into(), ..encrypt(&emulator) }
            .signed(&emulator)
            .refused(&emulator, 400, "INVALID_REQUEST")
            .await;
    }
}

#[tokio::test]
async fn changed_ciphertexts_do_not_open() {
    let (emulator, _) = frozen().await;
    let good =
        call(&emulator, "encrypt", json!({ "plaintext": base64("test") })).await["ciphertext"]
            .take();
    let good = good.as_str().unwrap();
    let payload = good.strip_prefix("ncpkms:v1:").unwrap();
    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    let mut bad: Vec<String> = [
        "",
        "ncpkms:",
        "ncpkms:v:",
        "ncpkms:v01:",
        "ncpkms:v2:",
        "ncpkms:v3:",
        "ncpkms:v0:",
        "ncpkms:v1",
    ]
    .iter()
    .map(|prefix| format!("{prefix}{payload}"))
    .collect();
    bad.push(good.trim_end_matches('=').get(..good.len() - 4).unwrap().to_owned());
    bad.extend((0..payload.len()).step_by(3).map(|place| {
        let mut changed = payload.to_owned().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        format!("ncpkms:v1:{}", String::from_utf8(changed).unwrap())
    }));
    for ciphertext in bad {
        refused(&emulator, "decrypt", json!({ "ciphertext": ciphertext }), 400, "INVALID_REQUEST")
            .await;
        refused(
            &emulator,
            "re-encrypt",
            json!({ "ciphertext": [good, ciphertext] }),
            400,
            "INVALID_REQUEST",
        )
        .await;
    }
    let other = emulator.create_key("other").await.unwrap();
    let foreign =
        Call::post(format!("/kms/v1/keys/{other}/decrypt"), json!({ "ciphertext": good }))
            .signed(&emulator);
    foreign.refused(&emulator, 400, "INVALID_REQUEST").await;
    call(&emulator, "decrypt", json!({ "ciphertext": good })).await;
}

#[tokio::test]
async fn rotation_keeps_older_versions_readable() {
    let (emulator, _) = frozen().await;
    let old = call(&emulator, "encrypt", json!({ "plaintext": base64("old") })).await["ciphertext"]
        .take();
    assert_eq!(emulator.rotate_key(emulator.key_tag()).await.unwrap(), 2);
    let new =
        call(&emulator, "re-encrypt", json!({ "ciphertext": old })).await["newCiphertext"].take();
    assert!(new.as_str().unwrap().starts_with("ncpkms:v2:"));
    let both = call(&emulator, "decrypt", json!({ "ciphertext": [old, new] })).await;
    assert_eq!(both["plaintext"], json!([base64("old"), base64("old")]));
}

#[tokio::test]
async fn states_of_keys_and_versions_matter() {
    let (emulator, _) = frozen().await;
    let tag = emulator.key_tag();
    let old = call(&emulator, "encrypt", json!({ "plaintext": "" })).await["ciphertext"].take();
    emulator.rotate_key(tag).await.unwrap();
    emulator.disable_key_version(tag, 1).await.unwrap();
    assert!(emulator.disable_key_version(tag, 2).await.is_err());
    for action in ["decrypt", "re-encrypt"] {
        refused(&emulator, action, json!({ "ciphertext": old }), 400, "INVALID_STATUS").await;
    }
    // The older interface's table has two codes of this message: one for keys, one for versions.
    let older = Call::post(format!("/keys/v2/{tag}/decrypt"), json!({ "ciphertext": old }));
    let older = older.signed(&emulator);
    older.refused(&emulator, 422, "UNPROCESSABLE_ENTITY").await;
    emulator.enable_key_version(tag, 1).await.unwrap();
    call(&emulator, "decrypt", json!({ "ciphertext": old })).await;

    let token = emulator.access_token().await.unwrap();
    emulator.disable_key(tag).await.unwrap();
    refused(&emulator, "encrypt", json!({ "plaintext": "" }), 400, "INVALID_STATUS").await;
    older.refused(&emulator, 400, "INVALID_STATUS").await;
    encrypt(&emulator).token(token).refused(&emulator, 400, "INVALID_STATUS").await;
    refused(&emulator, "token-set", json!({}), 400, "INVALID_STATUS").await;
    emulator.enable_key(tag).await.unwrap();
    call(&emulator, "decrypt", json!({ "ciphertext": old })).await;

    let missing = Call::post("/kms/v1/keys/none/encrypt", json!({ "plaintext": "" }));
    missing.signed(&emulator).refused(&emulator, 404, "NOT_FOUND").await;
    let missing = Call::post("/keys/v1/none/encrypt", json!({ "plaintext": "" }));
    missing.signed_at(&emulator, true, NOW).refused(&emulator, 404, "NOT_FOUND").await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_the_gateways() {
    let (emulator, _) = frozen().await;
    let tag = emulator.key_tag();
    for (method, target) in [
        ("GET", path(&emulator, "encrypt")),
        ("PUT", path(&emulator, "decrypt")),
        ("POST", path(&emulator, "Encrypt")),
        ("POST", path(&emulator, "encrypt/")),
        ("POST", path(&emulator, "validate-token")),
        ("POST", format!("/keys/v2/{tag}/token-set")),
        ("POST", format!("/keys/v3/{tag}/encrypt")),
        ("POST", format!("/kms/v1/{tag}/encrypt")),
        ("GET", "/".into()),
    ] {
        Call::new(method, target, Value::Null)
            .signed(&emulator)
            .stopped(&emulator, 404, "300")
            .await;
    }
}

/// Every byte of a good request, changed in several ways, gives an answer and never a failure of
/// the emulator's own.
#[tokio::test]
async fn no_body_makes_it_fail() {
    let (emulator, _) = frozen().await;
    let sealed =
        call(&emulator, "encrypt", json!({ "plaintext": base64("test") })).await["ciphertext"]
            .take();
    let good = json!({ "ciphertext": [sealed], "context": base64("c") }).to_string();
    for place in 0..good.len() {
        for byte in [b'"', b'}', b'\\', b'0'] {
            let mut body = good.clone().into_bytes();
            body[place] = byte;
            let changed = Call {
                body: String::from_utf8(body).unwrap(),
                ..Call::post(path(&emulator, "decrypt"), Value::Null)
            };
            let changed = changed.signed(&emulator);
            let (status, _) = changed.send(&emulator).await;
            assert!([200, 400].contains(&status), "{}", changed.body);
        }
    }
}
