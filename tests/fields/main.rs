//! Fields: key rings, values and blind indexes through the public API.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod documents;
mod second_implementation;
mod vectors;
