//! The same against the emulator, which judges tokens and counts requests for itself.

use super::*;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{FileTokenStore, TokenStore};
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
