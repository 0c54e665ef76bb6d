use crate::api::{ACCESS, REFRESH, account, always, api_1, kind, lines, success, with_token};
use crate::server::{Reply, Server};
use ncp_envelope::ErrorKind;
use ncp_envelope::kms::{GeneratorStatus, TokenHours, TokenLifetimes};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

fn refresh() -> SecretString {
    REFRESH.into()
}

#[tokio::test]
async fn what_is_sent() {
    let server = Server::start(|request, _| {
        match (request.method.as_str(), request.path.rsplit('/').next().unwrap()) {
            (_, "token-set") => {
                success(json!({ "refreshToken": "CANARYr1", "accessToken": "CANARYa1" }))
            }
            ("POST", "access-token") => success(json!({ "accessToken": "CANARYa2" })),
            ("GET", "validate-token") => success(json!({ "validated": true })),
            ("GET", "token-generator") => success(
                json!({ "tokenGeneratorId": 7, "status": "ACTIVE", "issuedTokenCount": "3" }),
            ),
            _ => success(Value::Null),
        }
    })
    .await;
    // Calls with a token carry that token, whatever the client's own credentials are.
    for client in [account(&server), with_token(&server)] {
        let tokens = client.key("tag").unwrap().tokens();
        let lifetimes = TokenLifetimes {
            access: Some(TokenHours::Unlimited),
            refresh: Some(TokenHours::Hours(17_520)),
        };
        let set = tokens.renew_set(&refresh(), &lifetimes).await.unwrap();
        assert_eq!(
            (set.access_token.expose_secret(), set.refresh_token.expose_secret()),
            ("CANARYa1", "CANARYr1")
        );
        assert!(!format!("{set:?} {tokens:?}").contains("CANARY"));
        let access = tokens.new_access_token(&refresh(), Some(TokenHours::Hours(1))).await.unwrap();
        assert_eq!(access.expose_secret(), "CANARYa2");
        tokens.new_access_token(&refresh(), None).await.unwrap();
        assert!(
            tokens.validate(&refresh()).await.unwrap()
                && tokens.validate(&ACCESS.into()).await.unwrap()
        );
    }
    let tokens = account(&server).key("tag").unwrap().tokens();
    tokens.create_set(&TokenLifetimes::default()).await.unwrap();
    tokens
        .create_set(&TokenLifetimes { access: Some(TokenHours::Hours(72)), refresh: None })
        .await
        .unwrap();
    let generator = tokens.generator().await.unwrap();
    assert_eq!(
        (generator.id.as_deref(), generator.status),
        (Some("7"), Some(GeneratorStatus::Active))
    );
    assert_eq!(
        (generator.issued_tokens, generator.enabled, generator.disabled),
        (Some(3), None, None)
    );
    tokens.enable_generator().await.unwrap();
    tokens.replace_generator().await.unwrap();
    tokens.disable_generator().await.unwrap();

    let with_tokens = [
        "refresh PUT /kms/v1/keys/tag/token-set \
         {\"accessTokenHours\":\"UL\",\"refreshTokenHours\":17520}",
        r#"refresh POST /kms/v1/keys/tag/access-token {"accessTokenHours":1}"#,
        r#"refresh POST /kms/v1/keys/tag/access-token {}"#,
        r#"refresh GET /kms/v1/keys/tag/validate-token -"#,
        r#"access GET /kms/v1/keys/tag/validate-token -"#,
    ];
    let with_account = [
        r#"account POST /kms/v1/keys/tag/token-set {}"#,
        r#"account POST /kms/v1/keys/tag/token-set {"accessTokenHours":72}"#,
        r#"account GET /kms/v1/keys/tag/token-generator -"#,
        r#"account POST /kms/v1/keys/tag/token-generator {}"#,
        r#"account PUT /kms/v1/keys/tag/token-generator {}"#,
        r#"account DELETE /kms/v1/keys/tag/token-generator -"#,
    ];
    assert_eq!(lines(&server), [&with_tokens[..], &with_tokens, &with_account].concat());
}

#[tokio::test]
async fn what_cannot_be_a_call_is_not_made() {
    let server = Server::start(|_, _| panic!("called")).await;
    let tokens = account(&server).key("tag").unwrap().tokens();
    for hours in [0, 17_521] {
        let lifetimes = TokenLifetimes { access: None, refresh: Some(TokenHours::Hours(hours)) };
        assert_eq!(
            kind(&tokens.create_set(&lifetimes).await.unwrap_err()),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(&tokens.renew_set(&refresh(), &lifetimes).await.unwrap_err()),
            ErrorKind::InvalidInput
        );
    }
    for odd in ["", "CANARY\n", "CANARY x"] {
        assert_eq!(kind(&tokens.validate(&odd.into()).await.unwrap_err()), ErrorKind::Credentials);
    }
    let tokens = with_token(&server).key("tag").unwrap().tokens();
    assert_eq!(
        kind(&tokens.create_set(&TokenLifetimes::default()).await.unwrap_err()),
        ErrorKind::Credentials
    );
    assert_eq!(kind(&tokens.generator().await.unwrap_err()), ErrorKind::Credentials);
    assert_eq!(kind(&tokens.replace_generator().await.unwrap_err()), ErrorKind::Credentials);
    let tokens = api_1(&server).key("tag").unwrap().tokens();
    assert_eq!(kind(&tokens.validate(&refresh()).await.unwrap_err()), ErrorKind::InvalidInput);
    assert_eq!(kind(&tokens.generator().await.unwrap_err()), ErrorKind::InvalidInput);
    assert!(server.requests().is_empty());
    for odd in ["", "0", "17521", "-1", "1.5", "never"] {
        assert_eq!(kind(&odd.parse::<TokenHours>().unwrap_err()), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn issuing_is_not_repeated_and_reading_is() {
    for reply in [Reply::hang_up(), Reply::new(503, "text/plain", ""), Reply::json(429, &json!({}))]
    {
        let server = always(reply).await;
        let tokens = account(&server).key("tag").unwrap().tokens();
        kind(&tokens.create_set(&TokenLifetimes::default()).await.unwrap_err());
        kind(&tokens.renew_set(&refresh(), &TokenLifetimes::default()).await.unwrap_err());
        kind(&tokens.new_access_token(&refresh(), None).await.unwrap_err());
        kind(&tokens.enable_generator().await.unwrap_err());
        kind(&tokens.replace_generator().await.unwrap_err());
        kind(&tokens.disable_generator().await.unwrap_err());
        assert_eq!(server.requests().len(), 6);
        kind(&tokens.generator().await.unwrap_err());
        assert_eq!(server.requests().len(), 9);
    }
}

#[tokio::test]
async fn answers_in_every_form() {
    let echo = format!("no {REFRESH} {ACCESS}");
    for (reply, want) in [
        (success(json!({ "validated": "true" })), Ok(true)),
        (success(json!({ "validated": false })), Ok(false)),
        (success(json!({ "valid": true })), Ok(true)),
        (Reply::json(401, &json!({ "code": "UNAUTHORIZED", "msg": echo })), Ok(false)),
        (
            Reply::json(403, &json!({ "code": "FORBIDDEN", "msg": echo })),
            Err(ErrorKind::AccessDenied),
        ),
        (
            Reply::json(200, &json!({ "code": "NOT_FOUND", "msg": echo })),
            Err(ErrorKind::KeyUnusable),
        ),
        (success(json!({ "validated": "CANARY" })), Err(ErrorKind::Internal)),
        (success(Value::Null), Err(ErrorKind::Internal)),
    ] {
        let server = always(reply).await;
        // The token is not one of the client's own, and hidden all the same.
        let got = with_token(&server).key("tag").unwrap().tokens().validate(&refresh()).await;
        assert_eq!(got.map_err(|error| kind(&error)), want);
        assert_eq!(server.requests().len(), 1);
    }
    for data in [
        json!({ "accessToken": "CANARY", "refreshToken": "CANARY\n" }),
        json!({ "accessToken": "", "refreshToken": "CANARY" }),
        json!({ "accessToken": "CANARY" }),
        json!({ "accessToken": "CANARY", "refreshToken": ["CANARY", "CANARY"] }),
        json!({ "accessToken": 1, "refreshToken": "CANARY" }),
        json!([]),
        Value::Null,
    ] {
        let server = always(success(data)).await;
        let error = account(&server)
            .key("tag")
            .unwrap()
            .tokens()
            .create_set(&TokenLifetimes::default())
            .await
            .unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Internal, "{error}");
    }
    let server = always(success(
        json!({ "status": "PAUSED", "enabledDate": "1733462407906", "issuedTokenCount": {} }),
    ))
    .await;
    let generator = account(&server).key("tag").unwrap().tokens().generator().await.unwrap();
    assert_eq!(generator.status, Some(GeneratorStatus::Other("PAUSED".to_owned())));
    assert_eq!(
        (generator.enabled.unwrap().millis(), generator.issued_tokens),
        (1_733_462_407_906, None)
    );
}
