//! How fast a call fails while the circuit breaker is open, and how much a minute of outage costs.
//!
//! `cargo bench --bench breaker` measures calls, and messages whose key is not in the cache or has
//! expired there, and prints percentiles beside criterion's figures: a mean hides the caller that
//! had to wait. `cargo bench --bench breaker -- minute` makes calls for a minute against a server
//! that closes every connection, and prints what each call cost it.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group};
use ncp_envelope::format::{BoundHeader, Encryptor, Profile, SlotTable};
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, KeyId,
    KeyWrapper, LocalKeyWrapper, Result, WrappedKey,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A key of a server that reads a little of each request and closes the connection.
struct Dead {
    key: Key,
    /// How many requests the server has seen.
    requests: Arc<AtomicU64>,
}

impl Dead {
    /// With its circuit breaker open.
    async fn open() -> Self {
        let dead = Self::new().await;
        while dead.key.client().stats().breaker_opens == 0 {
            let _ = dead.key.encrypt(b"x").await;
        }
        dead
    }

    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    if stream.readable().await.is_ok() {
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let credentials = Credentials::account("access", "secret").unwrap();
        let client = Client::builder().endpoint(Endpoint::Custom(url)).credentials(credentials);
        Self { key: client.build().unwrap().key("tag").unwrap(), requests }
    }

    fn sent(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn refused(&self) -> u64 {
        self.key.client().stats().breaker_refusals
    }
}

/// Measures `attempt`, which says how long it took. A probe of the breaker waits for the server, so
/// an attempt during which a request was sent does not count; with `by_breaker`, neither does one
/// that the breaker did not refuse.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: &str,
    dead: &Dead,
    by_breaker: bool,
    mut attempt: impl AsyncFnMut() -> Duration,
) {
    let mut times = Vec::new();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|attempts| {
            let first = times.len();
            runtime.block_on(async {
                while ((times.len() - first) as u64) < attempts {
                    let (sent, refused) = (dead.sent(), dead.refused());
                    let time = attempt().await;
                    if sent == dead.sent() && (!by_breaker || dead.refused() > refused) {
                        times.push(time);
                    }
                }
            });
            times[first..].iter().sum()
        });
    });
    times.sort();
    if let Some(last) = times.len().checked_sub(1) {
        let at = |share: f64| times[(last as f64 * share) as usize];
        let (half, most, nearly) = (at(0.5), at(0.99), at(0.999));
        println!("{name}: p50 {half:?}, p99 {most:?}, p99.9 {nearly:?}, max {:?}", at(1.0));
    }
}

async fn time<T>(call: impl Future<Output = T>) -> (Duration, T) {
    let begun = Instant::now();
    let result = call.await;
    (begun.elapsed(), result)
}

/// A message with a wrapped key that nobody has seen, as if it were under `key`.
fn message(key: &Key, number: u64) -> Vec<u8> {
    let wrapped = WrappedKey::new(key.id().clone(), format!("ncpkms:v1:{number:0144}")).unwrap();
    let slots = SlotTable::new(vec![wrapped]).unwrap();
    let bound =
        BoundHeader::new(Profile::Compact, &EncryptionContext::new(), false, &slots).unwrap();
    let encryptor = Encryptor::new(&DataKey::generate().unwrap(), &bound, &slots, b"").unwrap();
    let mut message = encryptor.front().to_vec();
    let mut last = vec![0; encryptor.finish_len()];
    encryptor.finish(&mut last).unwrap();
    message.extend_from_slice(&last);
    message
}

fn breaker(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("breaker open");
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    group.nresamples(10_000);
    let dead = runtime.block_on(Dead::open());
    measure(&mut group, &runtime, "call", &dead, true, async || {
        time(dead.key.encrypt(b"x")).await.0
    });
    readers(&mut group, &runtime);
    expired(&mut group, &runtime);
    group.finish();
}

/// What a reader waits for a message whose key is not there.
fn readers(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime) {
    let limits = CacheLimits::new(Duration::from_secs(60));
    for (name, cache) in
        [("decrypt, no cache", None), ("decrypt, key not in the cache", Some(limits))]
    {
        let dead = runtime.block_on(Dead::open());
        let builder = Envelope::builder(dead.key.clone());
        let builder = cache.into_iter().fold(builder, |builder, limits| builder.cache(limits));
        let (envelope, policy) = (builder.build().unwrap(), DecryptPolicy::new());
        let mut number = 0;
        measure(group, runtime, name, &dead, true, async || {
            number += 1;
            let message = message(&dead.key, number);
            time(envelope.decrypt(&message, &policy)).await.0
        });
    }
}

/// The same for keys that were unwrapped once and have expired, with a stale window and without.
/// Each answer of the open breaker counts for a second, so most of these are answered without
/// asking it.
fn expired(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime) {
    let policy = DecryptPolicy::new();
    for (name, stale) in
        [("decrypt, key expired, stale window", 3_600), ("decrypt, key expired", 0)]
    {
        let dead = runtime.block_on(Dead::open());
        let local = LocalKeyWrapper::new("local", &DataKey::generate().unwrap()).unwrap();
        let wrapper = Failing { local, dead: dead.key.clone(), broken: AtomicBool::new(false) };
        let wrapper = Arc::new(wrapper);
        let limits = CacheLimits::new(Duration::from_millis(500))
            .with_stale_window(Duration::from_secs(stale))
            .with_max_keys(20_000);
        let envelope = Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
        let messages = runtime.block_on(async {
            let messages =
                envelope.encrypt_many(&vec![b"x"; 10_000], EncryptOptions::new()).await.unwrap();
            envelope.decrypt_many(&messages, &policy).await;
            wrapper.broken.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(500)).await;
            messages
        });
        let mut next = messages.iter().cycle();
        measure(group, runtime, name, &dead, false, async || {
            let (took, opened) = time(envelope.decrypt(next.next().unwrap(), &policy)).await;
            assert_eq!(opened.is_ok(), stale > 0, "{name}");
            took
        });
    }
}

/// Wraps locally, and once it is broken asks a server that answers nobody.
#[derive(Debug)]
struct Failing {
    local: LocalKeyWrapper,
    dead: Key,
    broken: AtomicBool,
}

impl KeyWrapper for Failing {
    fn key_id(&self) -> &KeyId {
        self.local.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.local.wrap_keys(payloads)
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        match self.broken.load(Ordering::Relaxed) {
            true => Box::pin(async {
                self.dead.encrypt(b"x").await?;
                Ok(Vec::new())
            }),
            false => self.local.unwrap_keys(wrapped),
        }
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.local.rewrap_keys(wrapped)
    }
}

async fn minute() {
    let Dead { key, requests } = Dead::new().await;
    let end = Instant::now() + Duration::from_secs(60);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                while Instant::now() < end {
                    let _ = key.encrypt(b"x").await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let (calls, requests) = (key.client().stats().calls, requests.load(Ordering::Relaxed));
    println!(
        "a minute of outage: {calls} calls, {requests} requests, {:.4} for each call",
        requests as f64 / calls as f64
    );
}

criterion_group!(benches, breaker);

fn main() {
    if std::env::args().any(|argument| argument == "minute") {
        return Runtime::new().unwrap().block_on(minute());
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
