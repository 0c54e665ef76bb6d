//! The client and the emulator, over loopback HTTP: two readings of the service's documentation,
//! which must agree.

#![cfg(all(feature = "kms", feature = "emulator", feature = "tokio"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod every_call;
mod fault_matrix;
mod four_ways;
