//! Authentication and permissions: who calls, which call it is, and whether it is permitted.

pub(crate) mod account;
pub(crate) mod check;
pub(crate) mod rights;
pub(crate) mod route;
