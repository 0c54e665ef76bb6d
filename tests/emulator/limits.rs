//! Permissions, IP access lists and rate limits.

use crate::client::{Call, NOW, base64, client_from, encrypt, frozen, keys, path, sign};
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{Emulator, EmulatorBuilder, EmulatorClock};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn builder() -> (EmulatorBuilder, EmulatorClock) {
    let clock = EmulatorClock::fixed(UNIX_EPOCH + Duration::from_millis(NOW));
    (Emulator::builder().clock(clock.clone()), clock)
}

#[tokio::test]
async fn an_access_list_judges_tokens_by_the_callers_address() {
    let (emulator, _) = frozen().await;
    let tokens = emulator
        .issue_tokens(emulator.key_tag(), Duration::from_secs(60), Duration::from_secs(60))
        .await
        .unwrap();
    let acl = |method, rest: &str, body| {
        keys(&emulator, method, &format!("/{}/acl{rest}", emulator.key_tag()), body)
    };
    let calls = [
        encrypt(&emulator).token(tokens.access_token()),
        Call::new("PUT", path(&emulator, "token-set"), Value::Null).token(tokens.refresh_token()),
        Call::post(path(&emulator, "access-token"), Value::Null).token(tokens.refresh_token()),
    ];
    let expect = async |here: u16, there: u16| {
        for call in &calls {
            for (from, expected) in [(HERE, here), (THERE, there)] {
                let (status, body) = call.send_by(&client_from(from), &emulator).await;
                assert_eq!(status, expected, "{} from {from}: {body}", call.target);
                assert_eq!(body["code"], if expected == 200 { "SUCCESS" } else { "FORBIDDEN" });
                assert_eq!(emulator.requests().last().unwrap().peer, from);
            }
            // The account is not subject to the list.
            encrypt(&emulator).signed(&emulator).data(&emulator).await;
        }
        let validate = Call::new("GET", path(&emulator, "validate-token"), Value::Null)
            .token(tokens.access_token());
        let (_, body) = validate.send_by(&client_from(HERE), &emulator).await;
        assert_eq!(body["data"]["validated"], here == 200);
    };
    let state = acl("GET", "", Value::Null).data(&emulator).await;
    assert_eq!(
        state,
        json!({ "keyTag": emulator.key_tag(), "isAclEnabled": false, "allowedIpList": [] })
    );
    expect(200, 200).await;
    // Nothing is allowed at first, not even to tokens from before.
    assert_eq!(acl("POST", "/enable", Value::Null).data(&emulator).await["isAclEnabled"], true);
    expect(403, 403).await;
    let list = acl("POST", "", json!({ "ipList": ["127.0.0.2", "10.0.0.1", "127.0.0.2"] }))
        .data(&emulator)
        .await;
    assert_eq!(list["allowedIpList"], json!(["127.0.0.2", "10.0.0.1"]));
    expect(403, 200).await;
    acl("POST", "", json!({ "ipList": ["127.0.0.1"] })).data(&emulator).await;
    expect(200, 200).await;
    let list =
        acl("DELETE", "", json!({ "ipList": ["127.0.0.2", "10.0.0.1"] })).data(&emulator).await;
    assert_eq!(list["allowedIpList"], json!(["127.0.0.1"]));
    expect(200, 403).await;
    assert_eq!(acl("POST", "/disable", Value::Null).data(&emulator).await["isAclEnabled"], false);
    expect(200, 200).await;
    for bad in [
        json!(["::1"]),
        json!(["127.0.0.1/8"]),
        json!(["127.0.0.01"]),
        json!([]),
        json!("127.0.0.1"),
        json!([1]),
    ] {
        for method in ["POST", "DELETE"] {
            acl(method, "", json!({ "ipList": bad }))
                .refused(&emulator, 400, "INVALID_REQUEST")
                .await;
        }
    }
}

/// The list of the Sub Account service: what is signed in both generations, and no token.
#[tokio::test]
async fn a_sub_account_may_call_from_its_addresses_only() {
    let everything = &["NCP_KMS_MANAGER"];
    let (builder, _) = builder();
    let emulator = builder
        .sub_account("free", "secret", everything)
        .sub_account("bound", "secret", everything)
        .sub_account_addresses("bound", &[THERE.into(), "::ffff:10.0.0.1".parse().unwrap()])
        .sub_account("nowhere", "secret", everything)
        .sub_account_addresses("nowhere", &[])
        .start()
        .await
        .unwrap();
    let signed = |call: Call, access: &str| {
        let signature = sign("secret", call.method, &call.target, &NOW.to_string(), None, access);
        call.header("x-ncp-apigw-timestamp", NOW.to_string())
            .header("x-ncp-iam-access-key", access)
            .header("x-ncp-apigw-signature-v2", signature)
    };
    let older = || {
        let target = format!("/keys/v2/{}/encrypt", emulator.key_tag());
        Call::post(target, json!({ "plaintext": "" }))
    };
    let list = || Call::new("GET", "/kms/v1/keys", Value::Null);
    for (access, from, allowed) in [
        ("free", HERE, true),
        ("free", THERE, true),
        ("bound", HERE, false),
        ("bound", THERE, true),
        ("nowhere", HERE, false),
        ("nowhere", THERE, false),
    ] {
        for (call, status, code) in [
            (older(), 401, "UNAUTHORIZED"),
            (encrypt(&emulator), 403, "FORBIDDEN"),
            (list(), 403, "FORBIDDEN"),
        ] {
            let expected = if allowed { (200, "SUCCESS") } else { (status, code) };
            let call = signed(call, access);
            let (status, body) = call.send_by(&client_from(from), &emulator).await;
            let seen = (status, body["code"].as_str().unwrap());
            assert_eq!(seen, expected, "{access} from {from} to {}", call.target);
        }
    }
    // A token that such an account issued is subject to the key's list alone.
    let issue = signed(Call::post(path(&emulator, "token-set"), Value::Null), "bound");
    let (_, body) = issue.send_by(&client_from(THERE), &emulator).await;
    let token = body["data"]["accessToken"].as_str().unwrap();
    let by_token = encrypt(&emulator).token(token);
    assert_eq!(by_token.send_by(&client_from(HERE), &emulator).await.0, 200);

    let unknown = Emulator::builder().sub_account_addresses("none", &[HERE.into()]);
    assert_eq!(unknown.start().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn let_through(emulator: &Emulator, call: &Call, tries: usize) -> usize {
    let mut count = 0;
    for _ in 0..tries {
        let (status, body) = call.send(emulator).await;
        match status {
            200 => count += 1,
            429 => assert_eq!(body["error"]["errorCode"], "410"),
            _ => panic!("{status} {body}"),
        }
    }
    count
}

#[tokio::test]
async fn calls_beyond_the_rate_are_throttled() {
    let (builder, clock) = builder();
    let emulator = builder.throttle(5, 8).start().await.unwrap();
    let other = emulator.create_key("other").await.unwrap();
    let older = |tag: &str| {
        Call::post(format!("/keys/v2/{tag}/encrypt"), json!({ "plaintext": "" })).signed(&emulator)
    };
    let newer = |tag: &str| {
        Call::post(format!("/kms/v1/keys/{tag}/encrypt"), json!({ "plaintext": "" }))
            .signed(&emulator)
    };
    // Older: all keys together. Newer: each key for itself.
    assert_eq!(let_through(&emulator, &older(emulator.key_tag()), 4).await, 4);
    assert_eq!(let_through(&emulator, &older(&other), 4).await, 1);
    assert_eq!(let_through(&emulator, &newer(emulator.key_tag()), 10).await, 8);
    assert_eq!(let_through(&emulator, &newer(&other), 10).await, 8);
    clock.advance(Duration::from_millis(500));
    assert_eq!(let_through(&emulator, &older(&other), 4).await, 2);
    assert_eq!(let_through(&emulator, &newer(&other), 10).await, 4);
    // A refused caller does not count towards the rate limit.
    clock.advance(Duration::from_secs(1));
    for _ in 0..10 {
        encrypt(&emulator).stopped(&emulator, 401, "200").await;
    }
    assert_eq!(let_through(&emulator, &encrypt(&emulator).signed(&emulator), 10).await, 8);
}

#[tokio::test]
async fn a_throttle_is_off_where_time_stands_still_and_nobody_asked_for_one() {
    let (emulator, _) = frozen().await;
    assert_eq!(let_through(&emulator, &encrypt(&emulator).signed(&emulator), 310).await, 310);
}

/// Signs as a sub account.
fn signed_as(call: Call, access: &str, secret: &str) -> Call {
    let signature = sign(secret, call.method, &call.target, &NOW.to_string(), None, access);
    call.header("x-ncp-apigw-timestamp", NOW.to_string())
        .header("x-ncp-iam-access-key", access)
        .header("x-ncp-apigw-signature-v2", signature)
}

#[tokio::test]
async fn a_sub_account_may_do_what_it_is_permitted() {
    let emulator = builder()
        .0
        .sub_account("ENCRYPTER", "secret-1", &["Change/encrypt", "Change/createTokenSet"])
        .sub_account("VIEWER", "secret-2", &["NCP_KMS_VIEWER"])
        .sub_account("NOBODY", "secret-3", &[])
        .start()
        .await
        .unwrap();
    let tag = emulator.key_tag();
    let sealed = encrypt(&emulator).signed(&emulator).data(&emulator).await["ciphertext"].take();
    let decrypt = Call::post(path(&emulator, "decrypt"), json!({ "ciphertext": sealed }));
    let info = Call::new("GET", format!("/kms/v1/keys/{tag}"), Value::Null);
    let missing = Call::new("GET", "/kms/v1/keys/none", Value::Null);

    let encrypter = |call: &Call| signed_as(call.clone(), "ENCRYPTER", "secret-1");
    encrypter(&encrypt(&emulator)).data(&emulator).await;
    for call in [&decrypt, &info, &missing] {
        encrypter(call).refused(&emulator, 403, "FORBIDDEN").await;
    }
    let older = Call::post(format!("/keys/v2/{tag}/decrypt"), json!({ "ciphertext": sealed }));
    encrypter(&older).refused(&emulator, 403, "FORBIDDEN").await;
    let viewer = |call: &Call| signed_as(call.clone(), "VIEWER", "secret-2");
    viewer(&info).data(&emulator).await;
    viewer(&missing).refused(&emulator, 404, "NOT_FOUND").await;
    viewer(&encrypt(&emulator)).refused(&emulator, 403, "FORBIDDEN").await;
    signed_as(encrypt(&emulator), "NOBODY", "secret-3").stopped(&emulator, 401, "210").await;
    signed_as(encrypt(&emulator), "VIEWER", "secret-1").stopped(&emulator, 401, "200").await;

    // A token may do what its issuer may.
    let set =
        encrypter(&Call::post(path(&emulator, "token-set"), Value::Null)).data(&emulator).await;
    let access = set["accessToken"].as_str().unwrap();
    encrypt(&emulator).token(access).data(&emulator).await;
    decrypt.clone().token(access).refused(&emulator, 403, "FORBIDDEN").await;
    let renew = Call::new("PUT", path(&emulator, "token-set"), Value::Null)
        .token(set["refreshToken"].as_str().unwrap());
    let access = renew.data(&emulator).await["accessToken"].as_str().unwrap().to_owned();
    decrypt.token(&access).refused(&emulator, 403, "FORBIDDEN").await;
}

#[tokio::test]
async fn sub_accounts_are_checked_at_the_start() {
    for wrong in [
        builder().0.sub_account("A", "s", &["Change/nothing"]),
        builder().0.sub_account("", "s", &[]),
        builder().0.sub_account("A", "s", &[]).sub_account("A", "t", &[]),
        builder().0.account("A", "s").sub_account("A", "t", &[]),
    ] {
        assert_eq!(wrong.start().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn what_is_done_with_a_key_is_in_its_log() {
    let (builder, clock) = builder();
    let emulator =
        builder.sub_account("VIEWER", "secret", &["NCP_KMS_VIEWER"]).start().await.unwrap();
    let tag = emulator.key_tag();
    let see = |rest: &str| keys(&emulator, "GET", &format!("/{tag}/{rest}"), Value::Null);
    assert_eq!(see("last-use-info").data(&emulator).await, Value::Null);
    encrypt(&emulator).signed(&emulator).data(&emulator).await;
    signed_as(encrypt(&emulator), "VIEWER", "secret").refused(&emulator, 403, "FORBIDDEN").await;
    Call::post(path(&emulator, "decrypt"), json!({}))
        .signed(&emulator)
        .refused(&emulator, 400, "INVALID_REQUEST")
        .await;
    keys(&emulator, "GET", &format!("/{tag}"), Value::Null).data(&emulator).await;
    // An access key that the emulator does not know.
    encrypt(&emulator).stopped(&emulator, 401, "200").await;

    let last = see("last-use-info").data(&emulator).await;
    assert_eq!(last["timestamp"], "2023-11-14T22:13:20.000Z");
    assert_eq!(
        last["data"]["api"],
        json!({ "result": "INVALID_REQUEST", "action": "decrypt", "type": "Change" })
    );
    assert_eq!(last["data"]["kmsKey"]["keyTag"], tag);
    assert_eq!(last["data"]["requestor"]["ip"], "127.0.0.1");

    let results = |data: &Value| -> Vec<String> {
        let list = data["activityLogList"].as_array().unwrap();
        list.iter()
            .map(|entry| entry["data"]["api"]["action"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = see("activities").data(&emulator).await;
    assert_eq!(
        results(&all),
        ["getLastUseInfo", "getKeyInfo", "decrypt", "encrypt", "encrypt", "getLastUseInfo"]
    );
    assert_eq!(
        (&all["totalCount"], &all["pageSize"], &all["totalPageNo"]),
        (&json!(6), &json!(100), &json!(1))
    );
    assert_eq!(results(&see("activities?keyword=FORBIDDEN").data(&emulator).await), ["encrypt"]);
    assert_eq!(
        results(&see("activities?keyword=decrypt&pageSize=1").data(&emulator).await),
        ["decrypt"]
    );
    let page = see("activities?keyword=encrypt&pageSize=1&pageNo=2").data(&emulator).await;
    assert_eq!(
        (page["totalCount"].clone(), page["currentPageNo"].clone(), results(&page).len()),
        (json!(2), json!(2), 1)
    );
    see("activities?pageSize=201").refused(&emulator, 400, "INVALID_REQUEST").await;
    see("activities?timestampFrom=x").refused(&emulator, 400, "INVALID_REQUEST").await;
    assert_eq!(
        results(&see(&format!("activities?timestampTo={}", NOW - 1)).data(&emulator).await),
        [""; 0]
    );

    // A day is the default.
    clock.advance(Duration::from_secs(24 * 3600 + 1));
    let later = NOW + 24 * 3_600_000 + 1000;
    let get = |rest: String| {
        Call::new("GET", format!("/kms/v1/keys/{tag}/{rest}"), Value::Null)
            .signed_at(&emulator, false, later)
    };
    assert_eq!(results(&get("activities".into()).data(&emulator).await), [""; 0]);
    assert!(
        results(&get(format!("activities?timestampFrom={NOW}")).data(&emulator).await).len() > 6
    );
    assert!(!all.to_string().contains(&base64("test")));
}
