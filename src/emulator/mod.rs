//! An HTTP server that behaves like the Key Management Service, for tests and offline work.
//!
//! It checks what the service checks: signatures over the request line as received, timestamps,
//! token signatures, types, expiry and keys, sizes and formats. It is written from the service's
//! documentation and shares no code with this crate's client, so that neither hides the other's
//! mistakes. Where the documentation is silent it had to choose; its guide (`docs/emulator.md`)
//! lists which behaviour is documented, which is inferred and which is invented.
//!
//! It emulates the cloud's [metadata service](Metadata) as well, which gives servers the keys of
//! their role.
//!
//! Beyond what the service does, it fails on demand ([`Fault`]), lets a test move its clock
//! ([`EmulatorClock`]) and records requests ([`Emulator::requests`]).
//!
//! It is **not** a key management service. Keys are in memory or in a plain file, and requests
//! travel unencrypted unless [TLS](EmulatorBuilder::tls) is on.
//!
//! ```
//! use ncp_envelope::emulator::Emulator;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::start().await?;
//!
//! let url = format!("{}/kms/v1/keys/{}/encrypt", emulator.url(), emulator.key_tag());
//! let answer = reqwest::Client::new()
//!     .post(url)
//!     .header("x-ncp-ocapi-token", emulator.access_token().await?)
//!     .body(r#"{"plaintext":"dGVzdA=="}"#)
//!     .send()
//!     .await?;
//! assert!(answer.text().await?.contains("ncpkms:v1:"));
//!
//! assert_eq!(emulator.requests()[0].status, 200);
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! Each depends only on those before it: `keys` is one key, its material and its tokens; `state`
//! stores all keys and records calls; `auth` authenticates callers and checks their permissions;
//! `metadata` issues the temporary keys of roles; `faults` injects failures; `calls` carries out
//! permitted calls; `http` is the server and takes a request through all of it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod action;
mod answer;
mod app;
mod auth;
mod builder;
mod calls;
mod clock;
mod connection;
mod date;
mod faults;
mod handle;
mod http;
mod keys;
mod metadata;
mod random;
mod sensitive;
mod state;
mod text;
mod throttle;

pub use builder::EmulatorBuilder;
pub use clock::EmulatorClock;
pub use connection::{Connection, TokenSet};
pub use faults::{Fault, FaultId, FaultKind, FaultShape};
pub use handle::Emulator;
pub use keys::KeyKind;
pub use metadata::Metadata;
pub use state::{AuthRow, RecordedRequest};
