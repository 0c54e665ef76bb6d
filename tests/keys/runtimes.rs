//! One cache under envelopes whose calls are polled by different executors.

use super::*;
use common::{KEK, KEY_ID};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{KeyCache, KeyId, KeyWrapper, LocalKeyWrapper, Result};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// Unwraps when it is let.
#[derive(Debug, Clone)]
struct Held(Arc<LocalKeyWrapper>, Arc<AtomicBool>);

impl Held {
    fn new() -> Self {
        Self(
            Arc::new(LocalKeyWrapper::new(KEY_ID, &DataKey::copy_from(&KEK)).unwrap()),
            Arc::default(),
        )
    }
}

impl KeyWrapper for Held {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.wrap_keys(payloads)
    }
    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            std::future::poll_fn(|cx| match self.1.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
            self.0.unwrap_keys(wrapped).await
        })
    }
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.rewrap_keys(wrapped)
    }
}

/// The first reader asks where there is no runtime, and then goes away or is not polled any more.
#[test]
fn a_reader_does_not_wait_for_another_envelope_that_nobody_polls() {
    for (dropped, in_runtime) in [(true, false), (false, false), (true, true), (false, true)] {
        let held = Held::new();
        let cache = KeyCache::new(CacheLimits::new(HOUR)).unwrap();
        let envelope =
            || Envelope::builder(held.clone()).shared_cache(&cache, "one").build().unwrap();
        let (first, second) = (envelope(), envelope());
        let message = common::block_on(envelope().encrypt(b"x", EncryptOptions::new())).unwrap();
        let mut noop = Context::from_waker(Waker::noop());
        let policy = policy();
        let mut asking = Box::pin(first.decrypt(&message, &policy));
        assert!(asking.as_mut().poll(&mut noop).is_pending());
        let asking = (!dropped).then_some(asking);
        held.1.store(true, Ordering::SeqCst);
        if in_runtime {
            assert_eq!(*common::block_on(second.decrypt(&message, &policy)).unwrap(), b"x");
        } else {
            let mut joining = pin!(second.decrypt(&message, &policy));
            let found = (0..100).find_map(|_| match joining.as_mut().poll(&mut noop) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            });
            assert_eq!(*found.expect("an answer that was there").unwrap(), b"x");
        }
        drop(asking);
    }
}

/// The runtime of whoever asked is gone, or stands still, when another one needs the key.
#[test]
fn a_reader_does_not_wait_for_a_runtime_that_is_gone() {
    let held = Held::new();
    let envelope = Envelope::builder(held.clone()).cache(CacheLimits::new(HOUR)).build().unwrap();
    let message = common::block_on(envelope.encrypt(b"x", EncryptOptions::new())).unwrap();
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let policy = policy();
    let waited = first.block_on(async {
        tokio::time::timeout(Duration::from_millis(20), envelope.decrypt(&message, &policy)).await
    });
    assert!(waited.is_err());
    held.1.store(true, Ordering::SeqCst);
    drop(first);
    assert_eq!(*common::block_on(envelope.decrypt(&message, &policy)).unwrap(), b"x");
}
