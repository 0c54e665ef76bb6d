//! Where a client gets its account keys, again and again.

use crate::error::Result;
use crate::kms::auth::credentials::Credentials;
use crate::wrap::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// Gives a client the keys of its account, so that a client that runs can be given new ones and
/// keeps its caches, connections and limits.
///
/// A client asks at its first call, ahead of the end that the keys have
/// ([`Credentials::ending`]), and when the service refused them. However many calls want the
/// answer, it asks once. While the keys it has are still good, a failure fails no call; with the
/// same keys as before, or after a failure, it asks again no sooner than after 30 s, or after 1 s
/// when they have ended. As long as it has no keys at all, every call asks.
///
/// The future is polled on the crate's own thread, which all calls share: it must not block. Hand
/// work that does to `tokio::task::spawn_blocking`, which works there. Who asks gives up after the
/// time that a call has.
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
