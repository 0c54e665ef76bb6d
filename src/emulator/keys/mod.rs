//! One key: its kind, the rules for its changes, the material of its versions, and its tokens.

pub(crate) mod aes;
pub(crate) mod asymmetric;
pub(crate) mod key;
pub(crate) mod kind;
pub(crate) mod token;
pub(crate) mod version;

pub use kind::KeyKind;
