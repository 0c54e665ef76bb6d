//! Permitted calls, carried out: request bodies in, answer bodies out.

pub(crate) mod body;
pub(crate) mod cipher;
pub(crate) mod key_json;
pub(crate) mod manage;
pub(crate) mod page;
