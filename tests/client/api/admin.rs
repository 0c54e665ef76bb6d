use crate::api::{account, always, api_1, builder, kind, lines, success, with_token};
use crate::server::{Reply, Server};
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::{
    ActivityQuery, Api, Credentials, KeyAdmin, KeyStatus, KeyType, Protection, RequestType,
    Timestamp, VersionStatus,
};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const HOME: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const TIME: u64 = 1_733_462_407_906;

fn admin(server: &Server) -> KeyAdmin {
    account(server).key("a/b").unwrap().admin()
}

#[tokio::test]
async fn what_is_sent() {
    let server = Server::start(|request, _| {
        match (request.method.as_str(), request.path.strip_prefix("/kms/v1/keys/a%2Fb").unwrap()) {
            ("GET", "") => success(json!({ "keyTag": "a/b" })),
            ("GET", "/versions") => success(json!({ "versionList": [] })),
            ("GET", path) if path.starts_with("/activities") => {
                success(json!({ "activityLogList": [] }))
            }
            _ => success(Value::Null),
        }
    })
    .await;
    let key = account(&server).key("a/b").unwrap();
    let (admin, acl) = (key.admin(), key.acl());
    // Whatever a change is answered with, it took place.
    admin.info().await.unwrap();
    assert_eq!(admin.enable().await.unwrap().status, None);
    admin.disable().await.unwrap();
    admin.rename("orders-2").await.unwrap();
    admin.set_memo("a \"memo\"").await.unwrap();
    assert_eq!(admin.rotate().await.unwrap().version, None);
    admin.enable_auto_rotation().await.unwrap();
    admin.disable_auto_rotation().await.unwrap();
    admin.set_rotation_period(730).await.unwrap();
    assert!(admin.versions().await.unwrap().versions.is_empty());
    admin.enable_version(2).await.unwrap();
    admin.disable_version(2).await.unwrap();
    admin.request_deletion().await.unwrap();
    admin.cancel_deletion().await.unwrap();
    admin.delete().await.unwrap();
    assert_eq!(acl.list().await.unwrap().allowed, None);
    acl.enable().await.unwrap();
    acl.disable().await.unwrap();
    acl.add(&[HOME, Ipv4Addr::LOCALHOST]).await.unwrap();
    acl.remove(&[HOME]).await.unwrap();
    let query = ActivityQuery::new()
        .keyword("a b&c=키")
        .from(Timestamp::from_millis(1))
        .to(Timestamp::from_millis(2));
    admin.activity_page(&query, 3, 200).await.unwrap();
    assert!(admin.activities(&ActivityQuery::new()).next().await.unwrap().is_none());
    assert!(admin.last_use().await.unwrap().is_none());
    let want = [
        "GET  -",
        "POST /enable {}",
        "POST /disable {}",
        r#"PUT /name {"keyName":"orders-2"}"#,
        r#"PUT /memo {"memo":"a \"memo\""}"#,
        "POST /rotate {}",
        "POST /enable-auto-rotation {}",
        "POST /disable-auto-rotation {}",
        r#"PUT /rotation-period {"rotationPeriod":730}"#,
        "GET /versions -",
        "POST /versions/2/enable {}",
        "POST /versions/2/disable {}",
        "POST /request-deletion {}",
        "POST /cancel-deletion {}",
        "DELETE  -",
        "GET /acl -",
        "POST /acl/enable {}",
        "POST /acl/disable {}",
        r#"POST /acl {"ipList":["203.0.113.7","127.0.0.1"]}"#,
        r#"DELETE /acl {"ipList":["203.0.113.7"]}"#,
        "GET \
         /activities?keyword=a%20b%26c%3D%ED%82%A4&timestampFrom=1\
         &timestampTo=2&pageNo=3&pageSize=200 -",
        "GET /activities?pageNo=1&pageSize=100 -",
        "GET /last-use-info -",
    ];
    let got: Vec<String> =
        lines(&server).iter().map(|line| line.replace("/kms/v1/keys/a%2Fb", "")).collect();
    assert_eq!(got, want.map(|want| format!("account {want}")));
}

#[tokio::test]
async fn the_query_is_signed_as_it_is_sent() {
    use base64::Engine;
    let server = always(success(json!({ "activityLogList": [] }))).await;
    admin(&server).activity_page(&ActivityQuery::new().keyword("x y"), 1, 1).await.unwrap();
    let request = &server.requests()[0];
    let message = format!(
        "GET {}\n{}\nCANARYaccess",
        request.path,
        request.header("x-ncp-apigw-timestamp").unwrap()
    );
    assert!(message.contains("?keyword=x%20y&pageNo=1&pageSize=1\n"), "{message}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"CANARYsecret");
    let want = base64::engine::general_purpose::STANDARD
        .encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
    assert_eq!(request.header("x-ncp-apigw-signature-v2"), Some(want.as_str()));
}

#[tokio::test]
async fn what_cannot_be_a_call_is_not_made() {
    let server = Server::start(|_, _| panic!("called")).await;
    let key = account(&server).key("tag").unwrap();
    let (admin, acl) = (key.admin(), key.acl());
    let later = ActivityQuery::new().from(Timestamp::from_millis(2)).to(Timestamp::from_millis(1));
    let long = ActivityQuery::new().keyword("x".repeat(257));
    for error in [
        admin.rename("ab").await.unwrap_err(),
        admin.rename("1abc").await.unwrap_err(),
        admin.rename("a b c").await.unwrap_err(),
        admin.rename(&"a".repeat(16)).await.unwrap_err(),
        admin.set_rotation_period(0).await.unwrap_err(),
        admin.set_rotation_period(731).await.unwrap_err(),
        admin.enable_version(0).await.unwrap_err(),
        admin.disable_version(0).await.unwrap_err(),
        acl.add(&[]).await.unwrap_err(),
        acl.remove(&[]).await.unwrap_err(),
        admin.activity_page(&ActivityQuery::new().keyword(""), 1, 1).await.unwrap_err(),
        admin.activity_page(&long, 1, 1).await.unwrap_err(),
        admin.activity_page(&later, 1, 1).await.unwrap_err(),
        admin.activity_page(&ActivityQuery::new(), 0, 1).await.unwrap_err(),
        admin.activity_page(&ActivityQuery::new(), 1, 201).await.unwrap_err(),
        api_1(&server).key("tag").unwrap().admin().info().await.unwrap_err(),
        api_1(&server).key("tag").unwrap().acl().enable().await.unwrap_err(),
    ] {
        assert_eq!(kind(&error), ErrorKind::InvalidInput, "{error}");
    }
    let key = with_token(&server).key("tag").unwrap();
    assert_eq!(kind(&key.admin().rotate().await.unwrap_err()), ErrorKind::Credentials);
    assert_eq!(kind(&key.acl().list().await.unwrap_err()), ErrorKind::Credentials);
    assert!(server.requests().is_empty());
    let v1 = builder(&server)
        .api(Api::V1)
        .credentials(Credentials::account("a", "s").unwrap())
        .build()
        .unwrap();
    assert_eq!(kind(&v1.keys().page(1, 1).await.unwrap_err()), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn changes_are_sent_once_and_reads_again() {
    for reply in [
        Reply::hang_up(),
        Reply::new(503, "text/plain", ""),
        Reply::json(200, &json!({ "code": "INTERNAL_SERVER_ERROR" })),
    ] {
        let server = always(reply).await;
        let key = account(&server).key("tag").unwrap();
        let (admin, acl) = (key.admin(), key.acl());
        kind(&admin.enable().await.unwrap_err());
        kind(&admin.disable().await.unwrap_err());
        kind(&admin.rename("orders").await.unwrap_err());
        kind(&admin.rotate().await.unwrap_err());
        kind(&admin.disable_version(1).await.unwrap_err());
        kind(&admin.request_deletion().await.unwrap_err());
        kind(&admin.cancel_deletion().await.unwrap_err());
        kind(&admin.delete().await.unwrap_err());
        kind(&acl.enable().await.unwrap_err());
        kind(&acl.remove(&[HOME]).await.unwrap_err());
        assert_eq!(server.requests().len(), 10);
        let error = admin.info().await.unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Unavailable);
        assert_eq!(server.requests().len(), 13);
    }
}

#[tokio::test]
async fn refusals_name_the_call_and_may_name_what_was_sent() {
    let server = always(Reply::json(
        422,
        &json!({ "code": "INVALID_STATUS", "msg": "keyName orders-2024 is taken" }),
    ))
    .await;
    let error =
        account(&server).key("tag").unwrap().admin().rename("orders-2024").await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::KeyUnusable);
    assert_eq!(
        error.to_string(),
        "rename key with key tag: the key service refused it with http 422, code INVALID_STATUS: \
         keyName orders-2024 is taken; `keys info` (KeyAdmin::info) shows the state of the key"
    );
}

#[tokio::test]
async fn info_in_every_form() {
    let full = json!({
        "keyId": 12, "keyTag": "t", "keyName": "orders", "nrn": "nrn:PUB:KMS::1:Key/12",
        "baseUrl": "https://ocapi-kr.ncloud.com",
        "keyType": "RSA2048", "status": "REVOKE", "keystoreId": "34", "currentVersion": 3,
        "protectionType": "COMMON_HSM", "memo": "",
        "isConvergent": "false", "isAutoRotation": true, "rotationPeriod": "90",
        "nextRotationDate": TIME, "registerDate": TIME.to_string(),
        "destroyDate": TIME, "somethingNew": { "x": [1] },
    });
    for reply in [success(full.clone()), Reply::json(200, &full)] {
        let server = always(reply).await;
        let info = admin(&server).info().await.unwrap();
        assert_eq!(
            (info.tag.as_str(), info.id, info.name.as_deref()),
            ("t", Some(12), Some("orders"))
        );
        assert_eq!(info.base_url.as_deref(), Some("https://ocapi-kr.ncloud.com"));
        assert_eq!(
            (info.key_type, info.status),
            (Some(KeyType::Rsa2048), Some(KeyStatus::PendingDeletion))
        );
        assert_eq!(
            (info.keystore_id, info.current_version, info.protection),
            (Some(34), Some(3), Some(Protection::CommonHsm))
        );
        assert_eq!(
            (info.memo.as_deref(), info.convergent, info.auto_rotation),
            (Some(""), Some(false), Some(true))
        );
        assert_eq!(
            (info.rotation_period_days, info.next_rotation),
            (Some(90), Some(Timestamp::from_millis(TIME)))
        );
        assert_eq!(
            (info.registered, info.destroyed),
            (Some(Timestamp::from_millis(TIME)), Some(Timestamp::from_millis(TIME)))
        );
    }
    let server = always(success(
        json!({ "KeyTag": "t", "key_type": "SM4", "status": {}, "keyId": -1, "isConvergent": 1 }),
    ))
    .await;
    let info = admin(&server).info().await.unwrap();
    assert_eq!((info.key_type, info.status), (Some(KeyType::Other("SM4".to_owned())), None));
    assert_eq!((info.id, info.convergent, info.base_url), (None, None, None));
    for data in [
        json!({}),
        json!({ "keyTag": "" }),
        json!({ "keyTag": ["CANARY"] }),
        json!(["CANARY"]),
        json!("CANARY"),
        Value::Null,
    ] {
        let server = always(success(data)).await;
        let error = admin(&server).info().await.unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Internal, "{error}");
        assert!(error.to_string().starts_with("key info with key a/b: "), "{error}");
    }
}

#[tokio::test]
async fn changes_and_lists_of_one_key_in_every_form() {
    let server = Server::start(|request, _| match request.path.rsplit('/').next().unwrap() {
        "rotate" => success(json!({ "keyTag": "t", "version": "4", "rotatedDate": TIME })),
        "disable" => success(json!({ "version": 2, "status": "DISABLE", "statusDate": TIME })),
        "enable-auto-rotation" => success(json!({ "isAutoRotation": "true", "rotationPeriod": 90,
            "nextRotationDate": TIME })),
        "versions" => success(json!({ "currentVersion": 2, "versionList": [
            { "version": 1, "status": "DISABLE", "statusDate": TIME, "rotatedDate": TIME },
                { "version": "2", "status": "NEW" },
        ] })),
        "acl" => success(json!({ "isAclEnabled": "True",
            "allowedIpList": ["203.0.113.7", "10.0.0.0/8", 7] })),
        other => panic!("{other}"),
    })
    .await;
    let (admin, time) = (admin(&server), Some(Timestamp::from_millis(TIME)));
    let rotation = admin.rotate().await.unwrap();
    assert_eq!((rotation.version, rotation.rotated), (Some(4), time));
    let change = admin.disable_version(2).await.unwrap();
    assert_eq!((change.status, change.changed), (Some(KeyStatus::Disabled), time));
    let auto = admin.enable_auto_rotation().await.unwrap();
    assert_eq!((auto.enabled, auto.period_days, auto.next), (Some(true), Some(90), time));
    let versions = admin.versions().await.unwrap();
    assert_eq!(
        (versions.current, versions.versions.len(), versions.versions[1].version),
        (Some(2), 2, 2)
    );
    assert_eq!(
        (&versions.versions[0].status, versions.versions[0].rotated),
        (&Some(VersionStatus::Disabled), time)
    );
    assert_eq!(versions.versions[1].status, Some(VersionStatus::Other("NEW".to_owned())));
    let acl = account(&server).key("t").unwrap().acl().list().await.unwrap();
    let allowed = ["203.0.113.7", "10.0.0.0/8", "7"].map(str::to_owned).to_vec();
    assert_eq!((acl.enabled, acl.allowed), (Some(true), Some(allowed)));

    for data in [
        json!({}),
        json!({ "versionList": {} }),
        json!({ "versionList": [1] }),
        json!({ "versionList": [{}] }),
        Value::Null,
    ] {
        let server = always(success(data)).await;
        assert_eq!(kind(&self::admin(&server).versions().await.unwrap_err()), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn the_last_use_in_every_form() {
    let groups = |key: &str| {
        json!({
            key: { "keyTag": "t", "keyName": "orders", "nrn": "n" },
            "requestor": { "requestType": "API", "id": "me", "ip": "203.0.113.7" },
            "api": { "result": "SUCCESS", "action": "encrypt", "type": "CRYPTO" },
        })
    };
    let when = "2024-12-06T05:20:07Z";
    for body in [
        json!({ "code": "SUCCESS",
            "data": { "timestamp": when, "data": groups("kmsKey"), "message": "" } }),
        json!({ "code": "SUCCESS", "timestamp": when, "data": groups("KmsKey"), "message": null }),
        json!({ "timestamp": when, "data": groups("kmsKey") }),
        json!({ "code": "SUCCESS",
            "data": { "timestamp": when, "data": { "keyTag": "t", "keyName": "orders", "nrn": "n",
            "requestType": "api", "id": "me", "ip": "203.0.113.7", "result": "SUCCESS",
            "action": "encrypt", "type": "CRYPTO" } } }),
    ] {
        let server = always(Reply::json(200, &body)).await;
        let used = admin(&server).last_use().await.unwrap().unwrap();
        assert_eq!(
            (used.timestamp.as_deref(), used.key_tag.as_deref(), used.nrn.as_deref()),
            (Some(when), Some("t"), Some("n")),
            "{body}"
        );
        assert_eq!(
            (used.request_type, used.requestor_id.as_deref()),
            (Some(RequestType::Api), Some("me"))
        );
        assert_eq!(
            (used.requestor_ip.as_deref(), used.result.as_deref()),
            (Some("203.0.113.7"), Some("SUCCESS"))
        );
        assert_eq!(
            (used.action.as_deref(), used.kind.as_deref(), used.message),
            (Some("encrypt"), Some("CRYPTO"), None)
        );
        assert!(used.raw.contains("203.0.113.7"));
    }
    for data in [
        Value::Null,
        json!({}),
        json!({ "data": null }),
        json!([]),
        json!({ "data": { "kmsKey": 1 } }),
    ] {
        let server = always(success(data)).await;
        assert_eq!(admin(&server).last_use().await.unwrap(), None);
    }
}
