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
/// Contract, checked by [`conformance::check`](super::conformance::check): results are as many as
/// the inputs and in their order; an empty batch gives an empty result without a call; a batch that
/// cannot be done whole fails whole; what `unwrap_keys` returns is what was wrapped, to the byte;
/// no error or `Debug` output shows a payload.
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

    /// Wraps each key anew under the newest version of the key it is wrapped under, without showing
    /// any payload to the caller.
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>>;
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
}
