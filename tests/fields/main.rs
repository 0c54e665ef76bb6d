//! Fields: key rings, values and blind indexes through the public API.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod columns;
#[cfg(all(feature = "kms", feature = "emulator"))]
mod denials;
mod documents;
#[cfg(all(feature = "kms", feature = "emulator"))]
mod kit;
#[cfg(all(feature = "kms", feature = "emulator"))]
mod life;
mod local;
mod refused;
mod second_implementation;
mod texts;
mod values;
mod vectors;
