//! Answers in which one value is not what it should be: an error or a result, never a panic, and
//! never a wait.

use crate::api::{REFRESH, account, kind};
use crate::server::{Reply, Server};
use ncp_envelope::Error;
use ncp_envelope::kms::{ActivityQuery, CreateKey, CustomKeyBits, KeyType, TokenLifetimes};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// An answer that has something for every call.
pub(crate) fn whole() -> Value {
    json!({
        "code": "SUCCESS", "msg": "", "timestamp": "2024-12-06T05:20:07Z", "currentPageNo": 1,
        "totalPageNo": 1, "totalCount": 1,
        "data": {
            "keyTag": "t", "keyId": 1, "keyType": "AES256", "status": "ENABLE",
            "isConvergent": true, "registerDate": 1,
            "version": 1, "rotatedDate": 1, "statusDate": 1, "isAutoRotation": true,
            "rotationPeriod": 90, "nextRotationDate": 1,
            "keyList": [{ "keyTag": "t", "status": "ENABLE" }],
            "currentVersion": 1,
            "versionList": [{ "version": 1, "status": "ENABLE", "statusDate": 1 }],
            "isAclEnabled": true, "allowedIpList": ["127.0.0.1"],
            "activityLogList": [{ "timestamp": 1, "kmsKey": { "keyTag": "t" },
            "requestor": { "ip": "127.0.0.1" }, "api": { "action": "x" } }],
            "data": { "kmsKey": { "keyTag": "t" }, "requestor": { "requestType": "API" },
            "api": { "action": "x" } },
            "accessToken": "CANARYa", "refreshToken": "CANARYr", "validated": true,
            "tokenGeneratorId": "g", "issuedTokenCount": 1,
            "ciphertext": "ncpkms:v1:AAAA", "newCiphertext": "ncpkms:v2:AAAA",
            "plaintext": "AAAAAAAAAAAAAAAAAAAAAA==", "key_version": 1,
            "signature": "ncpkms:v1:AAAA", "valid": true, "publicKey": "-----BEGIN PUBLIC \
             KEY-----\n",
        },
    })
}

/// The place of every value within `value`, as a JSON pointer.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), out))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| places(value, &format!("{at}/{index}"), out)),
        _ => {}
    }
}

async fn every_call(server: &Server) -> usize {
    let client = account(server);
    let key = client.key("t").unwrap();
    let (admin, acl, tokens) = (key.admin(), key.acl(), key.tokens());
    let mut good = 0;
    let mut look = |error: Option<Error>| match error {
        None => good += 1,
        Some(error) => {
            kind(&error);
        }
    };
    look(key.encrypt(b"x").await.err());
    look(key.decrypt("x").await.err());
    look(key.re_encrypt("x").await.err());
    look(key.create_custom_key(CustomKeyBits::Bits128).await.err());
    look(key.create_custom_key_with_plaintext(CustomKeyBits::Bits128).await.err());
    look(key.sign(b"x").await.err());
    look(key.verify(b"x", "x").await.err());
    look(key.public_key(None).await.err());
    look(tokens.create_set(&TokenLifetimes::default()).await.err());
    look(tokens.new_access_token(&REFRESH.into(), None).await.err());
    look(tokens.validate(&REFRESH.into()).await.err());
    look(tokens.generator().await.err());
    look(client.keys().create(&CreateKey::new("orders", KeyType::Aes256)).await.err());
    look(client.keys().page(1, 1).await.err());
    look(client.keys().pages().next().await.err());
    look(admin.info().await.err());
    look(admin.disable().await.err());
    look(admin.rotate().await.err());
    look(admin.set_rotation_period(1).await.err());
    look(admin.versions().await.err());
    look(admin.activities(&ActivityQuery::new()).next().await.err());
    look(admin.last_use().await.err());
    look(acl.list().await.err());
    good
}

#[tokio::test]
async fn one_odd_value_anywhere() {
    let body = Arc::new(Mutex::new(whole().to_string()));
    let shown = Arc::clone(&body);
    let server =
        Server::start(move |_, _| Reply::new(200, "application/json", &shown.lock().unwrap()))
            .await;
    assert_eq!(every_call(&server).await, 23);

    let mut all = Vec::new();
    places(&whole(), "", &mut all);
    let odd = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!("CANARY \u{1b}\n"),
        json!([[]]),
        json!({ "data": [1] }),
        json!(u64::MAX),
    ];
    for (index, place) in all.iter().enumerate() {
        // One odd value for each place, so that each of them has its turn many times.
        let mut answer = whole();
        *answer.pointer_mut(place).unwrap() = odd[index % odd.len()].clone();
        *body.lock().unwrap() = answer.to_string();
        every_call(&server).await;
    }
    let text = whole().to_string();
    // An empty answer is one to a change.
    for len in (1..text.len()).step_by(97) {
        *body.lock().unwrap() = text[..len].to_owned();
        assert_eq!(every_call(&server).await, 0);
    }
    *body.lock().unwrap() = "[".repeat(1_000_000);
    assert_eq!(every_call(&server).await, 0);
}
