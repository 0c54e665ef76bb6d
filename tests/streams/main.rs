//! Messages through I/O: readers, writers, whole streams, whole files.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod after_failures;
mod async_files;
mod bytes;
#[path = "../common/mod.rs"]
mod common;
mod contexts;
mod files;
#[cfg(feature = "tokio")]
mod flushes;
mod headers;
mod on_tokio;
#[cfg(unix)]
mod outputs;
mod read_and_write;
mod records;
mod served;
#[cfg(unix)]
mod sources;
mod threads;
mod uploads;
mod verified;
mod whole;
// The same, by three threads.
#[allow(clippy::duplicate_mod)]
#[path = "whole.rs"]
mod whole_shared;
