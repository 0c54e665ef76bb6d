//! Who calls: credentials as the user gives them or the machine has them, and the headers they
//! become.
//!
//! Promises: credentials are zeroized when dropped, never printed, and never part of an error. This
//! module knows nothing of request or response bodies, of retries or of hosts.

pub(crate) mod account;
pub(crate) mod claims;
pub(crate) mod configure;
pub(crate) mod credentials;
pub(crate) mod environment;
pub(crate) mod file_store;
pub(crate) mod method;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod secret_file;
pub(crate) mod signature;
pub(crate) mod single_flight;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod token_set;

pub use credentials::Credentials;
pub(crate) use method::Auth;
pub(crate) use secret::{checked, secret_header};
