//! What happened to the connection of an attempt: whether it was new or reused, and why it failed.
//!
//! A server may close an idle connection at the moment when a request is written to it. The request
//! then fails although nothing is wrong, and the server has not read it. On a new connection the
//! same failure means something else. The HTTP library does not tell which it was, so the connector
//! is observed.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Set when a connection was made for the attempt of this task.
    static CONNECTED: Arc<AtomicBool>;
}

/// Sends a request by `send`. The flag is true if it went over a reused connection.
pub(crate) async fn watched<T>(send: impl Future<Output = T>) -> (T, bool) {
    let connected = Arc::new(AtomicBool::new(false));
    let result = CONNECTED.scope(Arc::clone(&connected), send).await;
    (result, !connected.load(Ordering::Relaxed))
}

/// Whether `error` is that of a connection that the peer closed before it responded.
pub(crate) fn is_closed(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // TLS wraps the error of the socket in one of its own, whose source is not the wrapped
            // one but the one after it.
            let wrapped = error.get_ref().is_some_and(|inner| is_closed(inner));
            if wrapped
                || matches!(
                    error.kind(),
                    BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
                )
            {
                return true;
            }
        }
        cause = error.source();
    }
    false
}

/// The cause of a failure to reach `url` that says the most, as the end of an error's one line, and
/// what to do about it. The outer ones are "error sending request" and the like.
pub(crate) fn cause(error: &(dyn Error + 'static), url: &str) -> String {
    let chain: Vec<String> = std::iter::successors(Some(error), |outer| (*outer).source())
        .map(ToString::to_string)
        .collect();
    let innermost = chain.last().map(String::as_str).unwrap_or_default();
    // Its type is a private one of the HTTP library.
    let tunnel = chain.iter().find_map(|text| text.strip_prefix("tunnel error: "));
    let text = match tunnel {
        Some(tunnel) if innermost.ends_with(tunnel) => format!(" through the proxy: {tunnel}"),
        Some(tunnel) => format!(" through the proxy: {tunnel}: {innermost}"),
        None => format!(": {innermost}"),
    };
    let advice = ADVICE.iter().find(|(said, _)| text.contains(said)).map_or("", |(_, what)| what);
    let text = text + &advice.replace("{url}", url);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

const UNTRUSTED: &str =
    "; no authority that is trusted has signed it: add the one that has as a root certificate";

/// What to do about failures that are most often a matter of configuration, by what the TLS and
/// HTTP libraries say.
const ADVICE: &[(&str, &str)] = &[
    ("UnknownIssuer", UNTRUSTED),
    // Signed by another one of the same name, such as an emulator's before its last start.
    ("BadSignature", UNTRUSTED),
    ("certificate expired", "; it has ended, or this machine's clock is wrong"),
    ("certificate not valid yet", "; it begins later, or this machine's clock is wrong"),
    ("certificate not valid for name", "; it is another host's: check the endpoint and the proxy"),
    ("proxy authorization required", "; give the proxy's url with user name and password"),
    (
        "failed to lookup address information",
        "; check the endpoint, {url}, this machine's dns, and whether calls need a proxy",
    ),
    (
        "onnection refused",
        "; nothing listens there: check the endpoint, {url}, and the proxy, if there is one",
    ),
    ("unreachable", "; check the network, and whether calls to {url} need a proxy"),
    ("timed out", "; check the network, and whether calls to {url} need a proxy"),
    ("deadline has elapsed", "; check the network, and whether calls to {url} need a proxy"),
];

/// Marks the task that waits for a connection when one was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch;

/// A connector that is observed.
#[derive(Debug, Clone)]
pub(crate) struct Watched<S>(S);

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched(inner)
    }
}

impl<S, Target> Service<Target> for Watched<S>
where
    S: Service<Target>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connection = connecting.await?;
            // A connection that is finished in the background, after another became free, is not
            // the one in use.
            let _ = CONNECTED.try_with(|connected| connected.store(true, Ordering::Relaxed));
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_connections_are_told_from_other_failures() {
        let wrap = |kind: io::ErrorKind| io::Error::other(io::Error::from(kind));
        assert!(
            is_closed(&wrap(io::ErrorKind::ConnectionReset))
                && is_closed(&io::Error::from(io::ErrorKind::BrokenPipe))
        );
        assert!(
            !is_closed(&wrap(io::ErrorKind::ConnectionRefused))
                && !is_closed(&wrap(io::ErrorKind::TimedOut))
        );
    }
}
