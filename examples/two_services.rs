//! One message for two key services, one of which may be unreachable when it is read.
//!
//! ```sh
//! cargo run --features emulator --example two_services
//! ```
//!
//! Two emulators stand for a service in Korea and one in Japan, each with a key of its own. A third
//! key opens the same message: a recovery key that is kept in a safe.

#![allow(clippy::print_stdout)]

use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use ncp_envelope::{
    DataKey, DecryptPolicy, EncryptOptions, Envelope, ErrorKind, LocalKeyWrapper, Result,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (korea, japan) = (Emulator::start().await?, Emulator::start().await?);
    let in_the_safe = DataKey::generate()?;
    let recovery = || LocalKeyWrapper::new("recovery-2026", &in_the_safe);

    // Writing needs all services. Any one of the keys can read the message.
    let (kr, jp) = (key(&korea)?, key(&japan)?);
    let writer = Envelope::builder(kr.clone()).and(jp.clone()).and(recovery()?).build()?;
    let message = writer.encrypt(b"hello", EncryptOptions::new()).await?;

    // Reading needs one service, and asks the others only if that one fails or is slow.
    let policy = DecryptPolicy::new().max_slots(3);
    let reader = Envelope::builder(kr).and(jp).build()?;
    assert_eq!(reader.decrypt(&message, &policy).await?, b"hello");

    korea.shutdown().await;
    assert_eq!(reader.decrypt(&message, &policy).await?, b"hello");
    assert_eq!(reader.decrypt(&message, &policy).await?, b"hello");
    for recipient in reader.stats().recipients {
        println!(
            "{}: asked for {} keys, opened {}, out of reach {} times, passed over {} times",
            recipient.key,
            recipient.asked,
            recipient.opened,
            recipient.outages,
            recipient.passed_over
        );
    }

    // A message is written for all of them or not at all, and the error names the missing one.
    let refused = writer.encrypt(b"hello", EncryptOptions::new()).await.map(drop);
    let error = refused.err().filter(|error| error.kind() == ErrorKind::Unavailable);
    println!("{}", error.map_or_else(String::new, |error| error.to_string()));

    // With all services unreachable, the key from the safe still reads it.
    japan.shutdown().await;
    let rescue = Envelope::builder(recovery()?).build()?;
    assert_eq!(rescue.decrypt(&message, &policy).await?, b"hello");
    Ok(())
}

fn key(emulator: &Emulator) -> Result<Key> {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    let endpoint = Endpoint::Custom(emulator.url().to_owned());
    // One attempt each, so that this example gives up quickly.
    let builder = Client::builder().endpoint(endpoint).credentials(account).max_attempts(1);
    builder.build()?.key(emulator.key_tag())
}
