//! Joins a key wrapper, its data keys and the format: the type most callers use.

mod builder;
mod handle;
mod recent;

pub use builder::EnvelopeBuilder;
pub use handle::Envelope;
