//! The state that outlives an emulator.

use crate::client::{Call, base64, encrypt, millis, path};
use aws_lc_rs::digest;
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{Emulator, EmulatorClock, KeyKind};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

async fn open(dir: &Path) -> Emulator {
    Emulator::builder().state_dir(dir).start().await.unwrap()
}

async fn call(emulator: &Emulator, action: &str, body: Value) -> Value {
    let now = millis(EmulatorClock::system().now());
    Call::post(path(emulator, action), body).signed_at(emulator, false, now).data(emulator).await
}

/// Calls a path after `/kms/v1/keys/` as the account.
async fn on(emulator: &Emulator, method: &'static str, rest: &str, body: Value) -> Value {
    let now = millis(EmulatorClock::system().now());
    Call::new(method, format!("/kms/v1/keys/{rest}"), body)
        .signed_at(emulator, false, now)
        .data(emulator)
        .await
}

#[tokio::test]
async fn keys_credentials_and_tokens_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new/state");
    let first = open(&dir).await;
    let tag = first.key_tag().to_owned();
    let old =
        call(&first, "encrypt", json!({ "plaintext": base64("old") })).await["ciphertext"].take();
    first.rotate_key(&tag).await.unwrap();
    let new =
        call(&first, "encrypt", json!({ "plaintext": base64("new") })).await["ciphertext"].take();
    let other = first.create_key("other").await.unwrap();
    let token = first.access_token().await.unwrap().to_owned();
    let secrets = [first.secret_key(), first.apigw_api_key()].map(str::to_owned);
    first.disable_key(&other).await.unwrap();
    first.shutdown().await;

    let second = open(&dir).await;
    assert_eq!(second.key_tag(), tag);
    assert_eq!([second.secret_key(), second.apigw_api_key()], secrets);
    let both = call(&second, "decrypt", json!({ "ciphertext": [old, new] })).await;
    assert_eq!(both["plaintext"], json!([base64("old"), base64("new")]));
    encrypt(&second).token(&token).data(&second).await;
    assert_ne!(second.access_token().await.unwrap(), "");
    assert_eq!(second.rotate_key(&other).await.unwrap_err().kind(), ErrorKind::KeyUnusable);
    assert_eq!(second.rotate_key(&tag).await.unwrap(), 3);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    let emulator = open(&dir).await;
    emulator.rotate_key(emulator.key_tag()).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["state.json", "state.lock"]);
}

/// A state file with this state.
fn summed(state: &str) -> String {
    let sum = digest::digest(&digest::SHA256, state.as_bytes());
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"format":"ncp-envelope-emulator","version":3,"sha256":"{sum}","state":{state}}}"#)
}

#[tokio::test]
async fn damaged_and_foreign_files_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let path = dir.path().join("state.json");
    let good = fs::read_to_string(&path).unwrap();
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut file: Value = serde_json::from_str(&good).unwrap();
        change(&mut file);
        file.to_string()
    };
    // With a checksum that fits, so that nothing but the change is wrong.
    let state = |change: &dyn Fn(&mut Value)| {
        let mut file: Value = serde_json::from_str(&good).unwrap();
        change(&mut file["state"]);
        summed(&file["state"].to_string())
    };
    fs::write(&path, state(&|_| ())).unwrap();
    drop(open(dir.path()).await);
    for (bad, kind) in [
        (String::new(), ErrorKind::Malformed),
        ("{}".into(), ErrorKind::Malformed),
        (good[..good.len() / 2].to_owned(), ErrorKind::Malformed),
        (format!("{good}x"), ErrorKind::Malformed),
        (edit(&|file| file["format"] = json!("other")), ErrorKind::Malformed),
        (edit(&|file| file["version"] = json!(1)), ErrorKind::UnsupportedVersion),
        (edit(&|file| file["version"] = json!(2)), ErrorKind::UnsupportedVersion),
        (edit(&|file| file["version"] = json!(4)), ErrorKind::UnsupportedVersion),
        (
            edit(&|file| (file["version"], file["more"]) = (json!(9), json!(1))),
            ErrorKind::UnsupportedVersion,
        ),
        (edit(&|file| file["more"] = json!(1)), ErrorKind::Malformed),
        (edit(&|file| file["sha256"] = json!("")), ErrorKind::Malformed),
        (edit(&|file| file["state"] = json!(null)), ErrorKind::Malformed),
        (state(&|state| state["more"] = json!(1)), ErrorKind::Malformed),
        (state(&|state| state["ready_key"] = json!("none")), ErrorKind::Malformed),
        (state(&|state| state["keys"] = json!([])), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["versions"] = json!([])), ErrorKind::Malformed),
        (
            state(&|state| state["keys"][0]["versions"][0]["version"] = json!(2)),
            ErrorKind::Malformed,
        ),
        (
            state(&|state| state["keys"][0]["versions"][0]["key"] = json!("AAAA")),
            ErrorKind::Malformed,
        ),
        (state(&|state| state["keys"][0]["tag"] = json!("a/b")), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["key_type"] = json!("RSA2048")), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["key_type"] = json!("ECDSA")), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["status"] = json!("REVOKE")), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["rotation_period"] = json!(0)), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["id"] = json!(9)), ErrorKind::Malformed),
        (state(&|state| state["keys"][0]["acl"]["allowed"] = json!(["::1"])), ErrorKind::Malformed),
        (state(&|state| state["account"]["secret_key"] = json!("")), ErrorKind::Malformed),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = Emulator::builder().state_dir(dir.path()).start().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bad}");
        assert!(error.to_string().contains("state.json"));
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
    fs::write(&path, &good).unwrap();
    open(dir.path()).await;
}

/// A key that a disk or an editor has changed is still a key, and opens nothing any more.
#[tokio::test]
async fn changed_bytes_of_a_key_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let running = open(dir.path()).await;
    let path = dir.path().join("state.json");
    let good = fs::read_to_string(&path).unwrap();
    let file: Value = serde_json::from_str(&good).unwrap();
    let state = &file["state"];
    let account = &state["account"];
    for secret in
        [&state["keys"][0]["versions"][0]["key"], &account["secret_key"], &account["access_key"]]
    {
        let secret = secret.as_str().unwrap();
        for place in [0, secret.len() / 2] {
            let mut changed = secret.to_owned().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let bad = good.replace(secret, &String::from_utf8(changed).unwrap());
            assert_ne!(bad, good);
            fs::write(&path, &bad).unwrap();
            let again = Emulator::builder().state_dir(dir.path()).start().await.unwrap_err();
            // Nor does one that is running write over it.
            let change = running.rotate_key(running.key_tag()).await.unwrap_err();
            for error in [again, change] {
                assert_eq!(error.kind(), ErrorKind::Malformed);
                let said = error.to_string();
                assert!(said.contains("checksum") && said.contains("state.json"), "{said}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(running.rotate_key(running.key_tag()).await.unwrap(), 2);
}

#[tokio::test]
async fn what_killed_processes_left_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    for name in [".ncp-envelope-a1B2c3.tmp", ".ncp-envelope-x.tmp", ".ncp-envelope", "state-x"] {
        fs::write(dir.path().join(name), "keys").unwrap();
    }
    fs::create_dir(dir.path().join(".ncp-envelope-dir.tmp")).unwrap();
    drop(open(dir.path()).await);
    assert_eq!(
        names(),
        [".ncp-envelope", ".ncp-envelope-dir.tmp", "state-x", "state.json", "state.lock"]
    );
}

/// Those that live hold the lock while they write: what they write is theirs, however many others
/// start meanwhile.
#[tokio::test]
async fn what_live_processes_write_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await;
    let lock = fs::File::options().write(true).open(dir.path().join("state.lock")).unwrap();
    lock.lock().unwrap();
    let written = dir.path().join(".ncp-envelope-live.tmp");
    fs::write(&written, "keys").unwrap();
    let starting = tokio::spawn(Emulator::builder().state_dir(dir.path()).start());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(written.exists() && !starting.is_finished());
    fs::rename(&written, dir.path().join("given-its-name")).unwrap();
    lock.unlock().unwrap();
    drop(starting.await.unwrap().unwrap());

    let starts = tokio::spawn({
        let dir = dir.path().to_owned();
        async move {
            for _ in 0..20 {
                drop(open(&dir).await);
            }
        }
    });
    for version in 2..40 {
        assert_eq!(first.rotate_key(first.key_tag()).await.unwrap(), version);
    }
    starts.await.unwrap();
}

#[tokio::test]
async fn every_kind_of_key_and_all_that_is_set_on_it_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await;
    let mut sealed = Vec::new();
    for (kind, name) in [
        (KeyKind::Convergent, "convergent"),
        (KeyKind::Rsa2048, "rsa"),
        (KeyKind::EcdsaP256, "ecdsa"),
    ] {
        let tag = first.create_key_of(kind, name).await.unwrap();
        let (action, field) =
            if name == "ecdsa" { ("sign", "data") } else { ("encrypt", "plaintext") };
        let body = json!({ field: base64("x"), "context": base64("c") });
        sealed.push((tag.clone(), on(&first, "POST", &format!("{tag}/{action}"), body).await));
    }
    let tag = sealed[0].0.clone();
    on(&first, "PUT", &format!("{tag}/memo"), json!({ "memo": "kept" })).await;
    on(&first, "POST", &format!("{tag}/acl"), json!({ "ipList": ["10.0.0.1"] })).await;
    on(&first, "POST", &format!("{tag}/enable-auto-rotation"), Value::Null).await;
    on(&first, "POST", &format!("{tag}/token-generator"), Value::Null).await;
    let looks = ["", "/acl", "/versions", "/token-generator"].map(|look| format!("{tag}{look}"));
    let mut before = Vec::new();
    for look in &looks {
        before.push(on(&first, "GET", look, Value::Null).await);
    }
    first.shutdown().await;

    let second = open(dir.path()).await;
    for (look, before) in looks.iter().zip(before) {
        let mut after = on(&second, "GET", look, Value::Null).await;
        if let Some(url) = after.get_mut("baseUrl") {
            *url = before["baseUrl"].clone();
        }
        assert_eq!(after, before, "{look}");
    }
    for (tag, data) in sealed {
        if let Some(ciphertext) = data.get("ciphertext") {
            let body = json!({ "ciphertext": ciphertext, "context": base64("c") });
            assert_eq!(
                on(&second, "POST", &format!("{tag}/decrypt"), body).await["plaintext"],
                base64("x")
            );
        } else {
            let body = json!({ "data": base64("x"), "signature": data["signature"] });
            assert_eq!(on(&second, "POST", &format!("{tag}/verify"), body).await["valid"], true);
        }
    }
}

#[tokio::test]
async fn many_may_open_a_new_directory_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state");
    let starts: Vec<_> =
        (0..8).map(|_| tokio::spawn(Emulator::builder().state_dir(&dir).start())).collect();
    let mut emulators = Vec::new();
    for start in starts {
        emulators.push(start.await.unwrap().unwrap());
    }
    let secret = emulators[0].secret_key();
    assert!(
        emulators.iter().all(|emulator| emulator.secret_key() == secret
            && emulator.key_tag() == emulators[0].key_tag())
    );

    // Changes of one do not undo those of another.
    for (version, emulator) in (2..).zip(&emulators) {
        assert_eq!(emulator.rotate_key(emulator.key_tag()).await.unwrap(), version);
    }
    let last = open(&dir).await;
    let sealed = call(&last, "encrypt", json!({ "plaintext": "" })).await;
    assert!(sealed["ciphertext"].as_str().unwrap().starts_with("ncpkms:v9:"));
}

#[tokio::test]
async fn a_failed_change_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = open(dir.path()).await;
    let path = dir.path().join("state.json");
    fs::write(&path, "damaged").unwrap();
    assert_eq!(
        emulator.rotate_key(emulator.key_tag()).await.unwrap_err().kind(),
        ErrorKind::Malformed
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "damaged");
    let sealed = call(&emulator, "encrypt", json!({ "plaintext": "" })).await;
    assert!(sealed["ciphertext"].as_str().unwrap().starts_with("ncpkms:v1:"));
    fs::remove_file(&path).unwrap();
    assert_eq!(emulator.rotate_key(emulator.key_tag()).await.unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_directory_of_another_account_is_not_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || Emulator::builder().state_dir(dir.path());
    builder().account("access", "secret").key_tag("tag").start().await.unwrap();
    builder().account("access", "secret").key_tag("tag").start().await.unwrap();
    assert_eq!(builder().start().await.unwrap().access_key(), "access");
    for wrong in [
        builder().account("access", "other"),
        builder().key_tag("other"),
        builder().apigw_api_key("other"),
    ] {
        assert_eq!(wrong.start().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn starting_without_tokens_is_quick_and_makes_no_signing_key() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = open(dir.path()).await;
    call(&emulator, "encrypt", json!({ "plaintext": "" })).await;
    let state: Value =
        serde_json::from_slice(&fs::read(dir.path().join("state.json")).unwrap()).unwrap();
    assert_eq!(state["state"]["keys"][0]["token_generator"]["pkcs8"], Value::Null);
    let tokens = emulator
        .issue_tokens(emulator.key_tag(), Duration::from_secs(9), Duration::from_secs(9))
        .await
        .unwrap();
    encrypt(&emulator).token(tokens.access_token()).data(&emulator).await;
    let state: Value =
        serde_json::from_slice(&fs::read(dir.path().join("state.json")).unwrap()).unwrap();
    assert!(state["state"]["keys"][0]["token_generator"]["pkcs8"].is_string());
}
