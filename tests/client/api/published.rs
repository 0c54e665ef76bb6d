//! The client against what the service's documentation shows of itself.

use crate::api::{account, api_1, builder, kind};
use crate::samples::{
    ACCESS_LIFETIME, ACCESS_TOKEN, ANSWER, CIPHERTEXT, ISSUED, KEY_TAG, ODD_CIPHERTEXT,
    REFRESH_LIFETIME, REFRESH_TOKEN,
};
use crate::server::{Reply, Server, success};
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::{Credentials, TokenClaims, TokenKind};
use serde_json::{Value, json};

#[tokio::test]
async fn the_published_answer_is_read() {
    let server =
        Server::start(|_, _| Reply::new(200, "application/json;charset=UTF-8", ANSWER)).await;
    for client in [api_1(&server), account(&server)] {
        let key = client.key(KEY_TAG).unwrap();
        assert_eq!(key.encrypt(b"test").await.unwrap(), CIPHERTEXT);
        // It has no such field.
        assert_eq!(kind(&key.decrypt(CIPHERTEXT).await.unwrap_err()), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn the_published_ciphertexts_are_sent_as_they_are() {
    let server = Server::start(|_, _| success(json!({ "plaintext": "dGVzdA==" }))).await;
    let key = account(&server).key(KEY_TAG).unwrap();
    for ciphertext in [CIPHERTEXT, ODD_CIPHERTEXT] {
        let plaintext = key.decrypt(ciphertext).await.unwrap();
        assert_eq!(plaintext.expose_secret(), b"test");
        let sent: Value = serde_json::from_str(&server.requests().last().unwrap().body).unwrap();
        assert_eq!(sent, json!({ "ciphertext": ciphertext }));
    }
}

#[test]
fn the_published_tokens_say_what_is_read_of_them() {
    for (token, expected, lifetime) in [
        (ACCESS_TOKEN, TokenKind::Access, ACCESS_LIFETIME),
        (REFRESH_TOKEN, TokenKind::Refresh, REFRESH_LIFETIME),
    ] {
        let claims = TokenClaims::peek(token);
        let second = |time: Option<ncp_envelope::kms::Timestamp>| time.unwrap().millis() / 1000;
        assert_eq!(second(claims.issued_at), ISSUED);
        assert_eq!(second(claims.expires_at), ISSUED + lifetime);
        assert_eq!((claims.kind, claims.key_tag.as_deref()), (Some(expected), Some(KEY_TAG)));
    }
}

/// They expired years ago by any clock; refusing them is up to the service.
#[tokio::test]
async fn the_published_tokens_are_sent_as_they_are() {
    let server = Server::start(|_, _| success(json!({ "plaintext": "dGVzdA==" }))).await;
    let token = Credentials::token(ACCESS_TOKEN, None).unwrap();
    let client = builder(&server).credentials(token).build().unwrap();
    client.key(KEY_TAG).unwrap().decrypt(CIPHERTEXT).await.unwrap();
    assert_eq!(server.requests()[0].header("x-ncp-ocapi-token"), Some(ACCESS_TOKEN));
}
