use crate::api::{account, always, kind, lines, success};
use crate::server::{Reply, Server};
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::{ActivityQuery, CreateKey, KeyStatus, KeyType, Protection};
use serde_json::{Value, json};

#[tokio::test]
async fn creating_sends_what_was_said() {
    let server = always(success(json!({ "keyTag": "t", "keyId": 1, "status": "ENABLE" }))).await;
    let keys = account(&server).keys();
    let made = keys.create(&CreateKey::new("orders", KeyType::Aes256)).await.unwrap();
    assert_eq!((made.tag.as_str(), made.status), ("t", Some(KeyStatus::Enabled)));
    let full = CreateKey::new("a_Z-9", KeyType::Aes256)
        .memo("메모")
        .convergent(true)
        .auto_rotation(Some(30))
        .protection(Protection::CommonHsm);
    keys.create(&full).await.unwrap();
    keys.create(&CreateKey::new("sign", KeyType::Ecdsa).auto_rotation(None)).await.unwrap();
    let bodies: Vec<Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_str(&request.body).unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({ "keyName": "orders", "keyType": "AES256", "isAutoRotation": false,
                "protectionType": "BASIC" }),
            json!({ "keyName": "a_Z-9", "keyType": "AES256", "isAutoRotation": true,
                "rotationPeriod": 30, "isConvergent": true,
                "memo": "메모", "protectionType": "COMMON_HSM" }),
            json!({ "keyName": "sign", "keyType": "ECDSA", "isAutoRotation": true,
                "protectionType": "BASIC" }),
        ]
    );
    assert!(lines(&server).iter().all(|line| line.starts_with("account POST /kms/v1/keys {")));
}

#[tokio::test]
async fn creating_is_checked_and_sent_once() {
    let server = always(Reply::hang_up()).await;
    let keys = account(&server).keys();
    for odd in [
        CreateKey::new("ab", KeyType::Aes256),
        CreateKey::new("-abc", KeyType::Aes256),
        CreateKey::new("키키키", KeyType::Aes256),
        CreateKey::new("orders", KeyType::Rsa2048).convergent(true),
        CreateKey::new("orders", KeyType::Aes256).auto_rotation(Some(0)),
        CreateKey::new("orders", KeyType::Aes256).auto_rotation(Some(731)),
    ] {
        assert_eq!(kind(&keys.create(&odd).await.unwrap_err()), ErrorKind::InvalidInput);
    }
    assert!(server.requests().is_empty());
    let error = keys.create(&CreateKey::new("orders", KeyType::Aes256)).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("create key: "), "{error}");
    assert_eq!(server.requests().len(), 1);
    let server = always(success(json!({ "keyName": "CANARY" }))).await;
    let error = account(&server)
        .keys()
        .create(&CreateKey::new("orders", KeyType::Aes256))
        .await
        .unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Internal);
}

/// 5 keys, and a way to print a page of them.
async fn five(print: fn(Vec<Value>, usize, usize) -> Value) -> Server {
    Server::start(move |request, _| {
        let query = request.path.split_once("?pageNo=").unwrap().1;
        let (page, size) = query.split_once("&pageSize=").unwrap();
        let (page, size): (usize, usize) = (page.parse().unwrap(), size.parse().unwrap());
        let all: Vec<Value> =
            (1..=5).map(|id| json!({ "keyTag": format!("k{id}"), "activity": id })).collect();
        Reply::json(
            200,
            &print(all.into_iter().skip((page - 1) * size).take(size).collect(), page, size),
        )
    })
    .await
}

#[tokio::test]
async fn all_pages_are_walked_whatever_their_form() {
    type Print = fn(Vec<Value>, usize, usize) -> Value;
    let forms: [(Print, usize); 5] = [
        (
            |keys, page, size| {
                json!({ "code": "SUCCESS",
                "data": { "keyList": keys, "currentPageNo": page,
                "totalPageNo": 5_usize.div_ceil(size), "totalCount": 5 } })
            },
            3,
        ),
        (
            |keys, page, size| {
                json!({ "code": "SUCCESS", "data": { "KeyList": keys }, "currentPageNo": page,
                "totalPageNo": 5_usize.div_ceil(size).to_string(), "totalCount": 5 })
            },
            3,
        ),
        (
            |keys, page, size| {
                json!({ "code": "SUCCESS", "keyList": keys, "data": {},
                "currentPageNo": page.to_string(), "totalPageNo": 5_usize.div_ceil(size) })
            },
            3,
        ),
        (
            |keys, _, _| {
                json!({ "code": "SUCCESS",
                "data": { "keyList": keys, "totalCount": "5" } })
            },
            3,
        ),
        (|keys, _, _| json!({ "code": "SUCCESS", "data": { "keyList": keys } }), 4),
    ];
    for (print, requests) in forms {
        let server = five(print).await;
        let mut pages = account(&server).keys().pages_of(2).unwrap();
        let mut tags = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            tags.extend(page.items.into_iter().map(|info| info.tag));
        }
        assert_eq!(tags, ["k1", "k2", "k3", "k4", "k5"]);
        assert_eq!(server.requests().len(), requests);
        assert!(pages.next().await.unwrap().is_none());
        let page = account(&server).keys().page(3, 2).await.unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(
            lines(&server).last().unwrap(),
            "account GET /kms/v1/keys?pageNo=3&pageSize=2 -"
        );
    }
    let server = always(success(json!({ "keyList": [], "totalCount": 0 }))).await;
    assert!(account(&server).keys().pages().next().await.unwrap().is_none());
    assert_eq!(lines(&server), ["account GET /kms/v1/keys?pageNo=1&pageSize=100 -"]);
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again_and_a_wrong_one_is_an_error() {
    let server = Server::start(|_, index| match index {
        0 => success(json!({ "keyList": [{ "keyTag": "a" }], "totalPageNo": 2 })),
        1 => Reply::json(403, &json!({ "code": "FORBIDDEN" })),
        _ => success(json!({ "keyList": [{ "keyTag": "b" }], "totalPageNo": 2 })),
    })
    .await;
    let mut pages = account(&server).keys().pages();
    assert_eq!(pages.next().await.unwrap().unwrap().items[0].tag, "a");
    assert_eq!(kind(&pages.next().await.unwrap_err()), ErrorKind::AccessDenied);
    assert_eq!(pages.next().await.unwrap().unwrap().items[0].tag, "b");
    assert!(pages.next().await.unwrap().is_none());

    let server = always(success(
        json!({ "keyList": [{ "keyTag": "a" }], "currentPageNo": 1, "totalPageNo": 9 }),
    ))
    .await;
    let mut pages = account(&server).keys().pages();
    pages.next().await.unwrap().unwrap();
    assert_eq!(kind(&pages.next().await.unwrap_err()), ErrorKind::Internal);
    for data in [
        json!({}),
        json!({ "keyList": "CANARY" }),
        json!({ "keyList": ["CANARY"] }),
        json!({ "keyList": [{}] }),
        Value::Null,
    ] {
        let server = always(success(data)).await;
        assert_eq!(
            kind(&account(&server).keys().page(1, 1).await.unwrap_err()),
            ErrorKind::Internal
        );
    }
    for (number, size) in [(0, 1), (1, 0), (1, 201)] {
        assert_eq!(
            kind(&account(&server).keys().page(number, size).await.unwrap_err()),
            ErrorKind::InvalidInput
        );
    }
    assert!(account(&server).keys().pages_of(0).is_err());
}

#[tokio::test]
async fn activities_keep_what_is_not_known() {
    let server = Server::start(|_, index| {
        let entry = json!({ "timestamp": 1_733_462_407_906_u64, "api": { "action": "encrypt" },
            "new": { "field": [1] } });
        let nested = json!({ "timestamp": "t", "data": { "requestor": { "ip": "203.0.113.7" } } });
        success(json!({ "activityLogList": [entry, {}, nested], "pageSize": 3,
            "currentPageNo": index + 1, "totalPageNo": 2 }))
    })
    .await;
    let admin = account(&server).key("t").unwrap().admin();
    let mut pages = admin.activities(&ActivityQuery::new());
    let mut seen = 0;
    while let Some(page) = pages.next().await.unwrap() {
        assert_eq!(
            (page.items[0].timestamp.as_deref(), page.items[0].action.as_deref()),
            (Some("1733462407906"), Some("encrypt"))
        );
        assert!(page.items[0].raw.contains(r#""new":{"field":[1]}"#), "{}", page.items[0].raw);
        assert_eq!(page.items[1].raw, "{}");
        let nested = &page.items[2];
        assert_eq!(
            (nested.timestamp.as_deref(), nested.requestor_ip.as_deref()),
            (Some("t"), Some("203.0.113.7"))
        );
        seen += page.items.len();
    }
    assert_eq!(seen, 6);
}
