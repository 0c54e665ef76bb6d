//! What is a success: the service's own word, and not a page of something on the way to it.

use super::*;
use ncp_envelope::kms::{
    ActivityQuery, CreateKey, CustomKeyBits, Key, KeyType, TokenHours, TokenLifetimes,
};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

type Outcome = Result<(), Error>;

/// Every call that changes something and gives nothing that is needed.
async fn changes(key: &Key) -> Vec<(&'static str, Outcome)> {
    let (admin, acl, tokens) = (key.admin(), key.acl(), key.tokens());
    let home = [Ipv4Addr::LOCALHOST];
    vec![
        ("enable", admin.enable().await.map(drop)),
        ("disable", admin.disable().await.map(drop)),
        ("rename", admin.rename("orders").await),
        ("memo", admin.set_memo("x").await),
        ("rotate", admin.rotate().await.map(drop)),
        ("auto rotation", admin.enable_auto_rotation().await.map(drop)),
        ("no auto rotation", admin.disable_auto_rotation().await.map(drop)),
        ("period", admin.set_rotation_period(9).await.map(drop)),
        ("enable version", admin.enable_version(1).await.map(drop)),
        ("disable version", admin.disable_version(1).await.map(drop)),
        ("request deletion", admin.request_deletion().await.map(drop)),
        ("cancel deletion", admin.cancel_deletion().await.map(drop)),
        ("delete", admin.delete().await),
        ("enable acl", acl.enable().await.map(drop)),
        ("disable acl", acl.disable().await.map(drop)),
        ("add to acl", acl.add(&home).await.map(drop)),
        ("remove from acl", acl.remove(&home).await.map(drop)),
        ("enable generator", tokens.enable_generator().await),
        ("replace generator", tokens.replace_generator().await),
        ("disable generator", tokens.disable_generator().await),
    ]
}

/// Every other call.
async fn calls(client: &Client) -> Vec<(&'static str, Outcome)> {
    let key = client.key("tag").unwrap();
    let (admin, tokens) = (key.admin(), key.tokens());
    let (token, lifetimes) = (REFRESH.into(), TokenLifetimes::default());
    let create = CreateKey::new("orders", KeyType::Aes256);
    vec![
        ("encrypt", key.encrypt(b"x").await.map(drop)),
        ("encrypt many", key.encrypt_many(&["x", "y"]).await.map(drop)),
        ("decrypt", key.decrypt("x").await.map(drop)),
        ("re-encrypt", key.re_encrypt("x").await.map(drop)),
        ("custom key", key.create_custom_key(CustomKeyBits::Bits128).await.map(drop)),
        ("sign", key.sign(b"x").await.map(drop)),
        ("verify", key.verify(b"x", "x").await.map(drop)),
        ("public key", key.public_key(None).await.map(drop)),
        ("create set", tokens.create_set(&lifetimes).await.map(drop)),
        ("renew set", tokens.renew_set(&token, &lifetimes).await.map(drop)),
        ("access", tokens.new_access_token(&token, Some(TokenHours::Hours(1))).await.map(drop)),
        ("validate", tokens.validate(&token).await.map(drop)),
        ("generator", tokens.generator().await.map(drop)),
        ("create key", client.keys().create(&create).await.map(drop)),
        ("list keys", client.keys().page(1, 1).await.map(drop)),
        ("info", admin.info().await.map(drop)),
        ("versions", admin.versions().await.map(drop)),
        ("activities", admin.activity_page(&ActivityQuery::new(), 1, 1).await.map(drop)),
        ("last use", admin.last_use().await.map(drop)),
        ("acl", key.acl().list().await.map(drop)),
    ]
}

fn foreign() -> Vec<Reply> {
    let bodies = ["{}", r#"{"status":"login"}"#, r#"{"data":null}"#, r#"{"msg":"SUCCESS"}"#];
    let json = bodies.map(|body| Reply::new(200, "application/json", body));
    let page = "<html>please log in</html>";
    let others = [
        Reply::new(200, "text/html", page),
        Reply::new(202, "text/plain", "SUCCESS"),
        Reply::json(200, &json!("SUCCESS")),
        Reply::json(200, &json!([{ "code": "SUCCESS" }])),
        Reply::new(200, "application/json", " "),
    ];
    json.into_iter().chain(others).collect()
}

fn assert_foreign(call: &str, outcome: Outcome) {
    let error = outcome.expect_err(call);
    assert_eq!(kind(&error), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(text.contains("check the endpoint, and any proxy on the way"), "{call}: {text}");
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_answer_to_any_call() {
    for reply in foreign() {
        let server = always(reply).await;
        let client = account(&server);
        let outcomes = changes(&client.key("tag").unwrap()).await;
        assert_eq!(server.requests().len(), outcomes.len(), "each of them once");
        for (call, outcome) in outcomes.into_iter().chain(calls(&client).await) {
            assert_foreign(call, outcome);
        }
        // API 1.0, whose oldest pages print results alone.
        let key = api_1(&server).key("tag").unwrap();
        assert_foreign("encrypt", key.encrypt(b"x").await.map(drop));
        assert_foreign("decrypt", key.decrypt("x").await.map(drop));
        assert_foreign("re-encrypt", key.re_encrypt("x").await.map(drop));
    }
}

#[tokio::test]
async fn a_change_took_place_if_the_service_says_so_or_nothing() {
    for reply in [
        Reply::json(200, &json!({ "code": "SUCCESS" })),
        success(Value::Null),
        success(json!(["odd"])),
        Reply::new(200, "application/json", ""),
        Reply::new(204, "text/plain", ""),
        Reply::new(202, "text/plain", ""),
    ] {
        let server = always(reply).await;
        for (call, outcome) in changes(&account(&server).key("tag").unwrap()).await {
            outcome.unwrap_or_else(|error| panic!("{call}: {error}"));
        }
    }
}

#[tokio::test]
async fn an_empty_answer_gives_nothing_that_was_asked_for() {
    let server = always(Reply::new(204, "text/plain", "")).await;
    for (call, outcome) in calls(&account(&server)).await {
        assert_foreign(call, outcome);
    }
}

#[tokio::test]
async fn a_refusal_of_a_proxy_says_nothing_about_a_token() {
    let server = always(Reply::new(401, "text/html", "<html>")).await;
    let tokens = account(&server).key("tag").unwrap().tokens();
    let error = tokens.validate(&REFRESH.into()).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Credentials);
}
