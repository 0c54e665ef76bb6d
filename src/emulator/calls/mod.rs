//! What calls do once they are permitted: bodies in, bodies out.

pub(crate) mod body;
pub(crate) mod cipher;
pub(crate) mod key_json;
pub(crate) mod manage;
pub(crate) mod page;
