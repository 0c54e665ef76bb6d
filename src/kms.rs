//! Client.

mod auth;
mod endpoint;
