//! Where a machine has credentials: its environment, its files, and the cloud that it runs in.
//!
//! Promises: the first place that has any is the only one that counts; the network is asked last,
//! by no proxy, and off the cloud it is known within a second that nobody answers. This module
//! knows nothing of the key service and of clients.

pub(crate) mod chain;
pub(crate) mod metadata;
pub(crate) mod server_role;
