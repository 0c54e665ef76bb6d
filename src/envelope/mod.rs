//! Joins key wrappers, their data keys and the format: the type most callers use.

mod builder;
mod handle;
mod opened;
mod reading;
mod recent;
#[cfg(test)]
pub(crate) mod testing;

pub use builder::EnvelopeBuilder;
pub use handle::Envelope;
pub use opened::Opened;
