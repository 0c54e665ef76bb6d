//! The cloud's metadata service, reduced to the temporary keys of a server's role.
//!
//! It stores roles, the tokens of its version 2 and the keys it issued. The accounts accept these
//! keys like any other, until they expire. Knows nothing of HTTP.

mod issuer;
mod settings;

pub(crate) use issuer::{Issuer, Keys, MAX_TTL};
pub use settings::Metadata;
