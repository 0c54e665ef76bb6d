//! What a newcomer reads when something is not right: each text says what, about which key,
//! credential or endpoint, and what to do next.

use super::kind;
use ncp_envelope::emulator::{Emulator, EmulatorClock, Fault, FaultKind, FaultShape};
use ncp_envelope::kms::{Api, Client, ClientBuilder, Credentials, Endpoint, Key, SignatureVersion};
use ncp_envelope::{Error, ErrorKind};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn to(emulator: &Emulator) -> ClientBuilder {
    Client::builder().endpoint(Endpoint::Custom(emulator.url().to_owned())).max_attempts(1)
}

fn account(emulator: &Emulator) -> Credentials {
    Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap()
}

fn key(builder: ClientBuilder, tag: &str) -> Key {
    builder.build().unwrap().key(tag).unwrap()
}

async fn refused(key: &Key) -> Error {
    key.encrypt(b"CANARY").await.unwrap_err()
}

/// That `error` is of this kind and says all of this.
fn says(error: &Error, expected: ErrorKind, parts: &[&str]) {
    assert_eq!(kind(error), expected, "{error}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    // What Rust's Debug writes of a name, a list or a map.
    for debug in ["Some(", "KeyId(", "Endpoint(", " {", "[\"", "::V1", "::V2"] {
        assert!(!text.contains(debug), "{text}");
    }
}

#[tokio::test]
async fn about_keys() {
    let emulator = Emulator::start().await.unwrap();
    let builder = || to(&emulator).credentials(account(&emulator));
    let url = emulator.url();

    let tag = emulator.create_key("orders").await.unwrap();
    let error = refused(&key(builder(), "orders")).await;
    says(
        &error,
        ErrorKind::KeyUnusable,
        &["encrypt with key orders", "looks like a key's name: give its tag, which `keys list`"],
    );
    let error = refused(&key(builder(), &"0".repeat(64))).await;
    let parts = [
        "no key has this tag at endpoint",
        url,
        "`keys list` (Client::keys)",
        "isolated in a region",
    ];
    says(&error, ErrorKind::KeyUnusable, &parts);

    let orders = key(builder(), &tag);
    let ciphertext = orders.encrypt(b"x").await.unwrap();
    emulator.disable_key(&tag).await.unwrap();
    let disabled = ["disabled or to be deleted", "`keys enable` (KeyAdmin::enable)", tag.as_str()];
    says(&refused(&orders).await, ErrorKind::KeyUnusable, &disabled);
    says(&orders.decrypt(&ciphertext).await.unwrap_err(), ErrorKind::KeyUnusable, &disabled);
    let error = orders.admin().rotate().await.unwrap_err();
    says(&error, ErrorKind::KeyUnusable, &["`keys info` (KeyAdmin::info)"]);

    let other = key(builder(), emulator.key_tag()).decrypt(&ciphertext).await.unwrap_err();
    says(&other, ErrorKind::InvalidInput, &["may be changed, or not be one of this key"]);
}

#[tokio::test]
async fn about_accounts() {
    const NOBODY: (&str, &str) = ("NOBODYaccess", "CANARYnobody");
    const READER: (&str, &str) = ("READERaccess", "CANARYreader");
    let builder = Emulator::builder().sub_account(NOBODY.0, NOBODY.1, &[]).sub_account(
        READER.0,
        READER.1,
        &["Change/decrypt"],
    );
    let emulator = builder.start().await.unwrap();
    let tag = emulator.key_tag();
    for (who, permission) in [(NOBODY, "Change/encrypt"), (READER, "Change/encrypt")] {
        let credentials = Credentials::account(who.0, who.1).unwrap();
        let error = refused(&key(to(&emulator).credentials(credentials), tag)).await;
        let on = format!("the account needs permission {permission} on key {tag}");
        says(&error, ErrorKind::AccessDenied, &[&on, "or policy NCP_KMS_MANAGER"]);
    }
    let reader = to(&emulator).credentials(Credentials::account(READER.0, READER.1).unwrap());
    let error = reader.build().unwrap().keys().page(1, 1).await.unwrap_err();
    says(&error, ErrorKind::AccessDenied, &["permission View/getKeyList, or policy"]);

    // The date of the answer shows that the clock is right, so the text is about the keys alone.
    let wrong = Credentials::account(emulator.access_key(), "CANARYsecret").unwrap();
    let error = refused(&key(to(&emulator).credentials(wrong.clone()), tag)).await;
    let parts = ["check that the access key and the secret key belong together", emulator.url()];
    says(&error, ErrorKind::Credentials, &parts);
    assert!(!error.to_string().contains("clock"), "{error}");
    let gateway = wrong.with_api_gateway_key("CANARYgateway").unwrap();
    let older = to(&emulator).api(Api::V1).signature(SignatureVersion::V1).credentials(gateway);
    says(&refused(&key(older, tag)).await, ErrorKind::Credentials, &["and the api gateway key"]);

    // Up to two days are put right; what is further off is no clock to sign with.
    let clock = EmulatorClock::system();
    clock.advance(72 * HOUR);
    let later = Emulator::builder().clock(clock).start().await.unwrap();
    let error = refused(&key(to(&later).credentials(account(&later)), later.key_tag())).await;
    says(&error, ErrorKind::Credentials, &["this machine's clock is ", "off the service's: set"]);
}

#[tokio::test]
async fn about_credentials_that_are_missing() {
    let error = Client::builder().build().unwrap_err();
    says(&error, ErrorKind::Credentials, &["give it some, a credential chain or source"]);
    let token = Credentials::token("CANARYtoken", None).unwrap();
    let error = Client::builder().api(Api::V1).credentials(token.clone()).build().unwrap_err();
    says(&error, ErrorKind::InvalidInput, &["choose api 2.0, or give account credentials"]);
    let client = Client::builder().credentials(token).build().unwrap();
    let error = client.keys().page(1, 1).await.unwrap_err();
    says(&error, ErrorKind::Credentials, &["list keys: ", "give it an access key and a secret"]);
    let keys = Credentials::account("CANARYa", "CANARYs").unwrap();
    let first = Client::builder().api(Api::V1).signature(SignatureVersion::V1);
    let error = first.credentials(keys).build().unwrap_err();
    says(&error, ErrorKind::Credentials, &["set NCP_APIGW_API_KEY", "or choose version v2"]);
}

#[tokio::test]
async fn about_tokens() {
    let emulator = Emulator::start().await.unwrap();
    let tag = emulator.key_tag();
    let brief = emulator.issue_tokens(tag, Duration::from_secs(1), HOUR).await.unwrap();
    let tokens =
        |access: &str| to(&emulator).credentials(Credentials::token(access, None).unwrap());
    let other = emulator.create_key("other").await.unwrap();
    let error = refused(&key(tokens(brief.access_token()), &other)).await;
    let one = format!("is one of key {tag}: each key needs tokens of its own");
    says(&error, ErrorKind::Credentials, &[&one]);
    // The token says when it ends, in whole seconds.
    while key(tokens(brief.access_token()), tag).encrypt(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = refused(&key(tokens(brief.access_token()), tag)).await;
    let parts = ["the access token expired at 20", "issue a new set with `tokens create`"];
    says(&error, ErrorKind::Credentials, &parts);
    let error = refused(&key(tokens("CANARYtoken"), tag)).await;
    says(&error, ErrorKind::Credentials, &["may have expired, or the key's token generator"]);
    let both = Credentials::token("CANARYtoken", Some("CANARYrefresh".into())).unwrap();
    let error = refused(&key(to(&emulator).credentials(both), tag)).await;
    says(&error, ErrorKind::Credentials, &["so was the refresh token", "`tokens create`"]);
}

#[tokio::test]
async fn about_the_way_to_the_service() {
    let emulator = Emulator::start().await.unwrap();
    let tag = emulator.key_tag();
    let builder = || to(&emulator).credentials(account(&emulator));
    let closed = Endpoint::Custom("http://127.0.0.1:1".to_owned());
    let error = refused(&key(builder().endpoint(closed), tag)).await;
    let parts = ["nothing listens there: check the endpoint, http://127.0.0.1:1", "proxy"];
    says(&error, ErrorKind::Unavailable, &parts);
    let nowhere = Endpoint::Custom("https://kms.invalid".to_owned());
    let error = refused(&key(builder().endpoint(nowhere), tag)).await;
    says(&error, ErrorKind::Unavailable, &["check the endpoint, https://kms.invalid", "dns"]);

    let status = FaultKind::Status { status: 404, shape: FaultShape::Html, retry_after: None };
    for (fault, expected, parts) in [
        (status, ErrorKind::KeyUnusable, ["check the endpoint, ", "generation of its api"]),
        (
            FaultKind::Redirect("http://127.0.0.1:1/CANARY".into()),
            ErrorKind::Unavailable,
            ["redirects are not followed", "check the endpoint, "],
        ),
        (
            FaultKind::NotJson,
            ErrorKind::Unavailable,
            ["check the endpoint", "any proxy on the way"],
        ),
    ] {
        let id = emulator.inject(Fault::new(fault)).await.unwrap();
        says(&refused(&key(builder(), tag)).await, expected, &parts);
        emulator.clear_fault(id).await;
    }
    emulator.inject(Fault::new(FaultKind::Silent)).await.unwrap();
    let hasty = builder().attempt_timeout(Duration::from_millis(100));
    says(
        &refused(&key(hasty, tag)).await,
        ErrorKind::Unavailable,
        &["did not answer within 100ms"],
    );
    for endpoint in [Endpoint::Kr, Endpoint::Jp] {
        let error = builder().endpoint(endpoint).api(Api::V1).build().unwrap_err();
        says(&error, ErrorKind::InvalidInput, &["has api 2.0 only: choose it (NCP_KMS_API=2)"]);
    }
}
