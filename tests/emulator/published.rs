//! The emulator against what the service's documentation shows of itself.

use crate::client::{Call, base64, unbase64};
use crate::samples::{
    ACCESS_LIFETIME, ACCESS_TOKEN, ANSWER, CIPHERTEXT, ISSUED, KEY_TAG, ODD_CIPHERTEXT,
    REFRESH_LIFETIME, REFRESH_TOKEN, SUBJECT,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ncp_envelope::emulator::{Emulator, EmulatorClock};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// An emulator that has the published key, at the second at which its tokens were issued.
async fn start() -> Emulator {
    Emulator::builder()
        .key_tag(KEY_TAG)
        .clock(EmulatorClock::fixed(UNIX_EPOCH + Duration::from_secs(ISSUED)))
        .start()
        .await
        .unwrap()
}

fn signed(emulator: &Emulator, prefix: &str, action: &str, body: Value) -> Call {
    Call::post(format!("{prefix}/{KEY_TAG}/{action}"), body).signed_at(
        emulator,
        false,
        ISSUED * 1000,
    )
}

/// Header and claims, as they stand in a token.
fn parts(token: &str) -> [String; 2] {
    let part = |text| String::from_utf8(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let mut texts = token.split('.').map(str::to_owned);
    let parts = [part(texts.next().unwrap()), part(texts.next().unwrap())];
    assert_eq!(URL_SAFE_NO_PAD.decode(texts.next().unwrap()).unwrap().len(), 256);
    assert_eq!(texts.next(), None);
    parts
}

#[tokio::test]
async fn tokens_differ_from_the_published_ones_in_subject_and_signature_only() {
    let emulator = start().await;
    let [access, refresh] = [ACCESS_LIFETIME, REFRESH_LIFETIME].map(Duration::from_secs);
    let issued = emulator.issue_tokens(KEY_TAG, access, refresh).await.unwrap();
    for (ours, published) in
        [(issued.access_token(), ACCESS_TOKEN), (issued.refresh_token(), REFRESH_TOKEN)]
    {
        let ([our_header, our_claims], [header, claims]) = (parts(ours), parts(published));
        assert_eq!(our_header, header);
        let subject: Value = serde_json::from_str(&our_claims).unwrap();
        let subject = subject["sub"].as_str().unwrap();
        assert_eq!(our_claims.replace(subject, SUBJECT), claims);
    }
}

#[tokio::test]
async fn the_published_tokens_are_another_signers() {
    let emulator = start().await;
    // As much with a generator that has signed as with one that has not.
    for signed_before in [false, true] {
        if signed_before {
            emulator.access_token().await.unwrap();
        }
        for token in [ACCESS_TOKEN, REFRESH_TOKEN] {
            let to = |method, action: &str| {
                let target = format!("/kms/v1/keys/{KEY_TAG}/{action}");
                Call::new(method, target, json!({ "plaintext": "" })).token(token)
            };
            for call in [to("POST", "encrypt"), to("PUT", "token-set"), to("POST", "access-token")]
            {
                call.refused(&emulator, 401, "UNAUTHORIZED").await;
            }
            let validated = to("GET", "validate-token").data(&emulator).await;
            assert_eq!(validated, json!({ "validated": false }));
        }
    }
}

#[tokio::test]
async fn answers_have_the_published_shape() {
    let emulator = start().await;
    let published: Value = serde_json::from_str(ANSWER).unwrap();
    let sealed = unbase64(&json!(&CIPHERTEXT["ncpkms:v1:".len()..]));
    // A nonce and a tag are around as many bytes.
    let plaintext = base64(vec![7; sealed.len() - 12 - 16]);
    let call = signed(&emulator, "/keys/v2", "encrypt", json!({ "plaintext": plaintext }));
    let (status, mut answer) = call.send(&emulator).await;
    assert_eq!(status, 200);
    let ciphertext = answer["data"]["ciphertext"].take();
    let ciphertext = ciphertext.as_str().unwrap();
    assert!(ciphertext.starts_with("ncpkms:v1:") && ciphertext.len() == CIPHERTEXT.len());
    answer["data"]["ciphertext"] = json!(CIPHERTEXT);
    assert_eq!(answer, published);
    // Two ciphertexts of 40 characters, seen in public programs, are of 68 bytes.
    let call = signed(&emulator, "/keys/v2", "encrypt", json!({ "plaintext": base64([b'x'; 40]) }));
    let data = call.data(&emulator).await;
    let payload = data["ciphertext"].as_str().unwrap().strip_prefix("ncpkms:v1:").unwrap();
    assert_eq!(STANDARD.decode(payload).unwrap().len(), 68);
}

#[tokio::test]
async fn the_published_ciphertexts_are_refused_as_another_keys() {
    let emulator = start().await;
    for prefix in ["/keys/v2", "/kms/v1/keys"] {
        for action in ["decrypt", "reencrypt"] {
            for ciphertext in [CIPHERTEXT, ODD_CIPHERTEXT] {
                for body in [json!(ciphertext), json!([ciphertext])] {
                    signed(&emulator, prefix, action, json!({ "ciphertext": body }))
                        .refused(&emulator, 400, "INVALID_REQUEST")
                        .await;
                }
            }
        }
    }
    let reasons: Vec<_> = emulator.requests().iter().map(|request| request.refusal).collect();
    assert!(reasons.contains(&Some("ciphertext is not authentic")));
    assert!(reasons.contains(&Some("what follows the prefix is not base64")));
}
