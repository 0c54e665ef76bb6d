//! What nobody holds is gone: envelopes and callers that come and go leave no memory behind, long
//! before the keys' time is over. Read off the system's own account of this process, so a program
//! of its own.

#![cfg(all(feature = "tokio", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, Envelope, KeyCache, KeyId, KeyWrapper,
    LocalKeyWrapper, PoolLimits, Result, WrappedKey,
};
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const MIB: usize = 1 << 20;

/// A key service whose calls can be made to hang.
#[derive(Debug, Clone)]
struct Service(Arc<LocalKeyWrapper>, Arc<AtomicBool>);

impl Service {
    fn new() -> Self {
        let local = LocalKeyWrapper::new("local", &DataKey::copy_from(&[7; 32])).unwrap();
        Self(Arc::new(local), Arc::default())
    }

    fn hang(&self) {
        self.1.store(true, Ordering::SeqCst);
    }

    async fn enter(&self) {
        if self.1.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
    }
}

impl KeyWrapper for Service {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            self.enter().await;
            self.0.wrap_keys(payloads).await
        })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            self.enter().await;
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

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// Does it a hundred times to set up what stays, and then `times` times more.
#[track_caller]
fn leaves_nothing(what: &str, times: usize, mut it: impl FnMut(usize)) {
    (0..100).for_each(&mut it);
    let before = resident();
    (100..100 + times).for_each(&mut it);
    let grown = resident().saturating_sub(before);
    assert!(grown < 8 * MIB, "{times} {what} left {} MiB", grown / MIB);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Polls once, and gives up.
fn give_up<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn what_nobody_holds_is_gone() {
    let policy = DecryptPolicy::new();
    let service = Service::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let message = {
        let envelope = Envelope::builder(service.clone()).build().unwrap();
        runtime.block_on(envelope.encrypt(b"x", EncryptOptions::new())).unwrap()
    };

    leaves_nothing("envelopes with a cache of their own", 100_000, |_| {
        let limits = CacheLimits::new(HOUR);
        let envelope = Envelope::builder(service.clone()).cache(limits).build().unwrap();
        runtime.block_on(envelope.decrypt(&message, &policy)).unwrap();
    });

    let cache = KeyCache::new(CacheLimits::new(HOUR)).unwrap();
    let root = Envelope::builder(service.clone())
        .shared_cache(&cache, "p")
        .pool(PoolLimits::new(HOUR).with_max_keys(2))
        .build()
        .unwrap();
    leaves_nothing("envelopes of one cache", 100_000, |n| {
        let scoped = root.for_scope(format!("tenant {n}")).unwrap();
        runtime.block_on(scoped.encrypt(b"x", EncryptOptions::new())).unwrap();
    });

    let hung = Service::new();
    hung.hang();
    for builder in [
        Envelope::builder(hung.clone()),
        Envelope::builder(hung.clone()).cache(CacheLimits::new(HOUR)),
    ] {
        let envelope = builder.build().unwrap();
        leaves_nothing("readers who gave up", 1_000_000, |_| {
            give_up(envelope.decrypt(&message, &policy));
        });
    }
    for builder in [
        Envelope::builder(hung.clone()),
        Envelope::builder(hung.clone()).pool(PoolLimits::new(HOUR)),
    ] {
        let envelope = builder.build().unwrap();
        leaves_nothing("writers who gave up", 300_000, |_| {
            give_up(envelope.encrypt(b"x", EncryptOptions::new()));
        });
    }
    let messages: Vec<_> = {
        let envelope = Envelope::builder(service).build().unwrap();
        let texts = vec![b"x"; 10_000];
        block_on(envelope.encrypt_many(&texts, EncryptOptions::new())).unwrap()
    };
    let envelope = Envelope::builder(hung).build().unwrap();
    leaves_nothing("readers of different messages who gave up", 300_000, |n| {
        give_up(envelope.decrypt(&messages[n % messages.len()], &policy));
    });
}
