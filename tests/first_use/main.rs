//! What people meet first: calls as they write them before they have read any page, and what the
//! library says to them when it refuses.

#![cfg(all(feature = "kms", feature = "emulator", feature = "tokio"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod configuration;
mod errors;
mod files;
mod memory;
mod network;
mod texts;

use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, Result};

type Anything = std::result::Result<(), Box<dyn std::error::Error>>;

fn envelope() -> Result<Envelope> {
    Envelope::builder(LocalKeyWrapper::new("offline", &DataKey::generate()?)?).build()
}
