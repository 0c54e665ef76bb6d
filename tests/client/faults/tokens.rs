//! Tokens under load: one refresh, no failed call, and what was issued is handed on.

use super::*;
use ncp_envelope::kms::{MemoryTokenStore, TokenSet, TokenStore};
use ncp_envelope::{Error, ErrorKind};
use secrecy::ExposeSecret;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A token named `name` that was issued and ends that many seconds from now.
pub(super) fn token(name: &str, issued: i64, ends: i64) -> String {
    use base64::Engine;
    let claims = format!(r#"{{"sub":"{name}","iat":{},"exp":{}}}"#, now() + issued, now() + ends);
    format!("CANARY.{}.x", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
}

pub(super) fn with_tokens(server: &Server, access: &str, refresh: &str) -> ClientBuilder {
    let credentials = Credentials::token(access, Some(refresh.into())).unwrap();
    Client::builder().endpoint(Endpoint::Custom(server.url())).credentials(credentials)
}

/// Accepts access tokens as `good` says, and issues `access` and `refresh`.
pub(super) fn issuer(
    good: impl Fn(&str) -> bool + Send + Sync + 'static,
    access: String,
    refresh: String,
) -> impl Fn(&Request, usize) -> Reply + Send + Sync {
    move |request, _| {
        let wait = Duration::from_millis(30);
        match request.path.rsplit('/').next().unwrap() {
            "access-token" => success(json!({ "accessToken": access })).after(wait),
            "token-set" => {
                success(json!({ "accessToken": access, "refreshToken": refresh })).after(wait)
            }
            _ if good(request.header("x-ncp-ocapi-token").unwrap()) => encrypted(),
            _ => unauthorized(),
        }
    }
}

pub(super) fn refreshes(server: &Server) -> usize {
    count(server, |request| {
        request.path.ends_with("/access-token") || request.path.ends_with("/token-set")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_with_an_expired_token_share_one_refresh() {
    let new = token("new", 0, 3_600);
    for (old, refusals) in [("CANARYopaque".to_owned(), 1..=100), (token("old", -3_600, -1), 0..=0)]
    {
        let good = new.clone();
        let server =
            Server::start(issuer(move |token| token == good, new.clone(), String::new())).await;
        let key = key_of(with_tokens(&server, &old, REFRESH));
        all_succeed(&key, 100).await;
        assert_eq!(refreshes(&server), 1);
        let refused = count(&server, |request| request.header("x-ncp-ocapi-token") == Some(&old));
        assert!(refusals.contains(&refused), "{refused}");
        let stats = key.client().stats();
        assert_eq!((stats.refreshes, stats.failed_refreshes, stats.failed_calls), (1, 0, 0));
        all_succeed(&key, 100).await;
        assert_eq!(refreshes(&server), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_near_its_end_is_replaced_while_calls_go_on_with_it() {
    let server = Server::start(issuer(|_| true, token("new", 0, 3_600), String::new())).await;
    let old = token("old", -3_500, 100);
    let key = key_of(with_tokens(&server, &old, &token("refresh", -10, 100_000)));
    all_succeed(&key, 100).await;
    assert_eq!(refreshes(&server), 1);
    assert!(
        count(&server, |request| request.path.ends_with("/encrypt")
            && request.header("x-ncp-ocapi-token") == Some(&old))
            > 0
    );
    let refresh = server
        .requests()
        .into_iter()
        .find(|request| request.path.ends_with("/access-token"))
        .unwrap();
    assert_eq!(
        (refresh.method.as_str(), refresh.body.as_str()),
        ("POST", r#"{"accessTokenHours":1}"#)
    );
}

#[tokio::test]
async fn a_refresh_ahead_of_time_that_fails_or_hangs_fails_no_call() {
    for reply in
        [down(), unauthorized(), Reply::hang_up(), encrypted().after(Duration::from_secs(60))]
    {
        let server = Server::start(move |request, _| {
            if request.path.ends_with("/encrypt") { encrypted() } else { reply.clone() }
        })
        .await;
        for (issued, ends) in [(-3_500, 100), (-3_600, -1)] {
            let builder = with_tokens(&server, &token("old", issued, ends), REFRESH)
                .call_timeout(Duration::from_secs(3));
            let key = key_of(builder.attempt_timeout(Duration::from_secs(1)));
            let before = refreshes(&server);
            for _ in 0..5 {
                key.encrypt(b"x").await.unwrap();
            }
            assert_eq!(refreshes(&server) - before, 1);
        }
    }
}

#[tokio::test]
async fn a_refresh_token_near_its_end_is_replaced_and_handed_to_the_store() {
    let (access, refresh) = (token("access 1", 0, 3_600), token("refresh 1", 0, 36_000));
    let server = Server::start(issuer(|_| true, access.clone(), refresh.clone())).await;
    let store = MemoryTokenStore::default();
    let old = token("refresh 0", -35_900, 100);
    let key = key_of(
        with_tokens(&server, &token("access 0", -10, 3_590), &old).token_store(store.clone()),
    );
    key.encrypt(b"x").await.unwrap();
    key.encrypt(b"x").await.unwrap();
    let renewal =
        server.requests().into_iter().find(|request| request.path.ends_with("/token-set")).unwrap();
    assert_eq!(renewal.method, "PUT");
    assert_eq!(renewal.header("x-ncp-ocapi-token"), Some(old.as_str()));
    assert_eq!(renewal.body, r#"{"accessTokenHours":1,"refreshTokenHours":10}"#);
    assert_eq!(refreshes(&server), 1);
    let stored = store.load().unwrap().unwrap();
    assert_eq!(
        (stored.access_token.expose_secret(), stored.refresh_token.expose_secret()),
        (access.as_str(), refresh.as_str())
    );

    // The next run begins with what was stored, whatever it is given from before.
    for builder in [
        with_tokens(&server, &token("access 0", -10, 3_590), &old).token_store(store.clone()),
        Client::builder().endpoint(Endpoint::Custom(server.url())).token_store(store.clone()),
    ] {
        assert_eq!(
            builder.build().unwrap().current_access_token().unwrap().expose_secret(),
            access
        );
    }
    // But not with what is older than what it is given.
    let newer = token("refresh 2", 10, 36_000);
    let client = with_tokens(&server, "access2", &newer).token_store(store).build().unwrap();
    assert_eq!(client.current_access_token().unwrap().expose_secret(), "access2");
}

#[tokio::test]
async fn a_service_that_renews_no_sets_still_gives_access_tokens() {
    let access = token("access 1", 0, 3_600);
    let server = Server::start(move |request, _| match request.path.rsplit('/').next().unwrap() {
        "token-set" => Reply::json(404, &json!({ "code": "NOT_FOUND" })),
        "access-token" => success(json!({ "accessToken": access })),
        _ => encrypted(),
    })
    .await;
    let key = key_of(with_tokens(
        &server,
        &token("access 0", -3_500, 100),
        &token("refresh", -35_900, 100),
    ));
    key.encrypt(b"x").await.unwrap();
    assert_eq!((refreshes(&server), key.client().stats().failed_refreshes), (2, 0));
}

#[derive(Debug)]
struct Broken;

impl TokenStore for Broken {
    fn load(&self) -> Result<Option<TokenSet>, Error> {
        Ok(None)
    }

    fn store(&self, _: &TokenSet) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Io, "full"))
    }
}

#[tokio::test]
async fn a_store_that_fails_is_counted_and_fails_no_call() {
    let new = token("new", 0, 3_600);
    let good = new.clone();
    let server =
        Server::start(issuer(move |token| token == good, new.clone(), String::new())).await;
    let key = key_of(with_tokens(&server, "old", REFRESH).token_store(Broken));
    key.encrypt(b"x").await.unwrap();
    assert_eq!(key.client().stats().failed_stores, 1);
    assert_eq!(key.client().current_access_token().unwrap().expose_secret(), new);
}
