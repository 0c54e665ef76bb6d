//! Connections that do not wait for ever for a peer that has gone quiet.
//!
//! The timeout covers a peer that never finishes its headers or its body as well as a kept-alive connection without requests.

use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

/// How long to wait after the system refused a connection, which it does when files run out.
const PAUSE: Duration = Duration::from_millis(20);

/// A listener whose connections time out.
pub(super) struct IdleListener {
    pub(super) listener: TcpListener,
    /// How long a connection may stay silent while something is awaited from it.
    pub(super) patience: Duration,
}

impl Listener for IdleListener {
    type Io = IdleStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Small answers must not wait for more to come; where the option is refused they are only slower.
                    let _ = stream.set_nodelay(true);
                    return (IdleStream { stream, patience: self.patience, timer: Box::pin(sleep(self.patience)), waiting: false }, peer);
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that fails to read after too long without a byte.
pub(super) struct IdleStream {
    stream: TcpStream,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl AsyncRead for IdleStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            this.waiting = false;
            return Poll::Ready(read);
        }
        if !this.waiting {
            this.timer.as_mut().reset(Instant::now() + this.patience);
            this.waiting = true;
        }
        this.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for IdleStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
        let mut listener = IdleListener { listener, patience: Duration::from_millis(200) };
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
