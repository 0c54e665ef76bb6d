//! Where a machine has credentials: its environment, its files, and the cloud that it runs in.
//!
//! Promises: only the first place that has any is used; the network is asked last, without a proxy,
//! and off the cloud it fails within a second. This module knows nothing of the key service and of
//! clients.

pub(crate) mod chain;
pub(crate) mod metadata;
pub(crate) mod server_role;
