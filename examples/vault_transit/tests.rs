use super::*;
use crate::stand_in::{TOKEN, Vault};
use ncp_envelope::{CacheLimits, EncryptOptions};

fn transit(vault: &Vault, key: &str) -> Transit {
    Transit::new(vault.address(), TOKEN, "transit", key).unwrap()
}

async fn payload(transit: &Transit) -> WrappedKey {
    transit.wrap_keys(&[KeyPayload::copy_from(&[7; 80])]).await.unwrap().remove(0)
}

#[tokio::test]
async fn it_keeps_the_contract_and_carries_a_batch_in_a_call() {
    let vault = Vault::start(&["orders"]).await.unwrap();
    conformance::check(&transit(&vault, "orders")).await.unwrap();
    assert!(vault.calls("orders").contains(&256));

    let envelope = Envelope::builder(transit(&vault, "orders")).build().unwrap();
    let before = vault.calls("orders").len();
    let plaintexts: Vec<_> = (0..500_u32).map(u32::to_be_bytes).collect();
    let messages = envelope.encrypt_many(&plaintexts, EncryptOptions::new()).await.unwrap();
    let opened = envelope.decrypt_many(&messages, &DecryptPolicy::new()).await;
    for (opened, plaintext) in opened.into_iter().zip(&plaintexts) {
        assert_eq!(&opened.unwrap()[..], plaintext);
    }
    assert_eq!(vault.calls("orders").len() - before, 4);
}

#[tokio::test]
async fn versions_are_rewrapped_and_retired() {
    let vault = Vault::start(&["orders"]).await.unwrap();
    let key = transit(&vault, "orders");
    let old = payload(&key).await;
    let envelope = Envelope::builder(transit(&vault, "orders"))
        .cache(CacheLimits::new(Duration::from_secs(60)))
        .build()
        .unwrap();
    let message = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    let read = async || {
        let before = vault.calls("orders").len();
        envelope.decrypt(&message, &DecryptPolicy::new()).await.map(|_| ())?;
        Ok::<_, Error>(vault.calls("orders").len() - before)
    };
    assert_eq!((read().await.unwrap(), read().await.unwrap()), (1, 0));

    vault.rotate("orders");
    let new = envelope.rewrap_keys(std::slice::from_ref(&old)).await.remove(0).unwrap();
    assert_eq!((key.key_version(&old), key.key_version(&new)), (Some(1), Some(2)));

    // From the cache until the version is retired; then unwrapped each time.
    assert_eq!(read().await.unwrap(), 0);
    envelope.retire_below("transit/orders", 2);
    assert_eq!((read().await.unwrap(), read().await.unwrap()), (1, 1));
    vault.set_min_decryption_version("orders", 2);
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::KeyUnusable);
    let payloads = key.unwrap_keys(&[new]).await.unwrap();
    assert_eq!(payloads[0].expose_secret(), [7; 80]);
}

#[tokio::test]
async fn refusals_have_their_kinds_and_show_no_token() {
    let vault = Vault::start(&["orders", "others"]).await.unwrap();
    let wrapped = payload(&transit(&vault, "orders")).await;
    let bytes = wrapped.as_bytes();
    let kind = async |transit: &Transit, bytes: &[u8], id: &str| {
        let id = KeyId::new(VAULT, ZoneHint::None, id).unwrap();
        let wrapped = WrappedKey::new(id, bytes).unwrap();
        let error = transit.unwrap_keys(&[wrapped]).await.unwrap_err();
        let shown = format!("{error} {error:?} {transit:?}");
        assert!(!shown.contains(TOKEN) && !shown.contains("wrong-token"), "{shown}");
        error.kind()
    };
    let orders = transit(&vault, "orders");
    assert_eq!(kind(&orders, b"vault:v1:AAAA", "transit/orders").await, ErrorKind::Authentication);
    assert_eq!(kind(&orders, bytes, "transit/others").await, ErrorKind::KeyNotAllowed);
    assert_eq!(
        kind(&transit(&vault, "others"), bytes, "transit/others").await,
        ErrorKind::Authentication
    );
    assert_eq!(
        kind(&transit(&vault, "absent"), bytes, "transit/absent").await,
        ErrorKind::KeyUnusable
    );
    let wrong = Transit::new(vault.address(), "wrong-token", "transit", "orders").unwrap();
    assert_eq!(kind(&wrong, bytes, "transit/orders").await, ErrorKind::AccessDenied);
    let gone = Transit::new("http://127.0.0.1:9", TOKEN, "transit", "orders").unwrap();
    assert_eq!(kind(&gone, bytes, "transit/orders").await, ErrorKind::Unavailable);
    for (address, token, mount, key) in [
        ("no url", TOKEN, "transit", "orders"),
        (vault.address(), "two\nlines", "transit", "orders"),
        (vault.address(), TOKEN, "../sys", "orders"),
        (vault.address(), TOKEN, "transit", ".."),
        (vault.address(), TOKEN, "transit", ""),
    ] {
        let error = Transit::new(address, token, mount, key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address} {mount} {key}");
    }
}

#[tokio::test]
async fn a_reader_of_another_provider_refuses_its_messages() {
    let vault = Vault::start(&["orders"]).await.unwrap();
    let writer = Envelope::builder(transit(&vault, "orders")).build().unwrap();
    let message = writer.encrypt(b"x", EncryptOptions::new()).await.unwrap();
    let local = ncp_envelope::LocalKeyWrapper::new(
        "transit/orders",
        &ncp_envelope::DataKey::generate().unwrap(),
    );
    let reader = Envelope::builder(local.unwrap()).build().unwrap();
    let error = reader.decrypt(&message, &DecryptPolicy::new()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotAllowed);
    assert!(error.to_string().contains("(other-200)"), "{error}");
}
