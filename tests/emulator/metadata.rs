//! The cloud's metadata service, called as the vendor's SDK and public scripts do.

use crate::client::{Call, NOW, encrypt, frozen, path, sign};
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{
    AuthRow, Emulator, EmulatorBuilder, EmulatorClock, Fault, FaultKind, FaultShape, Metadata,
};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN: &str = "X-NCP-METADATA-TOKEN";
const TTL: &str = "X-NCP-METADATA-TOKEN-TTL-SECONDS";

fn builder(metadata: Metadata) -> (EmulatorBuilder, EmulatorClock) {
    let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW));
    (Emulator::builder().clock(clock.clone()).metadata(metadata), clock)
}

async fn start(metadata: Metadata) -> (Emulator, EmulatorClock) {
    let (builder, clock) = builder(metadata);
    (builder.start().await.unwrap(), clock)
}

fn request(
    emulator: &Emulator,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let url = format!("{}{path}", emulator.metadata_url().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    headers
        .iter()
        .fold(client.request(method, url), |request, (name, value)| request.header(*name, *value))
}

async fn ask(
    emulator: &Emulator,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let response = request(emulator, method, path, headers).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn get(emulator: &Emulator, rest: &str) -> (u16, String) {
    ask(emulator, "GET", &format!("{CREDENTIALS}{rest}"), &[]).await
}

/// The keys of the first role, requested with version 1.
async fn keys(emulator: &Emulator) -> Value {
    let (_, roles) = get(emulator, "").await;
    let (status, keys) = get(emulator, roles.lines().next().unwrap()).await;
    assert_eq!(status, 200);
    serde_json::from_str(&keys).unwrap()
}

/// Signs `call` with keys of the metadata service.
fn signed(call: Call, keys: &Value, time: u64) -> Call {
    let [access, secret] =
        ["AccessKeyId", "SecretAccessKey"].map(|name| keys[name].as_str().unwrap());
    let signature = sign(secret, call.method, &call.target, &time.to_string(), None, access);
    call.header("x-ncp-apigw-timestamp", time.to_string())
        .header("x-ncp-iam-access-key", access)
        .header("x-ncp-apigw-signature-v2", signature)
}

#[tokio::test]
async fn version_2_takes_a_token_and_version_1_none() {
    let (emulator, clock) = start(Metadata::new()).await;
    let (status, token) = ask(&emulator, "PUT", "/latest/api/token", &[(TTL, "300")]).await;
    assert_eq!(status, 200);
    let with = |token: &str| vec![(TOKEN, token.to_owned())];
    let listed = (200, "emulator-role".to_owned());
    for headers in [Vec::new(), with(&token)] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(ask(&emulator, "GET", CREDENTIALS, &headers).await, listed);
    }
    let path = format!("{CREDENTIALS}emulator-role");
    let (status, keys) = ask(&emulator, "GET", &path, &[(TOKEN, &token)]).await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(status, 200);
    for (name, value) in [
        ("Code", "Success"),
        ("Type", "NCP-HMAC"),
        ("Token", ""),
        ("LastUpdated", "2023-11-14T22:13:20Z"),
        ("Expiration", "2023-11-14T23:13:20Z"),
    ] {
        assert_eq!(keys[name], value);
    }
    // A wrong token is refused even where none is needed, and so is one that has ended.
    for token in ["other", ""] {
        assert_eq!(ask(&emulator, "GET", CREDENTIALS, &[(TOKEN, token)]).await.0, 401);
    }
    clock.advance(Duration::from_millis(299_999));
    assert_eq!(ask(&emulator, "GET", CREDENTIALS, &[(TOKEN, &token)]).await.0, 200);
    clock.advance(Duration::from_millis(1));
    assert_eq!(ask(&emulator, "GET", CREDENTIALS, &[(TOKEN, &token)]).await.0, 401);
    for ttl in ["0", "-1", "21601", "1.5", ""] {
        assert_eq!(ask(&emulator, "PUT", "/latest/api/token", &[(TTL, ttl)]).await.0, 400, "{ttl}");
    }
    assert_eq!(ask(&emulator, "PUT", "/latest/api/token", &[]).await.0, 400);
    assert_eq!(ask(&emulator, "GET", "/latest/api/token", &[]).await.0, 405);
    assert_eq!(ask(&emulator, "POST", CREDENTIALS, &[]).await.0, 405);
    for path in ["/", "/latest/meta-data/", &CREDENTIALS[..CREDENTIALS.len() - 1]] {
        assert_eq!(ask(&emulator, "GET", path, &[]).await.0, 404, "{path}");
    }
    assert_eq!(get(&emulator, "other").await.0, 404);
}

#[tokio::test]
async fn one_version_may_be_all_there_is() {
    let (older, _) = start(Metadata::new().version_1_only()).await;
    assert_eq!(ask(&older, "PUT", "/latest/api/token", &[(TTL, "300")]).await.0, 405);
    assert_eq!(ask(&older, "GET", CREDENTIALS, &[(TOKEN, "any")]).await.0, 200);
    let (newer, _) = start(Metadata::new().version_2_only()).await;
    assert_eq!(get(&newer, "").await.0, 401);
    let (_, token) = ask(&newer, "PUT", "/latest/api/token", &[(TTL, "1")]).await;
    assert_eq!(ask(&newer, "GET", CREDENTIALS, &[(TOKEN, &token)]).await.0, 200);
}

#[tokio::test]
async fn keys_are_accepted_until_they_end() {
    let (emulator, clock) = start(Metadata::new().key_lifetime(Duration::from_secs(600))).await;
    let keys = keys(&emulator).await;
    for prefix in ["/kms/v1/keys", "/keys/v2"] {
        let target = format!("{prefix}/{}/encrypt", emulator.key_tag());
        let call = signed(Call::post(target, json!({ "plaintext": "dGVzdA==" })), &keys, NOW);
        call.data(&emulator).await;
        let wrong = json!({ "AccessKeyId": keys["AccessKeyId"], "SecretAccessKey": "other" });
        signed(call, &wrong, NOW).stopped(&emulator, 401, "200").await;
    }
    // Tokens that they issue are those of the role, and outlive them.
    let issue = signed(Call::post(path(&emulator, "token-set"), Value::Null), &keys, NOW);
    let token = issue.data(&emulator).await["accessToken"].as_str().unwrap().to_owned();

    clock.advance(Duration::from_millis(599_999));
    signed(encrypt(&emulator), &keys, NOW + 599_999).data(&emulator).await;
    clock.advance(Duration::from_millis(1));
    signed(encrypt(&emulator), &keys, NOW + 600_000).stopped(&emulator, 401, "200").await;
    assert_eq!(emulator.requests().last().unwrap().refusal, Some("access key has expired"));
    encrypt(&emulator).token(&token).data(&emulator).await;
    clock.rewind(Duration::from_millis(1));
    signed(encrypt(&emulator), &keys, NOW + 599_999).data(&emulator).await;
}

#[tokio::test]
async fn keys_are_new_each_time_or_kept_until_little_is_left() {
    let (each, _) = start(Metadata::new()).await;
    let (first, second) = (keys(&each).await, keys(&each).await);
    assert_ne!(first["AccessKeyId"], second["AccessKeyId"]);
    for keys in [&first, &second] {
        signed(encrypt(&each), keys, NOW).data(&each).await;
    }

    let metadata =
        Metadata::new().key_lifetime(Duration::from_secs(600)).renewed(Duration::from_secs(60));
    let (kept, clock) = start(metadata).await;
    let first = keys(&kept).await;
    clock.advance(Duration::from_secs(540));
    assert_eq!(keys(&kept).await, first);
    clock.advance(Duration::from_secs(1));
    let second = keys(&kept).await;
    assert_ne!(second["AccessKeyId"], first["AccessKeyId"]);
    assert_eq!(second["Expiration"], "2023-11-14T22:32:21Z");
    for keys in [&first, &second] {
        signed(encrypt(&kept), keys, NOW + 541_000).data(&kept).await;
    }
}

#[tokio::test]
async fn roles_may_do_what_is_permitted_to_them() {
    let metadata = Metadata::new().role("viewer", &["NCP_KMS_VIEWER"]).role("nothing", &[]);
    let (emulator, _) = start(metadata).await;
    assert_eq!(get(&emulator, "").await, (200, "viewer\nnothing".to_owned()));
    let viewer = keys(&emulator).await;
    let show = || Call::new("GET", format!("/kms/v1/keys/{}", emulator.key_tag()), Value::Null);
    signed(show(), &viewer, NOW).data(&emulator).await;
    signed(encrypt(&emulator), &viewer, NOW).refused(&emulator, 403, "FORBIDDEN").await;
    let nothing: Value = serde_json::from_str(&get(&emulator, "nothing").await.1).unwrap();
    signed(show(), &nothing, NOW).stopped(&emulator, 401, "210").await;

    let (bare, _) = start(Metadata::new().no_role()).await;
    assert_eq!(get(&bare, "").await.0, 404);
    for wrong in [
        Metadata::new().role("", &[]),
        Metadata::new().role("a/b", &[]),
        Metadata::new().role("a", &[]).role("a", &[]),
        Metadata::new().role("a", &["Change/everything"]),
        Metadata::new().key_lifetime(Duration::from_millis(999)),
        Metadata::new().listen("0.0.0.0:0".parse().unwrap()),
    ] {
        let error = builder(wrong).0.start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(frozen().await.0.metadata_url(), None);
}

#[tokio::test]
async fn it_fails_on_demand() {
    let (emulator, _) = start(Metadata::new()).await;
    // What goes wrong with the key service does not touch it, nor the other way round.
    emulator.inject(Fault::new(FaultKind::Silent)).await.unwrap();
    assert_eq!(get(&emulator, "").await.0, 200);
    emulator.clear_faults().await;

    let status = |status| FaultKind::Status { status, shape: FaultShape::Html, retry_after: None };
    for refused in [404, 405, 500] {
        let fault = Fault::new(status(refused)).on_action("metadata-token").once();
        emulator.inject(fault).await.unwrap();
        let put = async || ask(&emulator, "PUT", "/latest/api/token", &[(TTL, "300")]).await.0;
        assert_eq!((put().await, put().await), (refused, 200));
    }
    let on_keys = |kind| Fault::new(kind).on_action("metadata-keys").once();
    emulator.inject(on_keys(FaultKind::Code("Failed".into()))).await.unwrap();
    let failed = keys(&emulator).await;
    assert_eq!((&failed["Code"], &failed["AccessKeyId"]), (&json!("Failed"), &Value::Null));
    assert!(failed["Message"].is_string());
    emulator.inject(on_keys(FaultKind::MissingField)).await.unwrap();
    let incomplete = keys(&emulator).await;
    assert_eq!(
        (&incomplete["Code"], &incomplete["SecretAccessKey"]),
        (&json!("Success"), &Value::Null)
    );
    emulator.inject(on_keys(FaultKind::NotJson)).await.unwrap();
    assert!(get(&emulator, "emulator-role").await.1.starts_with("<html>"));
    emulator.inject(on_keys(FaultKind::ClockShift(-3_600_000))).await.unwrap();
    let ended = keys(&emulator).await;
    assert_eq!(ended["Expiration"], "2023-11-14T22:13:20Z");
    signed(encrypt(&emulator), &ended, NOW).stopped(&emulator, 401, "200").await;
    for kind in [FaultKind::ResetBefore, FaultKind::ResetAfter, FaultKind::CutBody] {
        emulator.inject(on_keys(kind.clone())).await.unwrap();
        let path = format!("{CREDENTIALS}emulator-role");
        let answer = request(&emulator, "GET", &path, &[]).send().await;
        let answer = async { answer?.text().await }.await;
        assert!(answer.is_err(), "{kind:?}: {answer:?}");
    }
    emulator.inject(on_keys(FaultKind::Silent)).await.unwrap();
    let path = format!("{CREDENTIALS}emulator-role");
    let silent = request(&emulator, "GET", &path, &[]).timeout(Duration::from_millis(50));
    assert!(silent.send().await.unwrap_err().is_timeout());
    signed(encrypt(&emulator), &keys(&emulator).await, NOW).data(&emulator).await;
}

#[tokio::test]
async fn its_requests_are_counted_apart() {
    let (emulator, _) = start(Metadata::new()).await;
    ask(&emulator, "PUT", "/latest/api/token", &[(TTL, "300")]).await;
    let keys = keys(&emulator).await;
    get(&emulator, "other").await;
    assert_eq!(emulator.request_count(), 0);
    let seen: Vec<_> = emulator
        .metadata_requests()
        .iter()
        .map(|request| (request.action, request.auth, request.status))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("metadata-token"), AuthRow::None, 200),
            (Some("metadata-roles"), AuthRow::None, 200),
            (Some("metadata-keys"), AuthRow::None, 200),
            (Some("metadata-keys"), AuthRow::None, 404),
        ]
    );
    let shown = format!("{:?}", emulator.metadata_requests());
    assert!(!shown.contains(keys["SecretAccessKey"].as_str().unwrap()));
}
