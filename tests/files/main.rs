//! Many files in one call.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod again;
mod calls;
#[path = "../common/mod.rs"]
mod common;
// Without threads that may block, a call is done when it was polled.
#[cfg(feature = "tokio")]
mod ends;
mod kit;
#[cfg(target_os = "linux")]
mod open_files;
mod outcomes;
mod removed;
#[cfg(all(feature = "kms", feature = "emulator"))]
mod service;
mod stops;
mod together;
