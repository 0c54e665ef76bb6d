//! Joins key wrappers, their data keys and the format: the type most callers use.

mod builder;
mod handle;
mod reading;
mod recent;

pub use builder::EnvelopeBuilder;
pub use handle::Envelope;
