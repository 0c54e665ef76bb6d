//! Envelopes on runtimes that end, runtimes that are gone, and without a runtime: every waiter gets
//! an answer.

#![cfg(feature = "tokio")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope, Error, ErrorKind, KeyId,
    KeyWrapper, LocalKeyWrapper, PoolLimits, Result, ReuseLimits, WrappedKey,
};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Go,
    /// Calls do not come back while it lasts.
    Hold,
    /// As [`Hold`](Self::Hold) for the call of this number, and `Go` for the others.
    HoldOne(usize),
    /// Refuses more than one key in a call.
    Single,
}

/// A key service in this process that can be made to wait.
#[derive(Debug, Clone)]
struct Gate {
    inner: Arc<LocalKeyWrapper>,
    state: Arc<Mutex<(Mode, usize, Vec<Waker>)>>,
}

impl Gate {
    fn new() -> Self {
        let inner = LocalKeyWrapper::new("gate", &DataKey::copy_from(&[7; 32])).unwrap();
        Self { inner: Arc::new(inner), state: Arc::new(Mutex::new((Mode::Go, 0, Vec::new()))) }
    }

    fn set(&self, mode: Mode) {
        let wakers = {
            let mut state = self.state.lock().unwrap();
            state.0 = mode;
            std::mem::take(&mut state.2)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn calls(&self) -> usize {
        self.state.lock().unwrap().1
    }

    async fn enter(&self, keys: usize) -> Result<()> {
        let number = {
            let mut state = self.state.lock().unwrap();
            state.1 += 1;
            state.1
        };
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            match state.0 {
                Mode::Hold => {}
                Mode::HoldOne(held) if number == held => {}
                Mode::Single if keys > 1 => {
                    return Poll::Ready(Err(Error::new(ErrorKind::LimitExceeded, "too many keys")));
                }
                _ => return Poll::Ready(Ok(())),
            }
            state.2.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl KeyWrapper for Gate {
    fn key_id(&self) -> &KeyId {
        self.inner.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            self.enter(payloads.len()).await?;
            self.inner.wrap_keys(payloads).await
        })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            self.enter(wrapped.len()).await?;
            self.inner.unwrap_keys(wrapped).await
        })
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            self.enter(wrapped.len()).await?;
            self.inner.rewrap_keys(wrapped).await
        })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// No runtime at all.
fn park_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Fails if `work` does not come to an end. Not a limit of time: it is far more than anything here
/// takes.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, over) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    over.recv_timeout(Duration::from_secs(120)).expect("waits for ever, or has failed")
}

fn context() -> EncryptionContext {
    EncryptionContext::new()
}

#[test]
fn a_call_that_is_stuck_holds_up_nobody_without_a_cache_either() {
    let gate = Gate::new();
    let envelope = Envelope::builder(gate.clone()).build().unwrap();
    let [first, second] =
        [b"1", b"2"].map(|text| park_on(envelope.encrypt(text, context())).unwrap());
    gate.set(Mode::HoldOne(3));
    let stuck = {
        let envelope = envelope.clone();
        thread::spawn(move || park_on(envelope.decrypt(&first, &DecryptPolicy::new())).is_ok())
    };
    while gate.calls() < 3 {
        thread::yield_now();
    }
    assert!(ends(move || park_on(envelope.decrypt(&second, &DecryptPolicy::new())).is_ok()));
    assert!(!stuck.is_finished());
    gate.set(Mode::Go);
    assert!(ends(move || stuck.join().unwrap()));
}

#[cfg(feature = "tokio")]
mod tokio_runtimes {
    use super::*;
    use tokio::runtime::{Builder, Runtime};

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Polls once on `runtime`, and lets nothing else run there.
    fn poll_once<T>(runtime: &Runtime, future: impl Future<Output = T>) -> Option<T> {
        let mut future = Box::pin(future);
        runtime.block_on(poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        }))
    }

    #[test]
    fn a_runtime_that_ends_takes_nothing_from_those_on_others() {
        for cached in [false, true] {
            let gate = Gate::new();
            let mut builder = Envelope::builder(gate.clone());
            if cached {
                builder = builder.cache(CacheLimits::new(Duration::from_secs(60)));
            }
            let envelope = builder.build().unwrap();
            let message = park_on(envelope.encrypt(b"text", context())).unwrap();
            gate.set(Mode::Hold);
            let before = gate.calls();
            let (ended, other) = (runtime(), envelope.clone());
            let theirs = message.clone();
            let task =
                ended.spawn(async move { other.decrypt(&theirs, &DecryptPolicy::new()).await });
            ended.block_on(async {
                while gate.calls() == before {
                    tokio::task::yield_now().await;
                }
            });
            let waiting = {
                let (envelope, message) = (envelope.clone(), message.clone());
                thread::spawn(move || {
                    runtime().block_on(async {
                        envelope.decrypt(&message, &DecryptPolicy::new()).await.is_ok()
                    })
                })
            };
            while envelope.stats().cache.joins == 0 {
                thread::yield_now();
            }
            drop((task, ended));
            gate.set(Mode::Go);
            assert!(ends(move || waiting.join().unwrap()));
        }
    }

    #[test]
    fn keys_ordered_on_a_runtime_that_ends_come_all_the_same() {
        let gate = Gate::new();
        let envelope = Envelope::builder(gate.clone())
            .pool(PoolLimits::new(Duration::from_secs(60)))
            .build()
            .unwrap();
        let ended = runtime();
        gate.set(Mode::Hold);
        assert!(poll_once(&ended, envelope.encrypt(b"text", context())).is_none());
        drop(ended);
        gate.set(Mode::Go);
        ends(move || {
            while envelope.stats().pool.ready == 0 {
                thread::yield_now();
            }
            runtime().block_on(async { envelope.encrypt(b"text", context()).await.unwrap() })
        });
    }

    #[test]
    fn a_long_queue_on_a_runtime_that_ends_is_given_up_without_ado() {
        let gate = Gate::new();
        let envelope = Envelope::builder(gate.clone()).build().unwrap();
        let payloads = [1, 2].map(|byte| KeyPayload::copy_from(&[byte; 80]));
        let keys = park_on(gate.inner.wrap_keys(&payloads)).unwrap();
        gate.set(Mode::Single);
        assert!(park_on(envelope.rewrap_keys(&keys)).iter().all(Result::is_ok));
        // One key in a call from now on.
        gate.set(Mode::Hold);
        let many = vec![keys[0].clone(); 20_000];
        let ended = runtime();
        assert!(poll_once(&ended, envelope.rewrap_keys(&many)).is_none());
        let results = ends(move || {
            drop(ended);
            gate.set(Mode::Go);
            park_on(envelope.rewrap_keys(&keys))
        });
        assert!(results.iter().all(Result::is_ok));
    }

    #[test]
    fn whoever_calls_from_within_a_runtime_that_is_gone_is_served() {
        let limits = ReuseLimits::new(Duration::from_secs(60));
        let pooled = PoolLimits::new(Duration::from_secs(60));
        let builders = [
            Envelope::builder(Gate::new()),
            Envelope::builder(Gate::new()).cache(CacheLimits::new(Duration::from_secs(60))),
            Envelope::builder(Gate::new()).pool(pooled),
            Envelope::builder(Gate::new()).reuse(limits),
        ];
        for builder in builders {
            let envelope = builder.build().unwrap();
            let message = park_on(envelope.encrypt(b"text", context())).unwrap();
            envelope.forget_keys();
            let results = ends(move || {
                let gone = runtime();
                let handle = gone.handle().clone();
                drop(gone);
                let _entered = handle.enter();
                let written = park_on(envelope.encrypt(b"text", context())).map(drop);
                let read = park_on(envelope.decrypt(&message, &DecryptPolicy::new())).map(drop);
                [written, read]
            });
            for result in results {
                result.unwrap();
            }
        }
    }
}
