//! The program as a user runs it.

#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../client/connect_proxy.rs"]
mod connect_proxy;
mod credentials;
mod emulator;
mod kit;
mod messages;
mod network;
mod refusals;
#[allow(dead_code)]
#[path = "../client/server.rs"]
mod server;
mod service;
mod tokens;
