//! One cache under envelopes whose calls are polled by different executors.

use super::*;
use common::{KEK, KEY_ID};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{KeyCache, KeyId, KeyWrapper, LocalKeyWrapper, Result};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

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
            assert_eq!(common::block_on(second.decrypt(&message, &policy)).unwrap(), b"x");
        } else {
            // Nothing wakes it, so it polls again by itself.
            let mut joining = pin!(second.decrypt(&message, &policy));
            let begun = Instant::now();
            let found = loop {
                match joining.as_mut().poll(&mut noop) {
                    Poll::Ready(result) => break result,
                    Poll::Pending => std::thread::yield_now(),
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "no answer, though it is there");
            };
            assert_eq!(found.unwrap(), b"x");
        }
        drop(asking);
    }
}

/// The runtime of the first caller is gone when another one needs the key.
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
    assert_eq!(common::block_on(envelope.decrypt(&message, &policy)).unwrap(), b"x");
}

/// The runtime of the first caller is blocked: it exists, but nothing polls it, nor its callers'
/// futures.
#[test]
fn a_reader_does_not_wait_for_a_blocked_runtime() {
    let other = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let emulator = home.block_on(emulator());
    let key = key(&emulator);
    let envelope = Envelope::builder(key.clone()).cache(CacheLimits::new(HOUR)).build().unwrap();
    let message = other().block_on(envelope.encrypt(b"x", EncryptOptions::new())).unwrap();
    let policy = policy();

    // Long enough for the first caller's runtime to block meanwhile.
    emulator.set_latency(Duration::from_millis(300));
    let calls = emulator.request_count();
    let parked = other();
    let mut unpolled =
        Box::pin(async { tokio::join!(key.encrypt(b"y"), envelope.decrypt(&message, &policy)).1 });
    parked.block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(100), &mut unpolled).await;
        assert!(waited.is_err(), "the calls are still in flight");
    });

    // The same unwrap, which joins the call in flight; and new calls, over the connections of the
    // others.
    let (joined, again, written) = other().block_on(async {
        tokio::join!(
            envelope.decrypt(&message, &policy),
            key.encrypt(b"z"),
            envelope.encrypt(b"w", EncryptOptions::new())
        )
    });
    assert_eq!(joined.unwrap(), b"x");
    again.unwrap();
    written.unwrap();
    assert_eq!(emulator.request_count() - calls, 4, "one question for both who read");
    // Polled again, the first caller gets its key.
    assert_eq!(parked.block_on(unpolled).unwrap(), b"x");
}

/// Polls on this thread until it is done, and lets no runtime of this thread go on meanwhile: what
/// a callback that cannot be asynchronous does within one.
fn block_here<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Fails if `work` does not come to an end. Not a limit of time: it is far more than it takes.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    over.recv_timeout(Duration::from_secs(120)).expect("waits for ever, or has failed")
}

/// Everything that an envelope does asynchronously.
async fn everything(envelope: Envelope, client: Key) {
    use ncp_envelope::io::FileOptions;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (options, policy) = (EncryptOptions::new, policy());
    let dir = tempfile::tempdir().unwrap();
    let [plain, sealed, back] = ["plain", "sealed", "back"].map(|name| dir.path().join(name));
    std::fs::write(&plain, b"file").unwrap();

    let message = envelope.encrypt(b"x", options()).await.unwrap();
    assert_eq!(envelope.decrypt(&message, &policy).await.unwrap(), b"x");
    let messages = envelope.encrypt_many(&[b"x"; 300], options()).await.unwrap();
    assert!(envelope.decrypt_many(&messages, &policy).await.iter().all(Result::is_ok));
    assert!(envelope.rewrap_keys(&slots(&message)).await[0].is_ok());
    let files = FileOptions::new();
    envelope.encrypt_file_with(&plain, &sealed, options(), &files).await.unwrap();
    envelope.decrypt_file_with(&sealed, &back, &policy, &files).await.unwrap();
    let mut writer = envelope.async_writer(Vec::new(), options()).await.unwrap();
    writer.write_all(b"stream").await.unwrap();
    let message = writer.finish().await.unwrap();
    let mut reader = envelope.async_reader(&message[..], &policy).await.unwrap();
    let mut text = Vec::new();
    reader.read_to_end(&mut text).await.unwrap();
    assert_eq!(text, b"stream");

    let ciphertext = client.encrypt(b"y").await.unwrap();
    assert_eq!(client.decrypt(&ciphertext).await.unwrap().expose_secret(), b"y");
}

/// With the local key and the real client, with and without what keeps keys.
fn kinds(emulator: &Emulator) -> Vec<(Envelope, Key)> {
    use ncp_envelope::{PoolLimits, ReuseLimits};
    let key = key(emulator);
    let local = || LocalKeyWrapper::new(KEY_ID, &DataKey::copy_from(&KEK)).unwrap();
    let build = |builder: ncp_envelope::EnvelopeBuilder| (builder.build().unwrap(), key.clone());
    vec![
        build(Envelope::builder(local())),
        build(Envelope::builder(key.clone())),
        build(Envelope::builder(local()).cache(CacheLimits::new(HOUR)).pool(PoolLimits::new(HOUR))),
        build(
            Envelope::builder(key.clone())
                .cache(CacheLimits::new(HOUR))
                .reuse(ReuseLimits::new(HOUR)),
        ),
    ]
}

#[test]
fn a_thread_that_blocks_within_a_runtime_is_served() {
    let home = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let emulator = home.block_on(emulator());
    for (envelope, client) in kinds(&emulator) {
        let (again, key) = (envelope.clone(), client.clone());
        ends(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async { block_here(everything(envelope, client)) });
        });
        ends(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
            let runtime = runtime.unwrap();
            let task = runtime.spawn(async { block_here(everything(again, key)) });
            runtime.block_on(task).unwrap();
        });
    }
}

#[test]
fn a_runtime_needs_no_timers_and_no_sockets() {
    let home = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let emulator = home.block_on(emulator());
    for (envelope, client) in kinds(&emulator) {
        ends(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(everything(envelope, client));
        });
    }
}

/// A new runtime for each call, none of which goes or is driven again: no connection is of theirs.
#[test]
fn one_client_serves_callers_on_many_runtimes_that_stand_still() {
    let home = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let emulator = home.block_on(emulator());
    // A call that waits for a runtime that stands still is out of time.
    let key = client(&emulator).attempt_timeout(Duration::from_secs(20)).max_attempts(1).build();
    let key = key.unwrap().key(emulator.key_tag()).unwrap();
    let kept: Vec<_> = (0..30)
        .map(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(key.encrypt(b"x")).unwrap();
            runtime
        })
        .collect();
    assert_eq!(emulator.request_count(), 30);
    drop(kept);
}
