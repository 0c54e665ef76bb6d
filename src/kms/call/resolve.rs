//! Name resolution by the system.
//!
//! The HTTP library's own resolver panics if the system gives it no thread.

use crate::error::Error;
use crate::runtime;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{SocketAddr, ToSocketAddrs};

/// Resolves on another thread, or between the calls if there is none.
pub(crate) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let look = move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                let what = "the host's name cannot be resolved";
                found.map(Vec::from_iter).map_err(|error| Error::io(what, error))
            };
            let found: Vec<SocketAddr> = runtime::offload(look).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
