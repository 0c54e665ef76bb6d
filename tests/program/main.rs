//! The program as a user runs it.

#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod cat;
#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod complete;
#[cfg(unix)]
mod config;
#[allow(dead_code)]
#[path = "../client/connect_proxy.rs"]
mod connect_proxy;
mod credentials;
#[cfg(unix)]
mod demo;
mod emulator;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod help;
mod kit;
#[cfg(target_os = "linux")]
#[path = "../common/made.rs"]
mod made;
#[cfg(target_os = "linux")]
mod many;
mod messages;
mod network;
#[cfg(target_os = "linux")]
mod outputs;
#[cfg(target_os = "linux")]
mod places;
mod recipients;
mod rings;
#[allow(dead_code)]
#[path = "../client/server.rs"]
mod server;
mod service;
#[cfg(unix)]
mod shells;
#[cfg(target_os = "linux")]
mod signals;
mod slots;
#[cfg(target_os = "linux")]
mod streams;
mod tokens;
#[cfg(target_os = "linux")]
mod transcript;
#[cfg(target_os = "linux")]
mod trees;
#[cfg(target_os = "linux")]
mod verify;
