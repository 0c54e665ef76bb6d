//! The message format: what is written, what is read, and everything that is refused.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod canonical_form;
mod caps;
#[path = "../common/mod.rs"]
mod common;
mod damages;
mod headers;
mod properties;
mod pushes;
mod refusals;
mod replacements;
mod second_implementation;
mod tampering;
mod vectors;
