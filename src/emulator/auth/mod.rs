//! Who calls, which call it is, and whether that caller may make it.

pub(crate) mod account;
pub(crate) mod check;
pub(crate) mod rights;
pub(crate) mod route;
