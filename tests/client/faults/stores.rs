//! Token stores that others use at the same time: nothing good is overlooked or lost.

use super::tokens::{issuer, refreshes, token, with_tokens};
use super::*;
use ncp_envelope::kms::{MemoryTokenStore, StoreLock, TokenSet, TokenStore};
use ncp_envelope::{Error, ErrorKind};
use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A set whose tokens end that many seconds from now.
fn set(name: &str, access: i64, refresh: i64) -> TokenSet {
    let part = |part, ends| token(&format!("{name} {part}"), -10, ends);
    TokenSet::new(part("access", access), part("refresh", refresh))
}

fn shown(set: &TokenSet) -> (String, String) {
    let text = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
    (text(&set.access_token), text(&set.refresh_token))
}

fn stored(store: &impl TokenStore) -> (String, String) {
    shown(&store.load().unwrap().unwrap())
}

fn holding(server: &Server, set: &TokenSet, store: &MemoryTokenStore) -> ClientBuilder {
    let (access, refresh) = shown(set);
    with_tokens(server, &access, &refresh).token_store(store.clone())
}

/// Accepts one access token, and no refresh token at all.
async fn accepting(access: String) -> Server {
    Server::start(move |request, _| {
        let good = request.header("x-ncp-ocapi-token") == Some(&access);
        if good { encrypted() } else { unauthorized() }
    })
    .await
}

#[tokio::test]
async fn a_set_that_somebody_puts_into_the_store_is_seen_by_a_client_that_runs() {
    let new = set("new", 3_600, 36_000);
    let server = accepting(shown(&new).0).await;
    let unknown = TokenSet::new("CANARYopaque", "CANARYopaque2");
    for old in [set("old", 1_800, 18_000), set("old", -1, -1), unknown] {
        let store = MemoryTokenStore::default();
        let key = key_of(holding(&server, &old, &store));
        let error = key.encrypt(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        store.store(&new).unwrap();
        let before = refreshes(&server);
        key.encrypt(b"x").await.unwrap();
        assert_eq!(refreshes(&server) - before, 0);
        assert_eq!(key.client().stats().found_tokens, 1);
        assert_eq!(stored(&store), shown(&new));
    }
}

#[tokio::test]
async fn a_client_without_a_refresh_token_lives_on_what_is_stored() {
    let new = set("new", 3_600, 36_000);
    let server = accepting(shown(&new).0).await;
    let store = MemoryTokenStore::default();
    let credentials = Credentials::token(token("old", -3_600, -1), None).unwrap();
    let builder = Client::builder().endpoint(Endpoint::Custom(server.url()));
    let key = key_of(builder.credentials(credentials).token_store(store.clone()));
    store.store(&new).unwrap();
    key.encrypt(b"x").await.unwrap();
    assert_eq!(refreshes(&server), 0);
}

#[tokio::test]
async fn a_set_that_lives_longer_is_not_overwritten_by_a_running_client() {
    let issued = token("issued", 0, 3_600);
    let server = Server::start(issuer(|_| true, issued.clone(), token("r", 0, 3_600))).await;
    let held = set("held", -1, 1_000);
    // One that can be used as it is, and one that can get a new access token.
    for (access, requests) in [(3_600, 0), (-1, 1)] {
        let store = MemoryTokenStore::default();
        let key = key_of(holding(&server, &held, &store));
        let other = set("other", access, 90_000);
        store.store(&other).unwrap();
        let before = server.requests().len();
        key.encrypt(b"x").await.unwrap();
        let asked: Vec<_> = server.requests().split_off(before);
        assert_eq!(asked.len(), 1 + requests);
        let kept = stored(&store);
        assert_eq!(kept.1, shown(&other).1);
        if requests > 0 {
            assert_eq!(asked[0].header("x-ncp-ocapi-token"), Some(kept.1.as_str()));
            assert_eq!(kept.0, issued);
        }
    }
}

/// A server that puts `other` into `store` while it answers a refresh.
async fn meddling(store: MemoryTokenStore, other: TokenSet, refresh: Reply) -> Server {
    let good = shown(&other).0;
    Server::start(move |request, _| {
        if request.path.ends_with("/access-token") {
            store.store(&other).unwrap();
            return refresh.clone();
        }
        let access = request.header("x-ncp-ocapi-token").unwrap();
        if access == good || access == "issued" { encrypted() } else { unauthorized() }
    })
    .await
}

#[tokio::test]
async fn what_is_stored_during_a_refresh_is_neither_lost_nor_overlooked() {
    let (held, other) = (set("held", -1, 1_000), set("other", 3_600, 90_000));
    let issued = success(json!({ "accessToken": "issued" }));
    for (refresh, in_use) in [(issued, "issued".to_owned()), (unauthorized(), shown(&other).0)] {
        let store = MemoryTokenStore::default();
        let server = meddling(store.clone(), other.clone(), refresh).await;
        let key = key_of(holding(&server, &held, &store));
        key.encrypt(b"x").await.unwrap();
        assert_eq!(key.client().current_access_token().unwrap().expose_secret(), in_use);
        assert_eq!(stored(&store), shown(&other));
    }
}

#[tokio::test]
async fn tokens_that_were_given_serve_when_longer_lived_ones_of_the_store_are_void() {
    let (given, void) = (set("given", 3_600, 7_200), set("void", 9_000, 90_000));
    let (access, refresh) = shown(&given);
    let issued = token("issued", 0, 3_600);
    // The service accepts the access token given, or only the refresh token.
    for refreshed in [false, true] {
        let (access, refresh, issued) = (access.clone(), refresh.clone(), issued.clone());
        let server = Server::start(move |request, _| {
            let header = request.header("x-ncp-ocapi-token").unwrap();
            match request.path.ends_with("/access-token") {
                true if refreshed && header == refresh => success(json!({ "accessToken": issued })),
                false if header == if refreshed { &issued } else { &access } => encrypted(),
                _ => unauthorized(),
            }
        })
        .await;
        // Built with the void ones, and given them later.
        for later in [false, true] {
            let store = MemoryTokenStore::default();
            if !later {
                store.store(&void).unwrap();
            }
            let key = key_of(holding(&server, &given, &store));
            if later && !refreshed {
                continue;
            }
            store.store(&void).unwrap();
            key.encrypt(b"x").await.unwrap();
            key.encrypt(b"x").await.unwrap();
            assert_eq!(stored(&store).1 == shown(&given).1, refreshed);
        }
    }
}

#[tokio::test]
async fn a_stored_set_that_is_refused_gives_way_to_one_of_the_account() {
    let new = set("new", 3_600, 7_200);
    let (access, refresh) = shown(&new);
    let issued = success(json!({ "accessToken": access, "refreshToken": refresh }));
    let server = Server::start(move |request, _| {
        let signed = request.header("x-ncp-apigw-signature-v2").is_some();
        match request.header("x-ncp-ocapi-token") {
            Some(token) if *token == access => encrypted(),
            None if signed && request.path.ends_with("/token-set") => issued.clone(),
            _ => unauthorized(),
        }
    })
    .await;
    // Void, and by its claims good for longer than the new one.
    let store = MemoryTokenStore::default();
    store.store(&set("void", 9_000, 90_000)).unwrap();
    let builder = account(server.url()).token_store(store.clone());
    let key = key_of(builder);
    key.encrypt(b"x").await.unwrap();
    assert_eq!(stored(&store), shown(&new));
    key.encrypt(b"x").await.unwrap();
    assert_eq!(key.client().stats().issued_sets, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_share_a_store_share_a_refresh() {
    let new = token("new", 0, 3_600);
    let good = new.clone();
    let server = Server::start(issuer(move |token| token == good, new, String::new())).await;
    let store = MemoryTokenStore::default();
    let old = set("old", -1, 36_000);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let key = key_of(holding(&server, &old, &store));
            tokio::spawn(async move { key.encrypt(b"x").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(refreshes(&server), 1);
}

#[tokio::test]
async fn a_lock_that_is_never_given_back_is_not_waited_for_for_ever() {
    let new = token("new", 0, 3_600);
    let server = Server::start(issuer(|_| true, new.clone(), String::new())).await;
    let store = MemoryTokenStore::default();
    let builder = holding(&server, &set("old", -1, 36_000), &store);
    let key = key_of(builder.call_timeout(Duration::from_secs(1)));
    let _lock = store.try_lock().unwrap().unwrap();
    key.encrypt(b"x").await.unwrap();
    assert_eq!(stored(&store).0, new);
}

/// A scripted store.
#[derive(Debug, Default)]
struct Told {
    tokens: MemoryTokenStore,
    unreadable: Mutex<bool>,
}

impl TokenStore for Told {
    fn load(&self) -> Result<Option<TokenSet>, Error> {
        match *self.unreadable.lock().unwrap() {
            true => Err(Error::new(ErrorKind::Malformed, "half a file")),
            false => self.tokens.load(),
        }
    }

    fn store(&self, set: &TokenSet) -> Result<(), Error> {
        self.tokens.store(set)
    }

    fn try_lock(&self) -> Result<Option<StoreLock>, Error> {
        Err(Error::new(ErrorKind::Io, "no locks"))
    }
}

#[tokio::test]
async fn a_store_that_cannot_lock_works_and_one_that_cannot_be_read_is_left_alone() {
    let new = token("new", 0, 3_600);
    let server = Server::start(issuer(|_| true, new.clone(), String::new())).await;
    for unreadable in [false, true] {
        let store = Arc::new(Told::default());
        let old = set("old", -1, 36_000);
        store.store(&old).unwrap();
        let builder = Client::builder().endpoint(Endpoint::Custom(server.url()));
        let key = key_of(builder.token_store(Arc::clone(&store)));
        *store.unreadable.lock().unwrap() = unreadable;
        key.encrypt(b"x").await.unwrap();
        assert_eq!(key.client().current_access_token().unwrap().expose_secret(), new);
        assert_eq!(key.client().stats().failed_stores, u64::from(unreadable));
        let expected = if unreadable { shown(&old).0 } else { new.clone() };
        assert_eq!(stored(&store.tokens).0, expected);
    }
}

#[tokio::test]
async fn tokens_of_another_key_are_neither_used_nor_overwritten() {
    use base64::Engine;
    let of_key = |tag: &str, ends: &str| {
        let claims = format!(r#"{{"2":"keytag__{tag}","exp":{ends}}}"#);
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        format!("CANARY.{claims}.x")
    };
    let new = of_key("tag", "4000000000");
    let server = Server::start(issuer(|_| true, new.clone(), String::new())).await;
    let store = MemoryTokenStore::default();
    let other = TokenSet::new(of_key("other", "5000000000"), of_key("other", "5000000000"));
    store.store(&other).unwrap();
    let held = TokenSet::new(of_key("tag", "1000000000"), of_key("tag", "4000000000"));
    let key = key_of(holding(&server, &held, &store));
    key.encrypt(b"x").await.unwrap();
    assert_eq!(key.client().current_access_token().unwrap().expose_secret(), new);
    assert_eq!(stored(&store), shown(&other));
}

#[tokio::test]
async fn a_refusal_of_any_kind_is_tried_once_with_new_tokens_if_the_old_may_have_ended() {
    let forbidden = Reply::json(403, &json!({ "code": "FORBIDDEN" }));
    let invalid = Reply::json(400, &json!({ "code": "INVALID_REQUEST" }));
    let missing = Reply::json(404, &json!({ "code": "NOT_FOUND" }));
    for refusal in [forbidden, invalid, missing] {
        // By a clock that is a few minutes off, and one that says nothing of an end.
        for (ends, helped) in [(-1, true), (200, true), (3_000, false)] {
            for good in ["new", "none"] {
                let (refusal, old) = (refusal.clone(), token("old", -600, ends));
                let server = Server::start(move |request, _| {
                    let header = request.header("x-ncp-ocapi-token").unwrap();
                    match request.path.ends_with("/access-token") {
                        true if header == REFRESH => success(json!({ "accessToken": "new" })),
                        true => unauthorized(),
                        false if header == good => encrypted(),
                        false => refusal.clone(),
                    }
                })
                .await;
                let key = key_of(with_tokens(&server, &old, REFRESH));
                let result = key.encrypt(b"x").await;
                assert_eq!(result.is_ok(), helped && good == "new", "{ends} {good}");
                let calls = count(&server, |request| request.path.ends_with("/encrypt"));
                assert!(calls <= 2, "{calls}");
                assert_eq!(refreshes(&server), usize::from(helped));
            }
        }
    }
}
