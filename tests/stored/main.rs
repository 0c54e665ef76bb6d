//! Messages in files, whose keys go on: against the emulator, over loopback HTTP.

#![cfg(all(feature = "kms", feature = "emulator", feature = "tokio"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

// Where the system does not tell files apart, there are no notes.
mod audits;
#[cfg(unix)]
mod checkpoints;
#[path = "../common/mod.rs"]
mod common;
mod kit;
mod many;
mod odd;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod program;
#[cfg(unix)]
mod rekey;
mod slots;
