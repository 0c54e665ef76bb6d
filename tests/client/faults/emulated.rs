//! Tokens against the emulator, which judges them and counts requests for itself.

use super::*;
use ncp_envelope::ErrorKind;
use ncp_envelope::emulator::{Emulator, Metadata};
use ncp_envelope::kms::{FileTokenStore, MemoryTokenStore, RateLimit, ServerRole, TokenStore};
use secrecy::ExposeSecret;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_when_the_access_token_expires() {
    let emulator = Emulator::start().await.unwrap();
    let tokens = emulator
        .issue_tokens(emulator.key_tag(), Duration::from_secs(1), Duration::from_secs(3_600))
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = FileTokenStore::new(directory.path().join("tokens.json"));
    let credentials =
        Credentials::token(tokens.access_token(), Some(tokens.refresh_token().into())).unwrap();
    let builder = Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_owned()))
        .credentials(credentials);
    let client = builder.token_store(store.clone()).build().unwrap();
    let key = client.key(emulator.key_tag()).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    all_succeed(&key, 100).await;
    let refreshes = emulator
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/access-token"))
        .count();
    assert_eq!((refreshes, client.stats().failed_calls), (1, 0));
    let stored = store.load().unwrap().unwrap();
    assert_eq!(
        stored.access_token.expose_secret(),
        client.current_access_token().unwrap().expose_secret()
    );
    assert_eq!(stored.refresh_token.expose_secret(), tokens.refresh_token());
}

/// The account of `emulator`, with a set of tokens that it refuses.
fn account_and_void_tokens(emulator: &Emulator) -> ClientBuilder {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    let credentials = account.with_token("void.token", Some("void.token2".into())).unwrap();
    Client::builder().endpoint(Endpoint::Custom(emulator.url().to_owned())).credentials(credentials)
}

fn sets(emulator: &Emulator) -> usize {
    let issued = |request: &&ncp_envelope::emulator::RecordedRequest| {
        request.method == "POST" && request.path.ends_with("/token-set")
    };
    emulator.requests().iter().filter(issued).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_issues_one_set_for_a_hundred_callers_whose_tokens_are_refused() {
    let emulator = Emulator::start().await.unwrap();
    emulator.access_token().await.unwrap();
    let store = MemoryTokenStore::default();
    let client = account_and_void_tokens(&emulator).token_store(store.clone()).build().unwrap();
    let key = client.key(emulator.key_tag()).unwrap();
    all_succeed(&key, 100).await;
    let stats = client.stats();
    assert_eq!((sets(&emulator), stats.issued_sets, stats.failed_calls), (1, 1, 0));
    let stored = store.load().unwrap().unwrap();
    assert_eq!(
        stored.access_token.expose_secret(),
        client.current_access_token().unwrap().expose_secret()
    );
    // What needs the account has it.
    assert_eq!(key.admin().info().await.unwrap().tag, emulator.key_tag());

    // The next run lives on what was stored.
    let next = account_and_void_tokens(&emulator).token_store(store).build().unwrap();
    all_succeed(&next.key(emulator.key_tag()).unwrap(), 1).await;
    assert_eq!(sets(&emulator), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_with_the_keys_of_a_role_do_not_notice_their_ends() {
    let life = Duration::from_secs(2);
    let metadata = || Metadata::new().key_lifetime(life);
    // New keys at each request, and the same keys until they expire.
    for metadata in [
        metadata().version_2_only(),
        metadata().version_1_only(),
        metadata().renewed(Duration::from_millis(1)),
    ] {
        let builder = Emulator::builder().unthrottled().metadata(metadata);
        let emulator = builder.start().await.unwrap();
        let role = ServerRole::at(&emulator.metadata_url().unwrap()).unwrap();
        let client = Client::builder()
            .endpoint(Endpoint::Custom(emulator.url().to_owned()))
            .credential_source(role)
            .rate_limit(RateLimit::Off)
            .build()
            .unwrap();
        let key = client.key(emulator.key_tag()).unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < 5 * life / 2 {
            all_succeed(&key, 100).await;
        }
        let requests = emulator.metadata_requests();
        let asked = requests.iter().filter(|one| one.action == Some("metadata-keys")).count();
        // Twice for each end where the same keys come shortly before it, and others after it.
        assert!((3..=7).contains(&asked), "{asked}");
        assert_eq!(client.stats().failed_calls, 0);
    }
}

#[tokio::test]
async fn the_account_issues_nothing_when_told_not_to_or_not_permitted() {
    let emulator = Emulator::start().await.unwrap();
    let key = |builder: ClientBuilder| builder.build().unwrap().key(emulator.key_tag()).unwrap();
    let off = key(account_and_void_tokens(&emulator).issue_tokens(false));
    assert_eq!(off.encrypt(b"x").await.unwrap_err().kind(), ErrorKind::Credentials);
    assert_eq!(sets(&emulator), 0);
    // Without a token generator no token can be issued.
    let on = key(account_and_void_tokens(&emulator));
    on.tokens().disable_generator().await.unwrap();
    let error = on.encrypt(b"x").await.unwrap_err();
    assert!(error.to_string().contains("the account issued no others"), "{error}");
    assert_eq!(sets(&emulator), 1);
}
