//! Client.

mod auth;
mod endpoint;
mod retry;
mod wire;
