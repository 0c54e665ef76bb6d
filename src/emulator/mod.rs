//! An HTTP server that behaves as the Key Management Service does, for tests and for work without a
//! network.
//!
//! It checks what the service checks: signatures over the request line as received, timestamps,
//! token signatures, types, expiry and keys, sizes and formats. A client that it accepts has read
//! the service's documentation as it does, and it shares no code with this crate's client, so that
//! neither hides the other's mistakes. Where the documentation is silent it had to choose; its
//! guide lists which behaviour is documented, which is inferred and which is invented.
//!
//! It can be the cloud's [metadata service](Metadata) as well, which gives servers the keys of
//! their role.
//!
//! Beyond what the service does, it fails on demand ([`Fault`]), lets a test move its clock
//! ([`EmulatorClock`]) and tells what it was asked ([`Emulator::requests`]).
//!
//! It is **not** a key management service. Keys lie in memory or in a plain file, and requests
//! travel unencrypted unless [TLS is asked for](EmulatorBuilder::tls).
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
//! # Rooms
//!
//! Each knows those before it only: `keys` is one key, its material and its tokens; `state` what
//! is kept of all keys and calls; `auth` who calls and what of it is permitted; `metadata` the
//! temporary keys of roles; `faults` what is done wrong on demand; `calls` what calls do once they
//! are permitted; `http` the server and a request's way through all of it.

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
