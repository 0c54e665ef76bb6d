//! The tokens of a key, for programs that hand them out.

pub(crate) mod issue;
