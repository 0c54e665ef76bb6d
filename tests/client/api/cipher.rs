use crate::api::{account, always, api_1, kind, lines, success, with_token};
use crate::server::{Reply, Server};
use ncp_envelope::kms::{Client, Credentials, CustomKeyBits, KeyType, key_version};
use ncp_envelope::wrap::{Provider, ZoneHint};
use ncp_envelope::{ErrorKind, KeyId, KeyWrapper, WrappedKey};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_sent() {
    let server = Server::start(|request, _| {
        let many = request.body.contains('[');
        match request.path.rsplit('/').next().unwrap() {
            "encrypt" if many => success(json!({ "ciphertext": ["a", "b"] })),
            "encrypt" => success(json!({ "ciphertext": "a" })),
            "decrypt" if many => success(json!({ "plaintext": ["YQ==", "Yg=="] })),
            "decrypt" => success(json!({ "plaintext": "YQ==" })),
            "re-encrypt" | "reencrypt" if many => success(json!({ "newCiphertext": ["a", "b"] })),
            "re-encrypt" | "reencrypt" => success(json!({ "newCiphertext": "a" })),
            "create-custom-key" | "createCustomKey" => {
                let bits =
                    serde_json::from_str::<Value>(&request.body).unwrap()["bits"].as_u64().unwrap();
                let plain = match bits {
                    128 => "AAAAAAAAAAAAAAAAAAAAAA==".to_owned(),
                    bits => "A".repeat(usize::try_from(bits / 8).unwrap().div_ceil(3) * 4),
                };
                // 32 bytes want one "=", and 64 two.
                let plain = match bits {
                    256 => format!("{}=", &plain[..43]),
                    512 => format!("{}==", &plain[..86]),
                    _ => plain,
                };
                success(
                    json!({ "plaintext": plain, "ciphertext": "ncpkms:v2:AAAA", "key_version": 2 }),
                )
            }
            "sign" => success(json!({ "signature": "ncpkms:v4:AAAA" })),
            "verify" => success(json!({ "valid": true })),
            "get-pub-key" => success(json!({ "publicKey": "-----BEGIN PUBLIC \
             KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" })),
            other => panic!("{other}"),
        }
    })
    .await;

    for client in [account(&server), with_token(&server)] {
        let key = client.key("tag").unwrap();
        let place = key.with_context(b"c").unwrap();
        place.encrypt(b"x").await.unwrap();
        place.encrypt_many(&["x", "y"]).await.unwrap();
        place.decrypt("ncpkms:v1:AA").await.unwrap();
        place.decrypt_many(&["a", "b"]).await.unwrap();
        place.re_encrypt("a").await.unwrap();
        place.re_encrypt_many(&["a", "b"]).await.unwrap();
        place.create_custom_key(CustomKeyBits::Bits128).await.unwrap();
        for (bits, len) in [
            (CustomKeyBits::Bits128, 16),
            (CustomKeyBits::Bits256, 32),
            (CustomKeyBits::Bits512, 64),
        ] {
            let made = key.create_custom_key_with_plaintext(bits).await.unwrap();
            assert_eq!(
                (made.plaintext.unwrap().expose_secret().len(), made.key_version),
                (len, Some(2))
            );
        }
        let made = key.create_custom_key(CustomKeyBits::default()).await.unwrap();
        assert!(made.plaintext.is_none() && made.ciphertext == "ncpkms:v2:AAAA");
        assert_eq!(key_version(&key.sign(b"test").await.unwrap()), Some(4));
        assert!(key.verify(b"test", "ncpkms:v4:A\"A").await.unwrap());
        assert!(key.public_key(None).await.unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        key.public_key(Some(3)).await.unwrap();
    }
    let sent = lines(&server);
    let (by_account, by_token) = sent.split_at(sent.len() / 2);
    let want = [
        r#"encrypt {"plaintext":"eA==","context":"Yw=="}"#,
        r#"encrypt {"plaintext":["eA==","eQ=="],"context":"Yw=="}"#,
        r#"decrypt {"ciphertext":"ncpkms:v1:AA","context":"Yw=="}"#,
        r#"decrypt {"ciphertext":["a","b"],"context":"Yw=="}"#,
        r#"re-encrypt {"ciphertext":"a","context":"Yw=="}"#,
        r#"re-encrypt {"ciphertext":["a","b"],"context":"Yw=="}"#,
        r#"create-custom-key {"requestPlainKey":false,"bits":128,"context":"Yw=="}"#,
        r#"create-custom-key {"requestPlainKey":true,"bits":128}"#,
        r#"create-custom-key {"requestPlainKey":true,"bits":256}"#,
        r#"create-custom-key {"requestPlainKey":true,"bits":512}"#,
        r#"create-custom-key {"requestPlainKey":false,"bits":256}"#,
        r#"sign {"data":"dGVzdA=="}"#,
        r#"verify {"data":"dGVzdA==","signature":"ncpkms:v4:A\"A"}"#,
        r#"get-pub-key {}"#,
        r#"get-pub-key {"keyVersion":3}"#,
    ];
    for (who, sent) in [("account", by_account), ("access", by_token)] {
        let want: Vec<String> =
            want.iter().map(|want| format!("{who} POST /kms/v1/keys/tag/{want}")).collect();
        assert_eq!(sent, want);
    }

    let before = sent.len();
    let key = api_1(&server).key("tag").unwrap().with_context(b"c").unwrap();
    key.create_custom_key_with_plaintext(CustomKeyBits::Bits256).await.unwrap();
    key.re_encrypt("a").await.unwrap();
    key.sign(b"test").await.unwrap();
    key.verify(b"test", "s").await.unwrap();
    let want = [
        "account POST /keys/v2/tag/createCustomKey \
         {\"requestPlainKey\":true,\"bits\":256,\"context\":\"Yw==\"}",
        r#"account POST /keys/v2/tag/reencrypt {"ciphertext":"a","context":"Yw=="}"#,
        r#"account POST /keys/v2/tag/sign {"data":"dGVzdA=="}"#,
        r#"account POST /keys/v2/tag/verify {"data":"dGVzdA==","signature":"s"}"#,
    ];
    assert_eq!(lines(&server)[before..], want);
}

#[tokio::test]
async fn limits_and_uses_are_checked_before_any_call() {
    let server = Server::start(|_, _| panic!("called")).await;
    let key = account(&server).key("tag").unwrap();
    for context in [&[][..], &[0; 51]] {
        assert_eq!(kind(&key.with_context(context).unwrap_err()), ErrorKind::InvalidInput);
    }
    let (aes, rsa, ecdsa) = (
        key.with_type(KeyType::Aes256),
        key.with_type(KeyType::Rsa2048),
        key.with_type(KeyType::Ecdsa),
    );
    for error in [
        rsa.encrypt(&[0; 191]).await.unwrap_err(),
        rsa.encrypt_many(&[&[0; 190][..], &[0; 191]]).await.unwrap_err(),
        aes.encrypt(&[0; 32_769]).await.unwrap_err(),
        key.sign(&[0; 8_193]).await.unwrap_err(),
        key.verify(&[0; 8_193], "x").await.unwrap_err(),
    ] {
        assert_eq!(kind(&error), ErrorKind::LimitExceeded, "{error}");
    }
    for error in [
        ecdsa.encrypt(b"").await.unwrap_err(),
        ecdsa.decrypt("x").await.unwrap_err(),
        ecdsa.re_encrypt("x").await.unwrap_err(),
        ecdsa.create_custom_key(CustomKeyBits::Bits256).await.unwrap_err(),
        aes.sign(b"").await.unwrap_err(),
        aes.verify(b"", "x").await.unwrap_err(),
        aes.public_key(None).await.unwrap_err(),
        key.verify(b"", "").await.unwrap_err(),
        key.verify(b"", "a b").await.unwrap_err(),
        key.public_key(Some(0)).await.unwrap_err(),
        api_1(&server).key("tag").unwrap().public_key(None).await.unwrap_err(),
    ] {
        assert_eq!(kind(&error), ErrorKind::InvalidInput, "{error}");
    }
    assert!(server.requests().is_empty());
    let shown = format!("{:?}", rsa.with_context("CANARY").unwrap());
    assert!(shown.contains("Rsa2048") && !shown.contains("CANARY"), "{shown}");
}

#[tokio::test]
async fn every_form_of_an_answer_is_read_and_no_other() {
    for (data, want) in [
        (json!({ "valid": true }), Ok(true)),
        (json!({ "valid": false }), Ok(false)),
        (json!({ "valid": "true" }), Ok(true)),
        (json!({ "valid": "False" }), Ok(false)),
        (json!({ "valid": "CANARY" }), Err(())),
        (json!({ "valid": 1 }), Err(())),
        (json!({ "valid": null }), Err(())),
        (json!({}), Err(())),
        (Value::Null, Err(())),
    ] {
        let server = always(success(data.clone())).await;
        let got = account(&server).key("tag").unwrap().verify(b"x", "s").await;
        assert_eq!(
            got.map_err(|error| assert_eq!(kind(&error), ErrorKind::Internal)),
            want,
            "{data}"
        );
    }
    let server = always(Reply::json(200, &json!({ "valid": "true" }))).await;
    assert!(api_1(&server).key("tag").unwrap().verify(b"x", "s").await.unwrap());

    const PLAIN: &str = "AAAAAAAAAAAAAAAAAAAAAA==";
    for (data, want) in [
        (json!({ "ciphertext": "ncpkms:v7:A", "plaintext": PLAIN }), Some(Some(7))),
        (
            json!({ "ciphertext": ["ncpkms:v7:A"], "plaintext": [PLAIN], "keyVersion": "8" }),
            Some(Some(8)),
        ),
        (
            json!({ "ciphertext": "x", "plaintext": PLAIN, "keyVersion": {}, "key_version": null }),
            Some(None),
        ),
        (
            json!({ "ciphertext": "x", "plaintext": PLAIN, "keyVersion": 1, "key_version": 1 }),
            Some(Some(1)),
        ),
        (json!({ "ciphertext": "x", "plaintext": "CANARY==" }), None),
        (json!({ "ciphertext": "x", "plaintext": "AAAA" }), None),
        (json!({ "ciphertext": "x", "plaintext": null }), None),
        (json!({ "ciphertext": "CANARY x", "plaintext": PLAIN }), None),
        (json!({ "plaintext": PLAIN }), None),
    ] {
        let server = always(success(data.clone())).await;
        let got = account(&server)
            .key("tag")
            .unwrap()
            .create_custom_key_with_plaintext(CustomKeyBits::Bits128)
            .await;
        let got = got
            .map(|made| made.key_version)
            .map_err(|error| assert_eq!(kind(&error), ErrorKind::Internal));
        assert_eq!(got.ok(), want, "{data}");
    }

    for data in [
        json!({ "publicKey": "" }),
        json!({ "publicKey": 1 }),
        json!({ "publicKey": "\u{1b}" }),
        json!({}),
    ] {
        let server = always(success(data)).await;
        assert_eq!(
            kind(&account(&server).key("tag").unwrap().public_key(None).await.unwrap_err()),
            ErrorKind::Internal
        );
    }
    for data in [json!({ "signature": "a b" }), json!({ "signature": ["a", "b"] }), json!({})] {
        let server = always(success(data)).await;
        assert_eq!(
            kind(&account(&server).key("tag").unwrap().sign(b"x").await.unwrap_err()),
            ErrorKind::Internal
        );
    }
}

#[test]
fn key_versions() {
    for (text, want) in [
        ("ncpkms:v1:A", Some(1)),
        ("ncpkms:v10:", Some(10)),
        ("ncpkms:v:A", None),
        ("ncpkms:v+1:A", None),
        ("ncpkms:v1", None),
    ] {
        assert_eq!(key_version(text), want, "{text}");
    }
    assert_eq!(key_version("ncpkms:v99999999999:A"), None);
}

// F-30: shown, whatever it is, and never a reason to stop.
proptest! {
    #[test]
    fn any_wrapped_key_has_a_version_or_none(
        version in any::<u32>(),
        rest in "[:-z]{0,40}",
        noise in vec(any::<u8>(), 1..40),
    ) {
        let credentials = Credentials::account("k", "s").unwrap();
        let key = Client::builder().credentials(credentials).build().unwrap().key("tag").unwrap();
        let under = |provider, bytes: &[u8]| {
            let id = KeyId::new(provider, ZoneHint::None, "tag").unwrap();
            key.key_version(&WrappedKey::new(id, bytes).unwrap())
        };
        let wrapped = format!("ncpkms:v{version}:{rest}");
        prop_assert_eq!(under(Provider::NcpKms, wrapped.as_bytes()), Some(version));
        prop_assert_eq!(under(Provider::Local, wrapped.as_bytes()), None);
        prop_assert_eq!(under(Provider::Other(200), wrapped.as_bytes()), None);
        prop_assert_eq!(under(Provider::NcpKms, &noise), None);
    }
}
