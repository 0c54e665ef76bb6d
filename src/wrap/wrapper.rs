//! The trait that a key service implements.

use super::key_id::KeyId;
use super::payload::KeyPayload;
use super::wrapped::WrappedKey;
use crate::error::Result;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future, so that [`KeyWrapper`] can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wraps and unwraps data keys. Object-safe; the one extension point of the crate.
///
/// The contract, checked by [`conformance::check`](super::conformance::check): there is one result
/// for each input, in the same order; an empty batch gives an empty result without a call; a batch
/// succeeds or fails as a whole; `unwrap_keys` returns exactly the bytes that were wrapped; no
/// error or `Debug` output shows a payload.
///
/// The kind of an error decides what happens next.
/// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Throttled`](crate::ErrorKind::Throttled)
/// are an outage: cached and ready keys are still used.
/// [`AccessDenied`](crate::ErrorKind::AccessDenied), [`KeyUnusable`](crate::ErrorKind::KeyUnusable)
/// and [`Credentials`](crate::ErrorKind::Credentials) are a denial: every cached key under the same
/// key-encryption key is dropped. [`Authentication`](crate::ErrorKind::Authentication) and other
/// kinds of bad input may be caused by a single key: the batch is split and retried, to find it.
///
/// With a feature that brings tokio, the futures are polled on a thread of the crate's own, which
/// all calls share. A future that blocks delays the others: run blocking work with
/// `tokio::task::spawn_blocking`, which works there.
///
/// # Examples
/// A whole wrapper, for a service that stores payloads and returns receipts. Ordinary `async fn`s
/// do the work; [`Box::pin`] turns their futures into the boxed ones that a trait object needs.
/// `examples/vault_transit.rs` does the same for a service over HTTP.
///
/// ```
/// use ncp_envelope::wrap::{BoxFuture, KeyPayload, Provider, ZoneHint, conformance};
/// use ncp_envelope::{Error, ErrorKind, KeyId, KeyWrapper, Result, WrappedKey};
/// use std::sync::Mutex;
///
/// #[derive(Debug)]
/// struct Safe {
///     id: KeyId,
///     kept: Mutex<Vec<KeyPayload>>,
/// }
///
/// impl Safe {
///     async fn store(&self, payloads: &[KeyPayload]) -> Result<Vec<WrappedKey>> {
///         let mut kept = self.kept.lock().unwrap();
///         let mut receipts = Vec::new();
///         for payload in payloads {
///             kept.push(KeyPayload::copy_from(payload.expose_secret()));
///             let receipt = format!("safe:v1:{:012}", kept.len() - 1);
///             receipts.push(WrappedKey::new(self.id.clone(), receipt)?);
///         }
///         Ok(receipts)
///     }
///
///     async fn fetch(&self, receipts: &[WrappedKey]) -> Result<Vec<KeyPayload>> {
///         let kept = self.kept.lock().unwrap();
///         let find = |receipt: &WrappedKey| {
///             let text = std::str::from_utf8(receipt.as_bytes()).ok()?;
///             let payload = kept.get(text.strip_prefix("safe:v1:")?.parse::<usize>().ok()?)?;
///             Some(KeyPayload::copy_from(payload.expose_secret()))
///         };
///         let refused = || Error::new(ErrorKind::Authentication, "no such receipt is known");
///         receipts.iter().map(|receipt| find(receipt).ok_or_else(refused)).collect()
///     }
/// }
///
/// impl KeyWrapper for Safe {
///     fn key_id(&self) -> &KeyId {
///         &self.id
///     }
///
///     fn wrap_keys<'a>(
///         &'a self,
///         payloads: &'a [KeyPayload],
///     ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
///         Box::pin(self.store(payloads))
///     }
///
///     fn unwrap_keys<'a>(
///         &'a self,
///         wrapped: &'a [WrappedKey],
///     ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
///         Box::pin(self.fetch(wrapped))
///     }
///
///     fn rewrap_keys<'a>(
///         &'a self,
///         wrapped: &'a [WrappedKey],
///     ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
///         Box::pin(async move { self.store(&self.fetch(wrapped).await?).await })
///     }
///
///     fn key_version(&self, _: &WrappedKey) -> Option<u32> {
///         Some(1)
///     }
/// }
///
/// let id = KeyId::new(Provider::Other(128), ZoneHint::None, "front-office")?;
/// let safe = Safe { id, kept: Mutex::default() };
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// rt.block_on(conformance::check(&safe))?;
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub trait KeyWrapper: fmt::Debug + Send + Sync {
    /// The key that [`wrap_keys`](Self::wrap_keys) wraps under.
    fn key_id(&self) -> &KeyId;

    /// Wraps each payload under [`key_id`](Self::key_id).
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>>;

    /// Unwraps each wrapped key. A wrapper may refuse keys that are not under
    /// [`key_id`](Self::key_id) with [`ErrorKind::KeyNotAllowed`](crate::ErrorKind::KeyNotAllowed).
    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>>;

    /// Rewraps each key under the newest version of its key-encryption key, without showing any
    /// payload to the caller.
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>>;

    /// The version of the key-encryption key that `wrapped` is under, if known; higher is newer.
    /// Makes no call.
    ///
    /// [`Envelope::retire_below`](crate::Envelope::retire_below) uses it, and a batch that the
    /// service refuses with [`KeyUnusable`](crate::ErrorKind::KeyUnusable) is retried one version
    /// at a time. It is read from unauthenticated bytes: never trust a key because of it.
    fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        let _ = wrapped;
        None
    }
}

impl<T: KeyWrapper + ?Sized> KeyWrapper for Arc<T> {
    fn key_id(&self) -> &KeyId {
        (**self).key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        (**self).wrap_keys(payloads)
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        (**self).unwrap_keys(wrapped)
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        (**self).rewrap_keys(wrapped)
    }
    fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        (**self).key_version(wrapped)
    }
}
