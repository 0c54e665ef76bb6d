//! A program without `async`, against the emulator.
//!
//! ```sh
//! cargo run --features emulator --example blocking
//! ```

use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, Credentials, Endpoint};
use ncp_envelope::{Envelope, Result};

fn main() -> Result<()> {
    let emulator = Emulator::builder().start_blocking()?;
    let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    let endpoint = Endpoint::Custom(emulator.url().to_owned());
    let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    let key = client.key(emulator.key_tag())?;

    let envelope = Envelope::builder(key).scope("tenant-42").build()?.blocking();
    let message = envelope.encrypt("hello", [("kind", "greeting")])?;
    let opened = envelope.decrypt(&message, [("kind", "greeting")])?;
    assert_eq!(opened, "hello");
    Ok(())
}
