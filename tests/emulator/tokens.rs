//! Key tokens: issue, renewal, and everything a token is refused for.

use crate::client::{Call, NOW, call, encrypt, frozen, path};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ncp_envelope::emulator::{AuthRow, Emulator, TokenSet};
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn token(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap().to_owned()
}

async fn issue(emulator: &Emulator, access: u64, refresh: u64) -> TokenSet {
    emulator
        .issue_tokens(emulator.key_tag(), Duration::from_secs(access), Duration::from_secs(refresh))
        .await
        .unwrap()
}

#[tokio::test]
async fn an_access_token_makes_cipher_calls() {
    let (emulator, _) = frozen().await;
    let access = emulator.access_token().await.unwrap();
    let sealed = encrypt(&emulator).token(access).data(&emulator).await["ciphertext"].take();
    for action in ["decrypt", "re-encrypt", "reencrypt"] {
        Call::post(path(&emulator, action), json!({ "ciphertext": sealed }))
            .token(access)
            .data(&emulator)
            .await;
    }
    assert!(
        emulator
            .requests()
            .iter()
            .all(|request| request.auth == AuthRow::AccessToken && request.items == 1)
    );
    // API 1.0 knows no tokens.
    for prefix in ["/keys/v1", "/keys/v2"] {
        let older = Call::post(
            format!("{prefix}/{}/encrypt", emulator.key_tag()),
            json!({ "plaintext": "" }),
        );
        older.token(access).stopped(&emulator, 401, "200").await;
    }
}

#[tokio::test]
async fn claims_are_those_of_the_published_samples() {
    let (emulator, _) = frozen().await;
    let (access, refresh) = (
        claims(emulator.access_token().await.unwrap()),
        claims(emulator.refresh_token().await.unwrap()),
    );
    for (claims, kind, seconds) in
        [(&access, "ACCESS", 72 * 3600), (&refresh, "REFRESH", 2160 * 3600)]
    {
        let names: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["1", "2", "3", "4", "exp", "iat", "sub"]);
        assert_eq!(claims["1"], kind);
        assert_eq!(claims["2"], format!("keytag__{}", emulator.key_tag()));
        assert_eq!(claims["3"], "EXT");
        assert_eq!(claims["iat"], NOW / 1000);
        assert_eq!(claims["exp"], NOW / 1000 + seconds);
        let mut codes: Vec<u64> =
            claims["4"].as_array().unwrap().iter().map(|code| code.as_u64().unwrap()).collect();
        codes.sort_unstable();
        assert_eq!(codes, (0..40).filter(|code| ![3, 5].contains(code)).collect::<Vec<_>>());
        assert_eq!(claims["sub"].as_str().unwrap().len(), 36);
    }
    assert_eq!(access["sub"], refresh["sub"]);
}

#[tokio::test]
async fn the_account_issues_and_the_refresh_token_renews() {
    let (emulator, _) = frozen().await;
    let set =
        call(&emulator, "token-set", json!({ "accessTokenHours": 1, "refreshTokenHours": "UL" }))
            .await;
    let (access, refresh) = (token(&set, "accessToken"), token(&set, "refreshToken"));
    assert_eq!(claims(&access)["exp"], NOW / 1000 + 3600);
    assert_eq!(claims(&refresh).get("exp"), None);

    let renewed = Call::new("PUT", path(&emulator, "token-set"), Value::Null)
        .token(&refresh)
        .data(&emulator)
        .await;
    assert_eq!(claims(&token(&renewed, "accessToken"))["exp"], NOW / 1000 + 72 * 3600);
    assert_eq!(claims(&token(&renewed, "refreshToken"))["exp"], NOW / 1000 + 2160 * 3600);
    let more = Call::post(path(&emulator, "access-token"), json!({ "accessTokenHours": 17_520 }))
        .token(&refresh)
        .data(&emulator)
        .await;
    assert_eq!(more.as_object().unwrap().len(), 1);
    // None of this voids the older tokens.
    for access in [&access, &token(&renewed, "accessToken"), &token(&more, "accessToken")] {
        encrypt(&emulator).token(access).data(&emulator).await;
    }
    for body in [
        json!({ "accessTokenHours": 0 }),
        json!({ "accessTokenHours": 17_521 }),
        json!({ "refreshTokenHours": "x" }),
        json!([]),
    ] {
        Call::post(path(&emulator, "token-set"), body)
            .signed(&emulator)
            .refused(&emulator, 400, "INVALID_REQUEST")
            .await;
    }
}

#[tokio::test]
async fn each_call_takes_its_own_kind_of_credential() {
    let (emulator, _) = frozen().await;
    let tokens = issue(&emulator, 60, 60).await;
    let put = Call::new("PUT", path(&emulator, "token-set"), Value::Null);
    let post = Call::post(path(&emulator, "access-token"), Value::Null);
    encrypt(&emulator).token(tokens.refresh_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
    for call in [put, post] {
        call.clone().token(tokens.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
        call.clone().signed(&emulator).refused(&emulator, 401, "UNAUTHORIZED").await;
        call.refused(&emulator, 401, "UNAUTHORIZED").await;
    }
    let issue = Call::post(path(&emulator, "token-set"), Value::Null);
    for token in [tokens.access_token(), tokens.refresh_token()] {
        issue.clone().token(token).stopped(&emulator, 401, "200").await;
    }
    // A bad token is not saved by a good signature.
    encrypt(&emulator).signed(&emulator).token("x").refused(&emulator, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn tokens_expire_by_the_emulators_clock() {
    let (emulator, clock) = frozen().await;
    let tokens = issue(&emulator, 10, 20).await;
    let renew =
        Call::post(path(&emulator, "access-token"), Value::Null).token(tokens.refresh_token());
    clock.advance(Duration::from_millis(9_999));
    encrypt(&emulator).token(tokens.access_token()).data(&emulator).await;
    clock.advance(Duration::from_millis(1));
    encrypt(&emulator).token(tokens.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
    let fresh = renew.data(&emulator).await;
    encrypt(&emulator).token(&token(&fresh, "accessToken")).data(&emulator).await;
    clock.advance(Duration::from_secs(10));
    renew.refused(&emulator, 401, "UNAUTHORIZED").await;
    Call::new("PUT", path(&emulator, "token-set"), Value::Null)
        .token(tokens.refresh_token())
        .refused(&emulator, 401, "UNAUTHORIZED")
        .await;
    assert!(
        emulator.issue_tokens(emulator.key_tag(), Duration::from_millis(999), HOUR).await.is_err()
    );
}

#[tokio::test]
async fn tokens_serve_one_key_only() {
    let (emulator, _) = frozen().await;
    let other = emulator.create_key("other").await.unwrap();
    let here = issue(&emulator, 60, 60).await;
    let there = emulator.issue_tokens(&other, HOUR, HOUR).await.unwrap();
    encrypt(&emulator).token(there.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
    let call = Call::post(format!("/kms/v1/keys/{other}/encrypt"), json!({ "plaintext": "" }));
    call.clone().token(there.access_token()).data(&emulator).await;
    call.token(here.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
    let missing = Call::post("/kms/v1/keys/none/encrypt", json!({ "plaintext": "" }));
    missing.token(here.access_token()).refused(&emulator, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (emulator, _) = frozen().await;
    let good = emulator.access_token().await.unwrap().to_owned();
    let parts: Vec<_> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let hs256 = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    let rs512 = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS512"}"#);

    let stranger = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut forged = vec![0; stranger.public_modulus_len()];
    stranger
        .sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            format!("{header}.{payload}").as_bytes(),
            &mut forged,
        )
        .unwrap();

    let mut changed = claims(&good);
    changed["exp"] = json!(NOW);
    let changed = URL_SAFE_NO_PAD.encode(changed.to_string());
    let refresh_payload =
        emulator.refresh_token().await.unwrap().split('.').nth(1).unwrap().to_owned();

    for bad in [
        String::from("garbage"),
        "..".into(),
        format!("Bearer {good}"),
        format!("{good}."),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{hs256}.{payload}.{signature}"),
        format!("{rs512}.{payload}.{signature}"),
        format!("{header}.{changed}.{signature}"),
        format!("{header}.{refresh_payload}.{signature}"),
        format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(&forged)),
        format!("{header}.{payload}.{signature}=="),
    ] {
        encrypt(&emulator).token(&bad).refused(&emulator, 401, "UNAUTHORIZED").await;
    }
    encrypt(&emulator).token(&good).data(&emulator).await;
}

#[tokio::test]
async fn no_token_is_good_before_a_generator_exists() {
    let ((emulator, _), (other, _)) = (frozen().await, frozen().await);
    encrypt(&emulator)
        .token(other.access_token().await.unwrap())
        .refused(&emulator, 401, "UNAUTHORIZED")
        .await;
}

#[tokio::test]
async fn validation_says_whether_a_token_is_good() {
    let (emulator, clock) = frozen().await;
    let tokens = issue(&emulator, 10, 20).await;
    let validate = Call::new("GET", path(&emulator, "validate-token"), Value::Null);
    for token in [tokens.access_token(), tokens.refresh_token()] {
        assert_eq!(
            validate.clone().token(token).data(&emulator).await,
            json!({ "validated": true })
        );
    }
    clock.advance(Duration::from_secs(10));
    assert_eq!(
        validate.clone().token(tokens.access_token()).data(&emulator).await,
        json!({ "validated": false })
    );
    assert_eq!(
        validate.clone().token(tokens.refresh_token()).data(&emulator).await,
        json!({ "validated": true })
    );
    assert_eq!(
        validate.clone().token("garbage").data(&emulator).await,
        json!({ "validated": false })
    );
    validate.clone().refused(&emulator, 401, "UNAUTHORIZED").await;
    validate.signed(&emulator).refused(&emulator, 401, "UNAUTHORIZED").await;
}
