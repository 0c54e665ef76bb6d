//! The cloud's metadata service: what a server learns of itself, as far as it is its role's
//! temporary keys.
//!
//! It knows roles, the tokens of its own version 2, and the keys it gave out. Whoever has such keys
//! signs with them as ever, so they are handed to the accounts, which accept them until they end.
//! Knows nothing of HTTP.

mod desk;
mod settings;

pub(crate) use desk::{Desk, Keys, MAX_TTL};
pub use settings::Metadata;
