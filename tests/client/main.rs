//! The client of the key service: against a server that answers as it is told and writes down what
//! it was asked, and against emulators that it must not trust.

#![cfg(feature = "kms")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod api;
mod calls;
#[cfg(all(feature = "emulator", feature = "tokio"))]
mod connect_proxy;
mod faults;
#[cfg(feature = "emulator")]
mod from_env;
#[cfg(all(feature = "emulator", feature = "profile"))]
mod profile;
#[cfg(all(feature = "emulator", feature = "tokio"))]
mod proxy;
#[path = "../common/published.rs"]
#[allow(dead_code)]
mod samples;
mod server;
mod tls;
#[cfg(feature = "tokio")]
mod unpolled;
