//! The other end of a connection, with operations that bypass the HTTP library.

use crate::emulator::http::idle::{IdleListener, IdleStream};
use crate::emulator::http::stream::Stream;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A handle on a connection.
#[derive(Clone)]
pub(crate) struct Peer {
    /// The peer's address. An IPv4 address mapped into IPv6 is an IPv4 address here.
    pub(crate) ip: IpAddr,
    stream: Arc<Stream>,
    /// Once set, the HTTP library can write nothing more, and closes the connection.
    lost: Arc<AtomicBool>,
}

impl Peer {
    /// Writes to the connection. Only while the HTTP library is waiting for an answer to write.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| self.stream.poll_write(cx, bytes)).await?;
            bytes = &bytes[written..];
        }
        poll_fn(|cx| self.stream.poll_flush(cx)).await
    }

    /// Closes the connection cleanly as soon as the HTTP library has an answer to write.
    pub(crate) async fn end(&self) {
        // Fails if the peer has closed the connection already.
        let _ = poll_fn(|cx| self.stream.poll_end(cx)).await;
        self.lose();
    }

    /// Resets the connection as soon as the HTTP library has an answer to write.
    pub(crate) fn reset(&self) {
        // Where the option is refused, the connection is closed without a reset.
        let _ = self.stream.set_zero_linger();
        self.lose();
    }

    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, IdleListener>> for Peer {
    fn connect_info(incoming: IncomingStream<'_, IdleListener>) -> Self {
        let IdleStream { stream, lost, .. } = incoming.io();
        Self {
            ip: incoming.remote_addr().ip().to_canonical(),
            stream: Arc::clone(stream),
            lost: Arc::clone(lost),
        }
    }
}
