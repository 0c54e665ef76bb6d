//! The server: connections, TLS, the admin port, and the handling of a request from its first line
//! to its answer.

pub(crate) mod admin;
pub(crate) mod body;
pub(crate) mod disturb;
pub(crate) mod exchange;
pub(crate) mod idle;
pub(crate) mod metadata;
pub(crate) mod peer;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod stream;
pub(crate) mod tls;
