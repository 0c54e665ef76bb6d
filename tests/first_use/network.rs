//! The key service.

use crate::Anything;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, Credentials, Endpoint};
use ncp_envelope::{CacheLimits, DecryptPolicy, Envelope};
use std::time::Duration;

#[tokio::test]
async fn the_first_ten_minutes() -> Anything {
    let emulator = Emulator::start().await?;
    let client = Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_string()))
        .credentials(Credentials::account(emulator.access_key(), emulator.secret_key())?)
        .build()?;
    let envelope = Envelope::builder(client.key(emulator.key_tag())?)
        .scope("tenant-42")
        .cache(CacheLimits::new(Duration::from_secs(300)))
        .build()?;
    let message = envelope.encrypt("hello", [("purpose", "greeting")]).await?;
    let opened = envelope.decrypt(&message, DecryptPolicy::new()).await?;
    assert_eq!((&*opened, opened.context.get("purpose")), (&b"hello"[..], Some("greeting")));
    assert_eq!(envelope.key_id().id(), emulator.key_tag());
    Ok(())
}

// `tests/client/from_env.rs` has what it does.
#[test]
fn what_the_environment_says() {
    fn compiles() -> ncp_envelope::Result<(Client, Endpoint)> {
        Ok((Client::from_env()?, Endpoint::from_env()?))
    }
    let _ = compiles;
}
