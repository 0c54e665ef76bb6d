//! What keys of each type do: custom keys, signatures, public keys, convergent encryption.

use crate::client::{Call, NOW, base64, frozen, keys, unbase64};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ncp_envelope::emulator::{Emulator, KeyKind};
use serde_json::{Value, json};

/// Path prefix, whether signature v1, name of create-custom-key.
const ROWS: [(&str, bool, &str); 3] = [
    ("/keys/v1", true, "createCustomKey"),
    ("/keys/v2", false, "createCustomKey"),
    ("/kms/v1/keys", false, "create-custom-key"),
];

async fn post(emulator: &Emulator, tag: &str, action: &str, body: Value) -> Value {
    keys(emulator, "POST", &format!("/{tag}/{action}"), body).data(emulator).await
}

async fn refused(
    emulator: &Emulator,
    tag: &str,
    action: &str,
    body: Value,
    status: u16,
    code: &str,
) {
    keys(emulator, "POST", &format!("/{tag}/{action}"), body).refused(emulator, status, code).await;
}

#[tokio::test]
async fn custom_keys_are_made_in_both_generations() {
    let (emulator, _) = frozen().await;
    let tag = emulator.key_tag().to_owned();
    for (prefix, v1, action) in ROWS {
        let make = |body| {
            Call::post(format!("{prefix}/{tag}/{action}"), body).signed_at(&emulator, v1, NOW)
        };
        for (bits, len) in [(json!(128), 16), (json!(256), 32), (json!(512), 64), (Value::Null, 32)]
        {
            let made = make(json!({ "requestPlainKey": true, "bits": bits })).data(&emulator).await;
            assert_eq!(unbase64(&made["plaintext"]).len(), len);
            let opened =
                post(&emulator, &tag, "decrypt", json!({ "ciphertext": made["ciphertext"] })).await;
            assert_eq!(opened["plaintext"], made["plaintext"]);
            assert_eq!(made.get("key_version"), (prefix == "/kms/v1/keys").then_some(&json!(1)));
        }
        let hidden = make(Value::Null).data(&emulator).await;
        assert_eq!(hidden.get("plaintext"), None);
        for bits in [json!(0), json!(192), json!("256"), json!(-1)] {
            make(json!({ "bits": bits })).refused(&emulator, 400, "INVALID_REQUEST").await;
        }
    }
    let token = emulator.access_token().await.unwrap();
    Call::post(format!("/kms/v1/keys/{tag}/create-custom-key"), json!({}))
        .token(token)
        .data(&emulator)
        .await;
}

#[tokio::test]
async fn rsa_keys_encrypt_190_bytes() {
    let (emulator, _) = frozen().await;
    let tag = emulator.create_key_of(KeyKind::Rsa2048, "rsa").await.unwrap();
    let plain = [base64([1; 190]), base64("")];
    let sealed =
        post(&emulator, &tag, "encrypt", json!({ "plaintext": plain })).await["ciphertext"].take();
    assert_eq!(
        post(&emulator, &tag, "decrypt", json!({ "ciphertext": sealed })).await["plaintext"],
        json!(plain)
    );
    refused(
        &emulator,
        &tag,
        "encrypt",
        json!({ "plaintext": base64([1; 191]) }),
        400,
        "INVALID_REQUEST",
    )
    .await;
    emulator.rotate_key(&tag).await.unwrap();
    let moved =
        post(&emulator, &tag, "re-encrypt", json!({ "ciphertext": sealed })).await["newCiphertext"]
            .take();
    assert!(moved[0].as_str().unwrap().starts_with("ncpkms:v2:"));
    assert_eq!(
        post(&emulator, &tag, "decrypt", json!({ "ciphertext": moved })).await["plaintext"],
        json!(plain)
    );
    let wrong = sealed[0].as_str().unwrap().replace("v1", "v2");
    refused(&emulator, &tag, "decrypt", json!({ "ciphertext": wrong }), 400, "INVALID_REQUEST")
        .await;
    post(&emulator, &tag, "create-custom-key", json!({ "bits": 512 })).await;
}

#[tokio::test]
async fn signatures_verify_here_and_with_the_public_key() {
    let (emulator, _) = frozen().await;
    let algorithms: [(KeyKind, &str, &'static dyn VerificationAlgorithm); 2] = [
        (KeyKind::Rsa2048, "rsa", &RSA_PKCS1_2048_8192_SHA256),
        (KeyKind::EcdsaP256, "ecdsa", &ECDSA_P256_SHA256_ASN1),
    ];
    for (kind, name, algorithm) in algorithms {
        let tag = emulator.create_key_of(kind, name).await.unwrap();
        let signature =
            post(&emulator, &tag, "sign", json!({ "data": base64("data") })).await["signature"]
                .take();
        let text = signature.as_str().unwrap();
        assert!(text.starts_with("ncpkms:v1:"));
        emulator.rotate_key(&tag).await.unwrap();
        for (prefix, v1, _) in ROWS {
            let verify = |data: &str, signature: &str| {
                let body = json!({ "data": base64(data), "signature": signature });
                Call::post(format!("{prefix}/{tag}/verify"), body).signed_at(&emulator, v1, NOW)
            };
            assert_eq!(verify("data", text).data(&emulator).await, json!({ "valid": true }));
            assert_eq!(verify("date", text).data(&emulator).await, json!({ "valid": false }));
            assert_eq!(
                verify("data", &text.replace("v1", "v2")).data(&emulator).await,
                json!({ "valid": false })
            );
            for unreadable in
                [text.strip_prefix("ncpkms:v1:").unwrap(), "", "ncpkms:v1:?", "ncpkms:v9:AAAA"]
            {
                verify("data", unreadable).refused(&emulator, 400, "INVALID_REQUEST").await;
            }
            Call::post(format!("{prefix}/{tag}/sign"), json!({ "data": "" }))
                .signed_at(&emulator, v1, NOW)
                .data(&emulator)
                .await;
        }

        let first =
            post(&emulator, &tag, "get-pub-key", json!({ "keyVersion": 1 })).await["publicKey"]
                .take();
        let newest = post(&emulator, &tag, "get-pub-key", Value::Null).await["publicKey"].take();
        assert_ne!(first, newest);
        assert_eq!(
            newest,
            post(&emulator, &tag, "get-pub-key", json!({ "keyVersion": 2 })).await["publicKey"]
        );
        let der: String =
            first.as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
        let key = ParsedPublicKey::new(algorithm, STANDARD.decode(der).unwrap()).unwrap();
        let raw = STANDARD.decode(text.strip_prefix("ncpkms:v1:").unwrap()).unwrap();
        key.verify_sig(b"data", &raw).unwrap();
        assert!(key.verify_sig(b"date", &raw).is_err());

        emulator.disable_key_version(&tag, 1).await.unwrap();
        refused(
            &emulator,
            &tag,
            "verify",
            json!({ "data": base64("data"), "signature": text }),
            400,
            "INVALID_STATUS",
        )
        .await;
        refused(&emulator, &tag, "get-pub-key", json!({ "keyVersion": 1 }), 400, "INVALID_STATUS")
            .await;
        refused(&emulator, &tag, "get-pub-key", json!({ "keyVersion": 3 }), 400, "INVALID_REQUEST")
            .await;
        post(&emulator, &tag, "sign", json!({ "data": base64([1; 8192]) })).await;
        refused(
            &emulator,
            &tag,
            "sign",
            json!({ "data": base64([1; 8193]) }),
            400,
            "INVALID_REQUEST",
        )
        .await;
        refused(&emulator, &tag, "sign", json!({}), 400, "INVALID_REQUEST").await;
    }
}

#[tokio::test]
async fn types_refuse_what_they_are_not_for() {
    let (emulator, _) = frozen().await;
    let signing = emulator.create_key_of(KeyKind::EcdsaP256, "ecdsa").await.unwrap();
    for (action, body) in [
        ("encrypt", json!({ "plaintext": "" })),
        ("decrypt", json!({ "ciphertext": "ncpkms:v1:AAAA" })),
        ("re-encrypt", json!({ "ciphertext": "ncpkms:v1:AAAA" })),
        ("create-custom-key", json!({})),
    ] {
        refused(&emulator, &signing, action, body, 400, "INVALID_REQUEST").await;
    }
    let convergent = emulator.create_key_of(KeyKind::Convergent, "convergent").await.unwrap();
    for tag in [emulator.key_tag(), &convergent] {
        refused(&emulator, tag, "sign", json!({ "data": "" }), 400, "INVALID_REQUEST").await;
        refused(
            &emulator,
            tag,
            "verify",
            json!({ "data": "", "signature": "ncpkms:v1:AAAA" }),
            400,
            "INVALID_REQUEST",
        )
        .await;
        refused(&emulator, tag, "get-pub-key", Value::Null, 400, "INVALID_REQUEST").await;
    }
}

#[tokio::test]
async fn convergent_keys_give_the_same_ciphertext_for_the_same_context() {
    let (emulator, _) = frozen().await;
    let tag = emulator.create_key_of(KeyKind::Convergent, "convergent").await.unwrap();
    let encrypt = |plain: &str, context: &str| {
        json!({ "plaintext": base64(plain),
            "context": base64(context) })
    };
    let sealed = post(&emulator, &tag, "encrypt", encrypt("x", "c")).await["ciphertext"].take();
    assert_eq!(post(&emulator, &tag, "encrypt", encrypt("x", "c")).await["ciphertext"], sealed);
    assert_ne!(post(&emulator, &tag, "encrypt", encrypt("y", "c")).await["ciphertext"], sealed);
    assert_ne!(post(&emulator, &tag, "encrypt", encrypt("x", "d")).await["ciphertext"], sealed);

    let open = |context: Value| json!({ "ciphertext": sealed, "context": context });
    for action in ["decrypt", "re-encrypt"] {
        post(&emulator, &tag, action, open(json!(base64("c")))).await;
        for wrong in [json!(base64("d")), json!(""), Value::Null] {
            refused(&emulator, &tag, action, open(wrong), 400, "INVALID_REQUEST").await;
        }
    }
    refused(&emulator, &tag, "encrypt", json!({ "plaintext": "" }), 400, "INVALID_REQUEST").await;
    refused(&emulator, &tag, "create-custom-key", json!({}), 400, "INVALID_REQUEST").await;
    let made = post(
        &emulator,
        &tag,
        "create-custom-key",
        json!({ "requestPlainKey": true, "context": base64("k") }),
    )
    .await;
    let opened = post(
        &emulator,
        &tag,
        "decrypt",
        json!({ "ciphertext": made["ciphertext"], "context": base64("k") }),
    )
    .await;
    assert_eq!(opened["plaintext"], made["plaintext"]);

    // A new version derives anew, and the old one still opens.
    emulator.rotate_key(&tag).await.unwrap();
    let newer = post(&emulator, &tag, "encrypt", encrypt("x", "c")).await["ciphertext"].take();
    assert_ne!(newer.as_str().unwrap()[10..], sealed.as_str().unwrap()[10..]);
    assert_eq!(
        post(&emulator, &tag, "decrypt", open(json!(base64("c")))).await["plaintext"],
        base64("x")
    );
}
