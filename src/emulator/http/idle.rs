//! Connections with an idle timeout.
//!
//! The timeout covers a peer that never finishes its handshake, its headers or its body, and a
//! kept-alive connection without requests.

use crate::emulator::http::stream::Stream;
use axum::serve::Listener;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long to wait after `accept` failed, as it does when the process has no file handles left.
const PAUSE: Duration = Duration::from_millis(20);

/// A listener whose connections time out, and whose port can be closed for a while.
pub(crate) struct IdleListener {
    listener: Option<TcpListener>,
    addr: SocketAddr,
    tls: Option<TlsAcceptor>,
    /// TLS handshakes in flight, each in a task, so that a slow one does not delay the others.
    handshakes: JoinSet<io::Result<(Stream, SocketAddr)>>,
    /// How long a connection may stay silent while the server waits for bytes from it.
    timeout: Duration,
    /// Whether the port should be open.
    gate: watch::Receiver<bool>,
    /// Whether the port is open.
    open: watch::Sender<bool>,
}

impl IdleListener {
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        timeout: Duration,
        gate: watch::Receiver<bool>,
        open: watch::Sender<bool>,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        Ok(Self {
            listener: Some(listener),
            addr,
            tls,
            handshakes: JoinSet::new(),
            timeout,
            gate,
            open,
        })
    }

    /// Keeps the port closed until it should be open, then opens it.
    async fn listening(&mut self) {
        loop {
            if !*self.gate.borrow_and_update() {
                self.listener = None;
                self.handshakes = JoinSet::new();
                self.open.send_replace(false);
                // With the sender dropped, the port stays closed.
                if self.gate.changed().await.is_err() {
                    pending::<()>().await;
                }
                continue;
            }
            if self.listener.is_none() {
                self.listener = TcpListener::bind(self.addr).await.ok();
            }
            if self.listener.is_none() {
                sleep(PAUSE).await;
            } else {
                break;
            }
        }
        self.open.send_replace(true);
    }
}

impl Listener for IdleListener {
    type Io = IdleStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (mut gate, timeout) = (self.gate.clone(), self.timeout);
            self.listening().await;
            let accepted = tokio::select! {
                accepted = accept(self.listener.as_ref()) => accepted,
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Ok((stream, peer))) => return (IdleStream::new(stream, timeout), peer),
                    // The connection is closed, and TLS has told the peer why.
                    _ => continue,
                },
                Ok(_) = gate.wait_for(|open| !open) => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Small answers must not wait for more bytes. Where the option is refused, they
                    // are only slower.
                    let _ = stream.set_nodelay(true);
                    match &self.tls {
                        None => return (IdleStream::new(Stream::Plain(stream), timeout), peer),
                        Some(tls) => {
                            let handshake = handshake(tls.clone(), stream, peer, timeout);
                            drop(self.handshakes.spawn(handshake));
                        }
                    }
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.addr)
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    limit: Duration,
) -> io::Result<(Stream, SocketAddr)> {
    Ok((Stream::tls(timeout(limit, tls.accept(stream)).await??), peer))
}

/// A connection whose reads fail after an idle timeout, and whose writes fail once it is lost.
pub(crate) struct IdleStream {
    pub(crate) stream: Arc<Stream>,
    pub(crate) lost: Arc<AtomicBool>,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl IdleStream {
    fn new(stream: Stream, timeout: Duration) -> Self {
        let (stream, lost) = (Arc::new(stream), Arc::new(AtomicBool::new(false)));
        Self { stream, lost, timeout, timer: Box::pin(sleep(timeout)), waiting: false }
    }
}

impl AsyncRead for IdleStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(read) = this.stream.poll_read(cx, buf) {
            this.waiting = false;
            return Poll::Ready(read);
        }
        if !this.waiting {
            this.timer.as_mut().reset(Instant::now() + this.timeout);
            this.waiting = true;
        }
        this.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for IdleStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.lost.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.stream.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lost.load(Ordering::Acquire) {
            Poll::Ready(Ok(()))
        } else {
            self.stream.poll_flush(cx)
        }
    }

    /// Dropping the stream, right after this, closes the connection.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lost.load(Ordering::Acquire) {
            Poll::Ready(Ok(()))
        } else {
            self.stream.poll_end(cx)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn silence_ends_a_connection_and_bytes_keep_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gate, open) = (watch::channel(true), watch::channel(true));
        let mut listener =
            IdleListener::new(listener, None, Duration::from_millis(200), gate.1, open.0).unwrap();
        let peer = tokio::spawn(async move {
            let mut peer = TcpStream::connect(address).await.unwrap();
            for _ in 0..4 {
                sleep(Duration::from_millis(80)).await;
                peer.write_all(b"x").await.unwrap();
            }
            peer
        });
        let (mut stream, _) = listener.accept().await;
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        let _peer = peer.await.unwrap();
        assert_eq!(stream.read(&mut bytes).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
