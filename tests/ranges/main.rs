//! Ranges of messages: what they are, what they cost, and what they refuse.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::single_range_in_vec_init)]

#[path = "../common/mod.rs"]
mod common;
mod cost;
mod cursors;
mod damage;
mod kit;
mod large;
mod lengths;
#[path = "../common/made.rs"]
mod made;
mod remote;
mod sources;
mod threads;
