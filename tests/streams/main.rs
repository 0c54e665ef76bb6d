//! Messages through I/O: readers, writers, whole streams, whole files.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod after_failures;
#[path = "../common/mod.rs"]
mod common;
mod files;
#[cfg(feature = "tokio")]
mod flushes;
mod on_tokio;
#[cfg(unix)]
mod outputs;
mod read_and_write;
mod records;
#[cfg(unix)]
mod sources;
mod verified;
mod whole;
