//! What each refusal says that a newcomer meets: what is wrong, with which file or key, and what to
//! do about it.

use crate::envelope;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind, LocalKeyWrapper,
};
use std::fs;

const CANARY: &str = "CANARY-plaintext";

/// One line, of this kind, with all of this in it and nothing of Rust's own.
#[track_caller]
fn says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    for not in ["KeyId(", "Some(", "Error {", "Os {", "\n", CANARY] {
        assert!(!text.contains(not), "{not:?} is in {text:?}");
    }
    assert!(text.chars().next().is_some_and(|first| !first.is_uppercase()), "{text}");
}

fn key(emulator: &Emulator, endpoint: &str, tag: &str) -> Key {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    let endpoint = Endpoint::Custom(endpoint.to_owned());
    let client = Client::builder().endpoint(endpoint).credentials(account).build().unwrap();
    client.key(tag).unwrap()
}

fn offline(id: &str) -> Envelope {
    Envelope::builder(LocalKeyWrapper::new(id, &DataKey::generate().unwrap()).unwrap())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_wrong_key() {
    let directory = tempfile::tempdir().unwrap();
    let (file, out) = (directory.path().join("report.ncpe"), directory.path().join("report"));
    let message = offline("2025").encrypt(CANARY, EncryptionContext::new()).await.unwrap();
    fs::write(&file, &message).unwrap();
    let other = offline("2026");
    let parts =
        ["is for key 2025 (local), and this reader is for key 2026 (local): use a key that"];
    let error = other.decrypt(&message, DecryptPolicy::new()).await.unwrap_err();
    says(&error, ErrorKind::KeyNotAllowed, &parts);
    let error = other.decrypt_file(&file, &out, DecryptPolicy::new()).await.unwrap_err();
    says(&error, ErrorKind::KeyNotAllowed, &[&parts[..], &["report.ncpe: "]].concat());
    let several =
        Envelope::builder(LocalKeyWrapper::new("a", &DataKey::generate().unwrap()).unwrap())
            .and(LocalKeyWrapper::new("b", &DataKey::generate().unwrap()).unwrap());
    let error = several.build().unwrap().decrypt(&message, DecryptPolicy::new()).await.unwrap_err();
    says(&error, ErrorKind::KeyNotAllowed, &["key a (local) or key b (local)"]);
    // The same name, and another key behind it.
    let error = offline("2025").decrypt(&message, DecryptPolicy::new()).await.unwrap_err();
    says(
        &error,
        ErrorKind::Authentication,
        &["key 2025 (local)", "wrapped under another key of that name"],
    );
}

#[tokio::test]
async fn a_wrong_scope() {
    let envelope = envelope().unwrap();
    let message = envelope.encrypt(CANARY, EncryptionContext::new()).await.unwrap();
    let tenant = envelope.for_scope("tenant-42").unwrap();
    let error = tenant.decrypt(&message, DecryptPolicy::new()).await.unwrap_err();
    says(&error, ErrorKind::Authentication, &["scope", "one it was written with"]);
}

#[tokio::test]
async fn a_context_that_is_not_the_one() {
    let envelope = envelope().unwrap();
    let message = envelope.encrypt(CANARY, [("tenant", "42")]).await.unwrap();
    let error = envelope.decrypt(&message, [("tenant", "43")]).await.unwrap_err();
    says(&error, ErrorKind::NotAccepted, &["another value for \"tenant\" than the one required"]);
    let error = envelope.decrypt(&message, [("user", "kim")]).await.unwrap_err();
    says(&error, ErrorKind::NotAccepted, &["lacks \"user\", which is required"]);
}

#[tokio::test]
async fn a_foreign_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("photo.jpg"), [0xff, 0xd8, 0xff, 0xe0].repeat(100)).unwrap();
    fs::write(path("empty"), []).unwrap();
    let envelope = envelope().unwrap();
    let open = async |name| {
        let opened = envelope.decrypt_file(path(name), path("out"), DecryptPolicy::new()).await;
        let error = opened.unwrap_err();
        assert!(!path("out").exists());
        error
    };
    says(&open("photo.jpg").await, ErrorKind::Malformed, &["photo.jpg: ", "not an ncp-envelope"]);
    says(&open("empty").await, ErrorKind::Truncated, &["empty: ", "message is empty"]);
    says(&open("nowhere").await, ErrorKind::Io, &["nowhere", "No such file"]);
}

#[tokio::test]
async fn keys_of_the_service() {
    let emulator = Emulator::start().await.unwrap();
    let url = emulator.url();
    let tag = emulator.create_key("orders").await.unwrap();
    let of = |tag: &str| Envelope::builder(key(&emulator, url, tag)).build().unwrap();
    let error = of("orders").encrypt(CANARY, EncryptionContext::new()).await.unwrap_err();
    says(&error, ErrorKind::KeyUnusable, &["key orders", "looks like a key's name: give its tag"]);

    let message = of(&tag).encrypt(CANARY, EncryptionContext::new()).await.unwrap();
    emulator.disable_key(&tag).await.unwrap();
    for error in [
        of(&tag).encrypt(CANARY, EncryptionContext::new()).await.map(drop).unwrap_err(),
        of(&tag).decrypt(&message, DecryptPolicy::new()).await.map(drop).unwrap_err(),
    ] {
        says(&error, ErrorKind::KeyUnusable, &[&tag, "disabled or to be deleted", "keys enable"]);
    }

    let nobody = "http://127.0.0.1:1";
    let envelope = Envelope::builder(key(&emulator, nobody, &tag)).build().unwrap();
    let error = envelope.encrypt(CANARY, EncryptionContext::new()).await.unwrap_err();
    says(&error, ErrorKind::Unavailable, &[&tag, nobody, "check the endpoint"]);
    assert!(error.is_retryable());
}
