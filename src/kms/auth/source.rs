//! Where a client gets its account keys, repeatedly.

use crate::error::Result;
use crate::kms::auth::credentials::Credentials;
use crate::wrap::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// A source of account keys. With it, a running client gets new keys and keeps its caches,
/// connections and limits.
///
/// A client asks the source at its first call, before the keys expire ([`Credentials::ending`]),
/// and when the service refused them. This is single flight: all callers share one request. A
/// failure fails no call while the current keys are valid. After a failure, or if the source gave
/// the same keys, the client asks again no sooner than after 30 s, or after 1 s if the keys have
/// expired. While it has no keys at all, every call asks.
///
/// The future is polled on the crate's runtime thread, which all calls share, so it must not block.
/// Run blocking work with `tokio::task::spawn_blocking`, which works there. A call that waits for
/// the keys gives up after its call timeout.
///
/// ```
/// use ncp_envelope::kms::{Client, CredentialSource, Credentials};
/// use ncp_envelope::wrap::BoxFuture;
/// use ncp_envelope::{Error, ErrorKind, Result};
///
/// #[derive(Debug)]
/// struct Mounted;
///
/// impl Mounted {
///     fn read() -> Result<Credentials> {
///         let missing =
///             |error| Error::with_source(ErrorKind::Credentials, "no keys are mounted", error);
///         let read = |name: &str| std::fs::read_to_string(format!("/run/secrets/{name}"));
///         Credentials::account(
///             read("access").map_err(missing)?,
///             read("secret").map_err(missing)?,
///         )
///     }
/// }
///
/// impl CredentialSource for Mounted {
///     fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
///         let stopped = |error| Error::with_source(ErrorKind::Internal, "stopped", error);
///         let read = tokio::task::spawn_blocking;
///         Box::pin(async move { read(Self::read).await.map_err(stopped)? })
///     }
/// }
///
/// let client = Client::builder().credential_source(Mounted).build()?;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The account keys to use from now on. Tokens among them are not used.
    ///
    /// # Errors
    /// Those of the source. If it is [`Unavailable`](crate::ErrorKind::Unavailable), what the
    /// client's callers have cached stays, as in an outage of the key service.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>>;
}

impl<T: CredentialSource + ?Sized> CredentialSource for Arc<T> {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        (**self).credentials()
    }
}

impl CredentialSource for Credentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials>> {
        let same = self.clone();
        Box::pin(async { Ok(same) })
    }
}
