//! The kinds of calls that are batched.

use crate::error::{Error, ErrorKind, Result};
use crate::secret::equal;
use crate::wrap::{BoxFuture, KeyId, KeyPayload, KeyWrapper, WrappedKey};

/// A kind of call.
pub(crate) trait Operation: Send + Sync + 'static {
    /// Its name in events.
    const NAME: &'static str;
    type In: Send + Sync + 'static;
    type Out: Send + 'static;

    /// The key-encryption key whose rate limit a call counts towards.
    fn key<'a>(input: &'a Self::In, wrapper: &'a dyn KeyWrapper) -> &'a KeyId;

    /// The version of that key, if the wrapper knows it.
    fn version(input: &Self::In, wrapper: &dyn KeyWrapper) -> Option<u32>;

    fn call<'a>(
        &'a self,
        wrapper: &'a dyn KeyWrapper,
        batch: &'a [Self::In],
    ) -> BoxFuture<'a, Result<Vec<Self::Out>>>;
}

/// Wraps new data keys.
pub(crate) struct Wrap {
    /// Whether to unwrap each wrapped key and compare it before it is used.
    pub(crate) verify: bool,
}

impl Operation for Wrap {
    const NAME: &'static str = "wrap";
    type In = KeyPayload;
    type Out = WrappedKey;

    fn key<'a>(_: &'a KeyPayload, wrapper: &'a dyn KeyWrapper) -> &'a KeyId {
        wrapper.key_id()
    }

    fn version(_: &KeyPayload, _: &dyn KeyWrapper) -> Option<u32> {
        None
    }

    fn call<'a>(
        &'a self,
        wrapper: &'a dyn KeyWrapper,
        batch: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        if !self.verify {
            return wrapper.wrap_keys(batch);
        }
        Box::pin(async move {
            let wrapped = wrapper.wrap_keys(batch).await?;
            let again = wrapper.unwrap_keys(&wrapped).await?;
            let same =
                |(a, b): (&KeyPayload, &KeyPayload)| equal(a.expose_secret(), b.expose_secret());
            if again.len() != batch.len() || !again.iter().zip(batch).all(same) {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "the key service does not return the keys that it wrapped: nothing was \
                     encrypted",
                ));
            }
            Ok(wrapped)
        })
    }
}

/// Unwraps data keys.
pub(crate) struct Unwrap;

impl Operation for Unwrap {
    const NAME: &'static str = "unwrap";
    type In = WrappedKey;
    type Out = KeyPayload;

    fn key<'a>(input: &'a WrappedKey, _: &'a dyn KeyWrapper) -> &'a KeyId {
        input.key_id()
    }

    fn version(input: &WrappedKey, wrapper: &dyn KeyWrapper) -> Option<u32> {
        wrapper.key_version(input)
    }

    fn call<'a>(
        &'a self,
        wrapper: &'a dyn KeyWrapper,
        batch: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        wrapper.unwrap_keys(batch)
    }
}

/// Rewraps data keys under the newest version of their key-encryption key.
pub(crate) struct Rewrap;

impl Operation for Rewrap {
    const NAME: &'static str = "rewrap";
    type In = WrappedKey;
    type Out = WrappedKey;

    fn key<'a>(input: &'a WrappedKey, _: &'a dyn KeyWrapper) -> &'a KeyId {
        input.key_id()
    }

    fn version(input: &WrappedKey, wrapper: &dyn KeyWrapper) -> Option<u32> {
        wrapper.key_version(input)
    }

    fn call<'a>(
        &'a self,
        wrapper: &'a dyn KeyWrapper,
        batch: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        wrapper.rewrap_keys(batch)
    }
}
