//! The token generator of a key.

use crate::client::{Call, NOW, encrypt, frozen, keys, path};
use ncp_envelope::emulator::Emulator;
use serde_json::{Value, json};
use std::time::Duration;

async fn generator(emulator: &Emulator, method: &'static str, tag: &str) -> Value {
    keys(emulator, method, &format!("/{tag}/token-generator"), Value::Null).data(emulator).await
}

#[tokio::test]
async fn tokens_need_a_generator() {
    let (emulator, clock) = frozen().await;
    let created = keys(
        &emulator,
        "POST",
        "",
        json!({ "keyName": "other", "keyType": "AES256", "protectionType": "BASIC" }),
    );
    let tag = created.data(&emulator).await["keyTag"].as_str().unwrap().to_owned();
    let issue = || keys(&emulator, "POST", &format!("/{tag}/token-set"), Value::Null);
    let call = |method| keys(&emulator, method, &format!("/{tag}/token-generator"), Value::Null);
    issue().refused(&emulator, 400, "INVALID_STATUS").await;
    let none = generator(&emulator, "GET", &tag).await;
    assert_eq!(
        (&none["status"], &none["tokenGeneratorId"], &none["disabledDate"]),
        (&json!("INACTIVE"), &Value::Null, &Value::Null)
    );
    for method in ["PUT", "DELETE"] {
        call(method).refused(&emulator, 400, "INVALID_STATUS").await;
    }

    assert_eq!(generator(&emulator, "POST", &tag).await, Value::Null);
    call("POST").refused(&emulator, 400, "INVALID_STATUS").await;
    issue().data(&emulator).await;
    let some = generator(&emulator, "GET", &tag).await;
    assert_eq!(
        (&some["status"], &some["issuedTokenCount"], &some["enabledDate"]),
        (&json!("ACTIVE"), &json!(2), &json!(NOW))
    );

    clock.advance(Duration::from_millis(5));
    assert_eq!(generator(&emulator, "DELETE", &tag).await, Value::Null);
    assert_eq!(generator(&emulator, "GET", &tag).await["disabledDate"], NOW + 5);
    issue().refused(&emulator, 400, "INVALID_STATUS").await;
}

#[tokio::test]
async fn replacing_or_removing_the_generator_voids_its_tokens() {
    let (emulator, _) = frozen().await;
    let tag = emulator.key_tag();
    let issue = || async {
        emulator.issue_tokens(tag, Duration::from_secs(60), Duration::from_secs(60)).await.unwrap()
    };
    for method in ["PUT", "DELETE"] {
        let old = issue().await;
        encrypt(&emulator).token(old.access_token()).data(&emulator).await;
        let id = generator(&emulator, "GET", tag).await["tokenGeneratorId"].take();
        generator(&emulator, method, tag).await;
        assert_ne!(generator(&emulator, "GET", tag).await["tokenGeneratorId"], id);
        encrypt(&emulator).token(old.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
        let renew =
            Call::new("PUT", path(&emulator, "token-set"), Value::Null).token(old.refresh_token());
        renew.refused(&emulator, 401, "UNAUTHORIZED").await;
        let validate = Call::new("GET", path(&emulator, "validate-token"), Value::Null);
        assert_eq!(
            validate.token(old.refresh_token()).data(&emulator).await,
            json!({ "validated": false })
        );
        // A new generator does not bring them back.
        let new = issue().await;
        encrypt(&emulator).token(new.access_token()).data(&emulator).await;
        encrypt(&emulator).token(old.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
    }
}
