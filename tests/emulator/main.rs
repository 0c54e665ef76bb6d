//! The emulator over real HTTP. Requests are signed here, from the service's documentation,
//! independently of the crate.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod account;
mod admin;
mod calls;
mod client;
mod faults;
mod generator;
mod guide;
mod limits;
mod manage;
mod metadata;
mod published;
#[path = "../common/published.rs"]
mod samples;
mod server;
mod state;
mod tokens;
mod types;
mod walk;
