//! The other end of a connection.

use super::idle::IdleListener;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::net::IpAddr;

/// Who is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Where it comes from. An IPv4 address is one even where it arrives in IPv6's clothing.
    pub(super) ip: IpAddr,
}

impl Connected<IncomingStream<'_, IdleListener>> for Peer {
    fn connect_info(incoming: IncomingStream<'_, IdleListener>) -> Self {
        Self { ip: incoming.remote_addr().ip().to_canonical() }
    }
}
